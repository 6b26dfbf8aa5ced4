//! What clients ask for: how many at once, how much, and how fast the upstream answers.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// More than this beside what the workload itself takes is no measurement any more.
const PATIENCE: Duration = Duration::from_secs(120);

/// The only model.
pub(crate) const MODEL: &str = "bench";

/// Completions that are asked for at the same time.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Workload {
    pub(crate) name: String,
    /// Connections, each of which has one request at a time.
    pub(crate) connections: usize,
    /// Requests of each connection, one after the other.
    pub(crate) requests: usize,
    /// Tokens of each answer.
    pub(crate) tokens: usize,
    /// Time between two tokens, µs; 0: as fast as possible.
    pub(crate) gap: u64,
    /// What the upstream collects before it writes, bytes; 0: it writes each token by itself.
    pub(crate) batch: usize,
    pub(crate) stream: bool,
    /// Whether what counts is the memory that an open stream takes.
    pub(crate) held: bool,
    /// Requests of each connection before anything is measured.
    pub(crate) warm: usize,
}

/// Streams of live events.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Audience {
    pub(crate) name: String,
    pub(crate) subscribers: usize,
    /// Events in all; 0: nothing happens, and what counts is the memory that a subscriber takes.
    pub(crate) events: usize,
    /// Time between two events, µs.
    pub(crate) gap: u64,
}

impl Workload {
    /// What the upstream is to do stands in the request: how many tokens, how fast, and in what writes.
    pub(crate) fn request(&self) -> String {
        let stream = if self.stream { r#""stream":true,"# } else { "" };
        format!(
            r#"{{"model":"{MODEL}",{stream}"max_tokens":{},"user":"gap-{}-batch-{}","temperature":0.7,"messages":[{{"role":"system","content":"You are the friendly voice of a pet shop. Answer in one paragraph, name prices in dollars, and never promise an animal that is not in stock."}},{{"role":"user","content":"We live in a small flat on the third floor and have two children. Which of your dogs would you give us, and why?"}}]}}"#,
            self.tokens, self.gap, self.batch
        )
    }

    /// What the processor's time is divided by.
    pub(crate) fn per_token(&self) -> bool {
        self.stream && self.tokens > 1
    }

    /// How long it may take: what it takes at least, and then some.
    pub(crate) fn patience(&self) -> Duration {
        Duration::from_micros(self.gap * ((self.requests + self.warm) * self.tokens) as u64) + PATIENCE
    }
}

impl Audience {
    /// How long it may take: what it takes at least, and then some.
    pub(crate) fn patience(&self) -> Duration {
        Duration::from_micros(self.gap * self.events as u64) + PATIENCE
    }
}

/// The workloads, `tiny` ones to see that they work or those that numbers come from.
pub(crate) fn workloads(tiny: bool) -> Vec<Workload> {
    let workload = |name: &str, full: [usize; 3], small: [usize; 3], gap, warm| {
        let [connections, requests, tokens] = if tiny { small } else { full };
        let (stream, held) = (name != "plain", name == "hold");
        let batch = if name == "batched" { 16 << 10 } else { 0 };
        Workload { name: name.to_owned(), connections, requests, tokens, gap, batch, stream, held, warm }
    };
    vec![
        workload("burst", [64, 100, 128], [4, 5, 128], 0, if tiny { 1 } else { 10 }),
        workload("batched", [64, 100, 128], [4, 5, 128], 0, if tiny { 1 } else { 10 }),
        workload("paced", [200, 4, 100], [10, 1, 50], 10_000, 1),
        workload("short", [32, 1_000, 1], [4, 25, 1], 0, if tiny { 1 } else { 100 }),
        workload("plain", [32, 1_000, 1], [4, 25, 1], 0, if tiny { 1 } else { 100 }),
        workload("hold", [2_000, 1, 12], [30, 1, 14], if tiny { 250_000 } else { 1_000_000 }, 0),
    ]
}

/// The same for live events; `most`: connections that a process may have.
pub(crate) fn audiences(tiny: bool, most: usize) -> Vec<Audience> {
    let audience = |name: &str, [subscribers, events]: [usize; 2]| Audience {
        name: name.to_owned(),
        subscribers: subscribers.min(most),
        events,
        gap: 20_000,
    };
    let (live, idle) = if tiny { ([20, 50], [50, 0]) } else { ([1_000, 300], [10_000, 0]) };
    vec![audience("events", live), audience("idle", idle)]
}
