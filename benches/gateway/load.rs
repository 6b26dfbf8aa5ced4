//! The clients of completions.
//!
//! Says `ready` when connections are open and warm, waits for a line, asks, says `open` where streams are held and all
//! of them flow, and at last what it saw, as a line of JSON.

use std::ops::Range;
use std::rc::Rc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::sync::{Semaphore, mpsc};
use tokio::task::{JoinSet, LocalSet};
use tokio::time::{sleep, timeout};

use crate::clock::now;
use crate::http::Connection;
use crate::samples::{Percentiles, Samples};
use crate::transcript::{Transcript, mark};
use crate::workload::Workload;
use crate::{Done, plan, ready, runtime, say};

/// The first argument that makes this program the clients; their [`Plan`] comes on stdin.
pub(crate) const ROLE: &str = "clients";

/// Held streams that are begun at the same time: more than that is a test of the listener's queue.
const BEGINNERS: usize = 64;
/// Tokens after which a held stream flows.
const FLOWING: usize = 3;

/// What to do.
#[derive(Serialize, Deserialize)]
pub(crate) struct Plan {
    pub(crate) address: String,
    /// API keys, all of one length, which requests take in turn.
    pub(crate) keys: Vec<String>,
    pub(crate) workload: Workload,
}

/// What was seen.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Seen {
    pub(crate) requests: usize,
    pub(crate) tokens: usize,
    pub(crate) seconds: f64,
    /// From the upstream's writing of a token to its arrival.
    pub(crate) delay: Percentiles,
    /// From the request to its first token, or to the end of an answer that is no stream.
    pub(crate) first: Percentiles,
    /// When the first stream ended.
    pub(crate) first_end: u64,
}

#[derive(Default)]
struct Measured {
    requests: usize,
    tokens: usize,
    delays: Samples,
    firsts: Samples,
    first_end: Option<u64>,
}

impl Measured {
    fn extend(&mut self, other: Self) {
        self.requests += other.requests;
        self.tokens += other.tokens;
        self.delays.extend(other.delays);
        self.firsts.extend(other.firsts);
        self.first_end = [self.first_end, other.first_end].into_iter().flatten().min();
    }
}

/// What the clients have in common.
struct Shared {
    plan: Plan,
    mark: memchr::memmem::Finder<'static>,
    beginners: Semaphore,
    flowing: mpsc::UnboundedSender<()>,
}

/// A client: a connection, and what it asks.
struct Client {
    connection: Connection,
    request: Vec<u8>,
    /// Where the key stands in it.
    key: Range<usize>,
    index: usize,
    asked: usize,
}

pub(crate) fn run() -> Done<()> {
    let plan: Plan = plan()?;
    let patience = plan.workload.patience();
    LocalSet::new().block_on(&runtime()?, async {
        timeout(patience, load(plan)).await.map_err(|_| format!("not done after {patience:?}"))?
    })
}

async fn load(plan: Plan) -> Done<()> {
    let (flowing, mut flows) = mpsc::unbounded_channel();
    let (workload, beginners) = (plan.workload.clone(), Semaphore::new(BEGINNERS));
    let shared = Rc::new(Shared { plan, mark: mark(), beginners, flowing });
    let mut clients = JoinSet::new();
    // Held streams open their connections themselves: these count.
    let opened = if workload.held { 0 } else { workload.connections };
    for index in 0..opened {
        clients.spawn_local(warm(Rc::clone(&shared), index));
    }
    let warmed = clients.join_all().await.into_iter().collect::<Done<Vec<_>>>()?;
    ready()?;
    let began = now();
    let mut running = JoinSet::new();
    for client in warmed {
        running.spawn_local(ask(Rc::clone(&shared), client));
    }
    for index in opened..workload.connections {
        running.spawn_local(hold(Rc::clone(&shared), index));
    }
    let mut measured = Measured::default();
    let mut flow = 0;
    loop {
        tokio::select! {
            Some(()) = flows.recv() => {
                flow += 1;
                if flow == workload.connections {
                    say("open")?;
                }
            }
            ended = running.join_next() => match ended {
                Some(ended) => measured.extend(ended??),
                None => break,
            },
        }
    }
    let seconds = (now() - began) as f64 / 1e9;
    let (requests, tokens) = (measured.requests, measured.tokens);
    let (delay, first) = (measured.delays.percentiles(), measured.firsts.percentiles());
    let first_end = measured.first_end.unwrap_or(0);
    say(&serde_json::to_string(&Seen { requests, tokens, seconds, delay, first, first_end })?)
}

impl Client {
    async fn open(plan: &Plan, index: usize) -> Done<Self> {
        let (address, key) = (&plan.address, &plan.keys[0]);
        let body = plan.workload.request();
        let request = format!(
            "POST /v1/chat/completions HTTP/1.1\r\nhost: {address}\r\nauthorization: Bearer {key}\r\n\
             accept: text/event-stream\r\nuser-agent: bench/1.0\r\ncontent-type: application/json\r\n\
             content-length: {}\r\n\r\n{body}",
            body.len()
        );
        let begin = request.find(key.as_str()).ok_or("no key in the request")?;
        let (request, key) = (request.into_bytes(), begin..begin + key.len());
        Ok(Self { connection: Connection::open(address).await?, request, key, index, asked: 0 })
    }

    /// Asks once.
    async fn ask(&mut self, shared: &Shared, measured: &mut Measured) -> Done<()> {
        let workload = &shared.plan.workload;
        let turn = (self.asked * workload.connections + self.index) % shared.plan.keys.len();
        self.request[self.key.clone()].copy_from_slice(shared.plan.keys[turn].as_bytes());
        self.asked += 1;
        let began = now();
        let status = self.connection.ask(&self.request).await?;
        if status != 200 {
            let body = self.connection.whole().await?;
            return Err(format!("status {status}: {}", String::from_utf8_lossy(&body)).into());
        }
        if workload.stream {
            self.stream(shared, began, measured).await?;
        } else {
            let body = self.connection.whole().await?;
            if !body.ends_with(b"}") || memchr::memmem::find(&body, br#""object":"chat.completion""#).is_none() {
                return Err(format!("no completion: {}", String::from_utf8_lossy(&body)).into());
            }
            measured.firsts.push(began, self.connection.arrived);
        }
        measured.requests += 1;
        measured.first_end.get_or_insert_with(now);
        Ok(())
    }

    async fn stream(&mut self, shared: &Shared, began: u64, measured: &mut Measured) -> Done<()> {
        let mut transcript = Transcript::new(&shared.mark, shared.plan.workload.tokens);
        let mut stamps = Vec::new();
        loop {
            let Some(data) = self.connection.data().await? else { break };
            let before = transcript.tokens;
            transcript.take(data, &mut |stamp| stamps.push(stamp))?;
            let arrived = self.connection.arrived;
            if before == 0 && transcript.tokens > 0 {
                measured.firsts.push(began, arrived);
            }
            if before < FLOWING && transcript.tokens >= FLOWING && shared.plan.workload.held {
                let _ = shared.flowing.send(());
            }
            for stamp in stamps.drain(..) {
                measured.delays.push(stamp, arrived);
            }
        }
        measured.tokens += transcript.tokens;
        transcript.end()
    }
}

async fn warm(shared: Rc<Shared>, index: usize) -> Done<Client> {
    let mut client = Client::open(&shared.plan, index).await?;
    for _ in 0..shared.plan.workload.warm {
        client.ask(&shared, &mut Measured::default()).await?;
    }
    Ok(client)
}

async fn ask(shared: Rc<Shared>, mut client: Client) -> Done<Measured> {
    let workload = &shared.plan.workload;
    // Tokens of real streams do not all come at the same moment.
    sleep(Duration::from_micros(workload.gap * client.index as u64 / workload.connections as u64)).await;
    let mut measured = Measured::default();
    for _ in 0..workload.requests {
        client.ask(&shared, &mut measured).await?;
    }
    Ok(measured)
}

async fn hold(shared: Rc<Shared>, index: usize) -> Done<Measured> {
    let workload = &shared.plan.workload;
    sleep(Duration::from_micros(workload.gap * index as u64 / workload.connections as u64)).await;
    let place = shared.beginners.acquire().await?;
    let mut client = Client::open(&shared.plan, index).await?;
    drop(place);
    let mut measured = Measured::default();
    client.ask(&shared, &mut measured).await?;
    Ok(measured)
}
