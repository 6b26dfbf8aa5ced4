//! The clients of completions, in a process of their own.
//!
//! Prints `ready` when connections are open and warm, waits for a line, sends requests, prints `open` where streams are
//! held and all of them have begun, and prints the result as a line of JSON.

use std::ops::Range;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use rustls::ClientConfig;
use serde::{Deserialize, Serialize};
use tokio::sync::{Semaphore, mpsc};
use tokio::task::{JoinSet, LocalSet};
use tokio::time::{sleep, timeout};

use crate::clock::now;
use crate::http::Connection;
use crate::result::Result;
use crate::samples::{Percentiles, Samples};
use crate::stream_check::{StreamCheck, token_finder};
use crate::tls;
use crate::worker::{await_start, read_plan, runtime, write_line};
use crate::workload::Workload;

/// Connections that are opened at the same time: more would wait in the accept queue.
const MAX_OPENING: usize = 64;
/// Tokens after which a held stream counts as begun.
const TOKENS_OF_BEGUN: usize = 3;

/// The instructions, read from stdin.
#[derive(Serialize, Deserialize)]
pub(crate) struct Plan {
    pub(crate) address: String,
    /// API keys of equal length, which requests use in turn.
    pub(crate) keys: Vec<String>,
    pub(crate) workload: Workload,
    /// The gateway's certificate, as PEM, where it has TLS.
    pub(crate) certificate: Option<String>,
}

/// The result.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Answers {
    pub(crate) requests: usize,
    pub(crate) tokens: usize,
    pub(crate) seconds: f64,
    /// From the upstream's write of a token to its arrival.
    pub(crate) delay: Percentiles,
    /// From the request to its first token; of a non-streaming answer, to its end.
    pub(crate) first: Percentiles,
    /// The time at which the first stream ended.
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

/// State shared by all clients.
struct Shared {
    plan: Plan,
    tls: Option<Arc<ClientConfig>>,
    token_finder: memchr::memmem::Finder<'static>,
    /// Permits for opening connections.
    opening: Semaphore,
    /// Receives a message for each held stream that has begun.
    begun: mpsc::UnboundedSender<()>,
}

/// A client: a connection and its request.
struct Client {
    connection: Connection,
    request: Vec<u8>,
    /// The position of the API key in the request.
    key: Range<usize>,
    index: usize,
    asked: usize,
}

pub(crate) fn run() -> Result<()> {
    let plan: Plan = read_plan()?;
    let limit = plan.workload.timeout();
    LocalSet::new().block_on(&runtime()?, async {
        timeout(limit, measure(plan)).await.map_err(|_| format!("not done after {limit:?}"))?
    })
}

async fn measure(plan: Plan) -> Result<()> {
    let (begun, mut beginnings) = mpsc::unbounded_channel();
    let (workload, opening) = (plan.workload.clone(), Semaphore::new(MAX_OPENING));
    let tls = plan.certificate.as_deref().map(tls::client_config).transpose()?;
    let shared = Rc::new(Shared { plan, tls, token_finder: token_finder(workload.surface), opening, begun });
    let mut clients = JoinSet::new();
    for index in 0..workload.connections {
        clients.spawn_local(warm(Rc::clone(&shared), index));
    }
    let warmed = clients.join_all().await.into_iter().collect::<Result<Vec<_>>>()?;
    await_start()?;
    let began = now();
    let mut running = JoinSet::new();
    for client in warmed {
        running.spawn_local(ask_repeatedly(Rc::clone(&shared), client));
    }
    let mut measured = Measured::default();
    let mut begun_count = 0;
    loop {
        tokio::select! {
            Some(()) = beginnings.recv() => {
                begun_count += 1;
                if begun_count == workload.connections {
                    write_line("open")?;
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
    write_line(&serde_json::to_string(&Answers { requests, tokens, seconds, delay, first, first_end })?)
}

impl Shared {
    async fn connect(&self) -> Result<Connection> {
        let _permit = self.opening.acquire().await?;
        Connection::open(&self.plan.address, self.tls.as_ref()).await
    }
}

impl Client {
    async fn open(shared: &Shared, index: usize) -> Result<Self> {
        let plan = &shared.plan;
        let (address, key) = (&plan.address, &plan.keys[0]);
        let body = plan.workload.request_body();
        let request = format!(
            "POST {} HTTP/1.1\r\nhost: {address}\r\nauthorization: Bearer {key}\r\n\
             accept: text/event-stream\r\nuser-agent: bench/1.0\r\ncontent-type: application/json\r\n\
             content-length: {}\r\n\r\n{body}",
            plan.workload.surface.path(),
            body.len()
        );
        let begin = request.find(key.as_str()).ok_or("no key in the request")?;
        let (request, key) = (request.into_bytes(), begin..begin + key.len());
        Ok(Self { connection: shared.connect().await?, request, key, index, asked: 0 })
    }

    /// Sends the request once and checks the answer.
    async fn ask(&mut self, shared: &Shared, measured: &mut Measured) -> Result<()> {
        let workload = &shared.plan.workload;
        let turn = (self.asked * workload.connections + self.index) % shared.plan.keys.len();
        self.request[self.key.clone()].copy_from_slice(shared.plan.keys[turn].as_bytes());
        self.asked += 1;
        let began = now();
        if workload.reconnects && self.asked > 1 {
            self.connection = shared.connect().await?;
        }
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

    async fn stream(&mut self, shared: &Shared, began: u64, measured: &mut Measured) -> Result<()> {
        let mut check =
            StreamCheck::new(shared.plan.workload.surface, &shared.token_finder, shared.plan.workload.tokens);
        let mut stamps = Vec::new();
        loop {
            let Some(data) = self.connection.data().await? else { break };
            let before = check.tokens;
            check.push(data, &mut |stamp| stamps.push(stamp))?;
            let arrived = self.connection.arrived;
            if before == 0 && check.tokens > 0 {
                measured.firsts.push(began, arrived);
            }
            if before < TOKENS_OF_BEGUN && check.tokens >= TOKENS_OF_BEGUN && shared.plan.workload.held {
                let _ = shared.begun.send(());
            }
            for stamp in stamps.drain(..) {
                measured.delays.push(stamp, arrived);
            }
        }
        measured.tokens += check.tokens;
        check.finish()
    }
}

async fn warm(shared: Rc<Shared>, index: usize) -> Result<Client> {
    let mut client = Client::open(&shared, index).await?;
    for _ in 0..shared.plan.workload.warm {
        client.ask(&shared, &mut Measured::default()).await?;
    }
    Ok(client)
}

async fn ask_repeatedly(shared: Rc<Shared>, mut client: Client) -> Result<Measured> {
    let workload = &shared.plan.workload;
    // Spread over a gap, as the tokens of real streams are.
    sleep(Duration::from_micros(workload.gap * client.index as u64 / workload.connections as u64)).await;
    let mut measured = Measured::default();
    for _ in 0..workload.requests {
        client.ask(&shared, &mut measured).await?;
    }
    Ok(measured)
}
