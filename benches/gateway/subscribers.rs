//! The subscribers of live events, and the publisher, in a process of their own.
//!
//! Prints `ready` when all have subscribed, waits for a line, publishes, waits until every subscriber has received
//! every event, and prints the result as a line of JSON.

use std::rc::Rc;
use std::time::Duration;

use memchr::memmem::{self, Finder};
use serde::{Deserialize, Serialize};
use tokio::sync::{Semaphore, mpsc};
use tokio::task::{JoinSet, LocalSet};
use tokio::time::{Instant, sleep_until, timeout};

use crate::clock::{DIGITS, now, read_digits};
use crate::http::Connection;
use crate::result::Result;
use crate::samples::{Percentiles, Samples};
use crate::worker::{await_start, read_plan, runtime, write_line};
use crate::workload::EventWorkload;

/// Subscriptions that are opened at the same time.
const MAX_OPENING: usize = 64;
/// The text in front of an event's number, which `@` and the time follow.
const MARK: &[u8] = b"\"description\":\"#";

/// The instructions, read from stdin.
#[derive(Serialize, Deserialize)]
pub(crate) struct Plan {
    /// The servers: subscribers take them in turn, events are published at the first one.
    pub(crate) addresses: Vec<String>,
    /// Header lines of every request, each with its line end.
    pub(crate) headers: String,
    /// The path of the event stream.
    pub(crate) events: String,
    /// Text at the beginning of an established stream; empty: the response head is enough.
    pub(crate) greeting: String,
    /// Method and path of the request that publishes an event.
    pub(crate) publish: String,
    /// The body of that request, with `{note}` in place of number and time.
    pub(crate) body: String,
    pub(crate) workload: EventWorkload,
}

/// The result.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Deliveries {
    pub(crate) subscribers: usize,
    pub(crate) deliveries: usize,
    pub(crate) seconds: f64,
    /// Size of an event on the stream, bytes.
    pub(crate) event_bytes: usize,
    /// From the request that publishes an event to its arrival at a subscriber.
    pub(crate) delay: Percentiles,
}

/// A subscriber and what it has received.
struct Subscriber {
    connection: Connection,
    /// The beginning of an event whose end has not arrived.
    unfinished: Vec<u8>,
    received: usize,
    event_bytes: usize,
    delays: Samples,
}

pub(crate) fn run() -> Result<()> {
    let plan: Plan = read_plan()?;
    let limit = plan.workload.timeout();
    LocalSet::new().block_on(&runtime()?, async {
        timeout(limit, measure(plan)).await.map_err(|_| format!("not done after {limit:?}"))?
    })
}

async fn measure(plan: Plan) -> Result<()> {
    let (plan, opening) = (Rc::new(plan), Rc::new(Semaphore::new(MAX_OPENING)));
    let (failed, mut failures) = mpsc::unbounded_channel();
    let mut subscribing = JoinSet::new();
    for number in 0..plan.workload.subscribers {
        let (plan, opening) = (Rc::clone(&plan), Rc::clone(&opening));
        subscribing.spawn_local(async move {
            let _permit = opening.acquire().await?;
            Subscriber::subscribe(&plan, number).await
        });
    }
    let subscribed = subscribing.join_all().await.into_iter().collect::<Result<Vec<_>>>()?;
    await_start()?;
    let began = now();
    let mark = Rc::new(Finder::new(MARK));
    let mut receiving = JoinSet::new();
    for subscriber in subscribed {
        let (mark, failed, expected) = (Rc::clone(&mark), failed.clone(), plan.workload.events);
        receiving.spawn_local(async move {
            // A failure ends the measurement at once, not at its timeout.
            match subscriber.receive(&mark, expected).await {
                Ok(subscriber) => Some(subscriber),
                Err(failure) => {
                    let _ = failed.send(failure);
                    None
                }
            }
        });
    }
    let publishing = tokio::task::spawn_local(publish(Rc::clone(&plan)));
    let all = async {
        publishing.await??;
        let mut all = Vec::new();
        while let Some(received) = receiving.join_next().await {
            all.extend(received?);
        }
        Result::Ok(all)
    };
    let all = tokio::select! {
        all = all => all?,
        Some(failure) = failures.recv() => return Err(failure),
    };
    let seconds = (now() - began) as f64 / 1e9;
    let (subscribers, deliveries) = (all.len(), all.iter().map(|subscriber| subscriber.received).sum());
    let event_bytes = all.first().map_or(0, |subscriber| subscriber.event_bytes);
    let mut delays = Samples::default();
    all.into_iter().for_each(|subscriber| delays.extend(subscriber.delays));
    let result = Deliveries { subscribers, deliveries, seconds, event_bytes, delay: delays.percentiles() };
    write_line(&serde_json::to_string(&result)?)
}

impl Subscriber {
    async fn subscribe(plan: &Plan, number: usize) -> Result<Self> {
        let address = &plan.addresses[number % plan.addresses.len()];
        let mut connection = Connection::open(address, None).await?;
        let (events, headers) = (&plan.events, &plan.headers);
        let request = format!("GET {events} HTTP/1.1\r\nhost: {address}\r\naccept: text/event-stream\r\n{headers}\r\n");
        let status = connection.ask(request.as_bytes()).await?;
        if status != 200 {
            return Err(format!("status {status} for {events}").into());
        }
        let mut unfinished = Vec::new();
        while !plan.greeting.is_empty() && memmem::find(&unfinished, plan.greeting.as_bytes()).is_none() {
            unfinished.extend_from_slice(connection.data().await?.ok_or("a stream without a greeting")?);
        }
        Ok(Self { connection, unfinished: Vec::new(), received: 0, event_bytes: 0, delays: Samples::default() })
    }

    /// Reads until all events have arrived, each once and in order.
    async fn receive(mut self, mark: &Finder<'_>, expected: usize) -> Result<Self> {
        while self.received < expected {
            let data = self.connection.data().await?.ok_or("a stream of events ended")?;
            self.unfinished.extend_from_slice(data);
            let arrived = self.connection.arrived;
            let mut at = 0;
            while let Some(end) = memmem::find(&self.unfinished[at..], b"\n\n") {
                let block = &self.unfinished[at..at + end];
                at += end + 2;
                let Some(found) = mark.find(block) else { continue };
                let note = &block[found + MARK.len()..];
                let (number, stamp) = (note.get(..6), note.get(7..7 + DIGITS));
                let number = number.and_then(read_digits).ok_or("an event without its number")?;
                let stamp = stamp.and_then(read_digits).ok_or("an event without its time")?;
                if number != self.received as u64 {
                    return Err(format!("event {number} came where {} should have", self.received).into());
                }
                self.received += 1;
                self.event_bytes = end + 2;
                self.delays.push(stamp, arrived);
            }
            self.unfinished.drain(..at);
        }
        Ok(self)
    }
}

async fn publish(plan: Rc<Plan>) -> Result<()> {
    if plan.workload.events == 0 {
        return Ok(());
    }
    let address = &plan.addresses[0];
    let mut connection = Connection::open(address, None).await?;
    let began = Instant::now();
    for index in 0..plan.workload.events {
        sleep_until(began + Duration::from_micros(plan.workload.gap * index as u64)).await;
        let body = plan.body.replace("{note}", &format!("#{index:06}@{:0DIGITS$}", now()));
        let request = format!(
            "{} HTTP/1.1\r\nhost: {address}\r\n{}content-length: {}\r\n\r\n{body}",
            plan.publish,
            plan.headers,
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
