//! The readers of live events, and the one who makes things happen.
//!
//! Says `ready` when all have subscribed, waits for a line, publishes, waits until everybody has been told everything,
//! and at last says what it saw, as a line of JSON.

use std::rc::Rc;
use std::time::Duration;

use memchr::memmem::{self, Finder};
use serde::{Deserialize, Serialize};
use tokio::sync::{Semaphore, mpsc};
use tokio::task::{JoinSet, LocalSet};
use tokio::time::{Instant, sleep_until, timeout};

use crate::clock::{DIGITS, now, read_digits};
use crate::http::Connection;
use crate::samples::{Percentiles, Samples};
use crate::workload::Audience;
use crate::{Done, plan, ready, runtime, say};

/// The first argument that makes this program the readers; their [`Plan`] comes on stdin.
pub(crate) const ROLE: &str = "listeners";

/// Subscriptions that are begun at the same time.
const BEGINNERS: usize = 64;
/// What stands before an event's number; behind it `@` and the time.
const MARK: &[u8] = b"\"description\":\"#";

/// What to do.
#[derive(Serialize, Deserialize)]
pub(crate) struct Plan {
    pub(crate) address: String,
    /// Lines of every request's head, each with its line end.
    pub(crate) fields: String,
    /// Where events are read.
    pub(crate) events: String,
    /// What stands on a stream as soon as it is one; nothing: the answer's head is all that there is.
    pub(crate) greeting: String,
    /// The method and the path that make an event.
    pub(crate) publish: String,
    /// The body of that request, with `{note}` where the number and the time belong.
    pub(crate) body: String,
    pub(crate) audience: Audience,
}

/// What was seen.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Heard {
    pub(crate) subscribers: usize,
    pub(crate) deliveries: usize,
    pub(crate) seconds: f64,
    /// Bytes of an event on a stream.
    pub(crate) event_bytes: usize,
    /// From the request that made the event to its arrival at a subscriber.
    pub(crate) delay: Percentiles,
}

/// One subscriber.
struct Listener {
    connection: Connection,
    /// An event whose end has not come.
    begun: Vec<u8>,
    heard: usize,
    bytes: usize,
    delays: Samples,
}

pub(crate) fn run() -> Done<()> {
    let plan: Plan = plan()?;
    let patience = plan.audience.patience();
    LocalSet::new().block_on(&runtime()?, async {
        timeout(patience, listen(plan)).await.map_err(|_| format!("not done after {patience:?}"))?
    })
}

async fn listen(plan: Plan) -> Done<()> {
    let (plan, beginners) = (Rc::new(plan), Rc::new(Semaphore::new(BEGINNERS)));
    let (gone, mut left) = mpsc::unbounded_channel();
    let mut listeners = JoinSet::new();
    for _ in 0..plan.audience.subscribers {
        let (plan, beginners) = (Rc::clone(&plan), Rc::clone(&beginners));
        listeners.spawn_local(async move {
            let _place = beginners.acquire().await?;
            Listener::subscribe(&plan).await
        });
    }
    let subscribed = listeners.join_all().await.into_iter().collect::<Done<Vec<_>>>()?;
    ready()?;
    let began = now();
    let mark = Rc::new(Finder::new(MARK));
    let mut hearing = JoinSet::new();
    for listener in subscribed {
        let (mark, gone, expected) = (Rc::clone(&mark), gone.clone(), plan.audience.events);
        hearing.spawn_local(async move {
            // A failure is told at once, and not after everybody's patience.
            match listener.hear(&mark, expected).await {
                Ok(heard) => Some(heard),
                Err(failure) => {
                    let _ = gone.send(failure);
                    None
                }
            }
        });
    }
    let publishing = tokio::task::spawn_local(publish(Rc::clone(&plan)));
    let all = async {
        publishing.await??;
        let mut all = Vec::new();
        while let Some(heard) = hearing.join_next().await {
            all.extend(heard?);
        }
        Done::Ok(all)
    };
    let all = tokio::select! {
        all = all => all?,
        Some(failure) = left.recv() => return Err(failure),
    };
    let seconds = (now() - began) as f64 / 1e9;
    let (subscribers, deliveries) = (all.len(), all.iter().map(|listener| listener.heard).sum());
    let event_bytes = all.first().map_or(0, |listener| listener.bytes);
    let mut delays = Samples::default();
    all.into_iter().for_each(|listener| delays.extend(listener.delays));
    let heard = Heard { subscribers, deliveries, seconds, event_bytes, delay: delays.percentiles() };
    say(&serde_json::to_string(&heard)?)
}

impl Listener {
    async fn subscribe(plan: &Plan) -> Done<Self> {
        let mut connection = Connection::open(&plan.address).await?;
        let (events, address, fields) = (&plan.events, &plan.address, &plan.fields);
        let request = format!("GET {events} HTTP/1.1\r\nhost: {address}\r\naccept: text/event-stream\r\n{fields}\r\n");
        let status = connection.ask(request.as_bytes()).await?;
        if status != 200 {
            return Err(format!("status {status} for {events}").into());
        }
        let mut begun = Vec::new();
        while !plan.greeting.is_empty() && memmem::find(&begun, plan.greeting.as_bytes()).is_none() {
            begun.extend_from_slice(connection.data().await?.ok_or("a stream without a greeting")?);
        }
        Ok(Self { connection, begun: Vec::new(), heard: 0, bytes: 0, delays: Samples::default() })
    }

    /// Reads until all events have come, each once and in their order.
    async fn hear(mut self, mark: &Finder<'_>, expected: usize) -> Done<Self> {
        while self.heard < expected {
            let data = self.connection.data().await?.ok_or("a stream of events ended")?;
            self.begun.extend_from_slice(data);
            let arrived = self.connection.arrived;
            let mut at = 0;
            while let Some(end) = memmem::find(&self.begun[at..], b"\n\n") {
                let block = &self.begun[at..at + end];
                at += end + 2;
                let Some(found) = mark.find(block) else { continue };
                let note = &block[found + MARK.len()..];
                let (number, stamp) = (note.get(..6), note.get(7..7 + DIGITS));
                let number = number.and_then(read_digits).ok_or("an event without its number")?;
                let stamp = stamp.and_then(read_digits).ok_or("an event without its time")?;
                if number != self.heard as u64 {
                    return Err(format!("event {number} came where {} should have", self.heard).into());
                }
                self.heard += 1;
                self.bytes = end + 2;
                self.delays.push(stamp, arrived);
            }
            self.begun.drain(..at);
        }
        Ok(self)
    }
}

async fn publish(plan: Rc<Plan>) -> Done<()> {
    if plan.audience.events == 0 {
        return Ok(());
    }
    let mut connection = Connection::open(&plan.address).await?;
    let began = Instant::now();
    for index in 0..plan.audience.events {
        sleep_until(began + Duration::from_micros(plan.audience.gap * index as u64)).await;
        let body = plan.body.replace("{note}", &format!("#{index:06}@{:0DIGITS$}", now()));
        let request = format!(
            "{} HTTP/1.1\r\nhost: {}\r\n{}content-length: {}\r\n\r\n{body}",
            plan.publish,
            plan.address,
            plan.fields,
            body.len()
        );
        let status = connection.ask(request.as_bytes()).await?;
        let answer = connection.whole().await?;
        if !(200..300).contains(&status) {
            return Err(format!("status {status} for an event: {}", String::from_utf8_lossy(&answer)).into());
        }
    }
    Ok(())
}
