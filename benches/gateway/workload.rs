//! The workloads: how many clients, how many requests, and how fast the upstream answers.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::surface::Surface;

/// Added to the least time that a workload takes: a measurement that takes longer has failed.
const EXTRA_TIME: Duration = Duration::from_secs(120);

/// The name of the workload where each request begins with a TLS handshake.
pub(crate) const HANDSHAKES: &str = "handshakes";

/// A load of completions.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Workload {
    pub(crate) name: String,
    /// Connections, each with one request at a time.
    pub(crate) connections: usize,
    /// Requests per connection, one after the other.
    pub(crate) requests: usize,
    /// Tokens per answer.
    pub(crate) tokens: usize,
    /// Time between tokens, µs; 0: as fast as possible.
    pub(crate) gap: u64,
    /// Bytes that the upstream collects before each write; 0: each token is a write of its own.
    pub(crate) batch: usize,
    pub(crate) stream: bool,
    /// Whether the memory of open streams is measured.
    pub(crate) held: bool,
    /// Requests per connection before the measurement.
    pub(crate) warm: usize,
    /// Whether each request has a connection of its own.
    pub(crate) reconnects: bool,
    /// The API in which it is asked for.
    pub(crate) surface: Surface,
}

/// A load of live events.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct EventWorkload {
    pub(crate) name: String,
    pub(crate) subscribers: usize,
    /// Events in total; 0: only the memory of idle subscribers is measured.
    pub(crate) events: usize,
    /// Time between events, µs.
    pub(crate) gap: u64,
}

/// A load of commands, which change the store.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct CommandWorkload {
    pub(crate) name: String,
    /// Connections, each with one command at a time.
    pub(crate) writers: usize,
    /// Commands per connection, one after the other.
    pub(crate) commands: usize,
}

/// The name of the workloads of commands on the command line.
pub(crate) const COMMANDS: &str = "commands";

/// The workloads of commands.
pub(crate) fn command_workloads(tiny: bool) -> Vec<CommandWorkload> {
    let workload =
        |writers, commands| CommandWorkload { name: format!("{COMMANDS}, {writers} writers"), writers, commands };
    if tiny { vec![workload(4, 5)] } else { vec![workload(1, 400), workload(8, 150), workload(32, 50)] }
}

impl Workload {
    /// The request body. It sets the upstream's number of tokens, their rate, and the size of its writes.
    pub(crate) fn request_body(&self) -> String {
        let user = format!("gap-{}-batch-{}", self.gap, self.batch);
        self.surface.body(self.stream, self.tokens, &user)
    }

    /// Whether processor time is given per token, not per request.
    pub(crate) fn per_token(&self) -> bool {
        self.stream && self.tokens > 1
    }

    /// The longest time that it may take.
    pub(crate) fn timeout(&self) -> Duration {
        Duration::from_micros(self.gap * ((self.requests + self.warm) * self.tokens) as u64) + EXTRA_TIME
    }
}

impl EventWorkload {
    /// The longest time that it may take.
    pub(crate) fn timeout(&self) -> Duration {
        Duration::from_micros(self.gap * self.events as u64) + EXTRA_TIME
    }
}

/// The workloads of completions; with `tiny`, small ones that only show that everything works.
pub(crate) fn workloads(tiny: bool) -> Vec<Workload> {
    let workload = |name: &str, full: [usize; 3], small: [usize; 3], gap, warm| {
        let [connections, requests, tokens] = if tiny { small } else { full };
        let (reconnects, held) = (name == HANDSHAKES, name == "hold");
        let stream = name != "plain" && !reconnects;
        let batch = if name == "batched" { 16 << 10 } else { 0 };
        let (name, surface) = (name.to_owned(), surface(name));
        Workload { name, connections, requests, tokens, gap, batch, stream, held, warm, reconnects, surface }
    };
    vec![
        workload("burst", [64, 100, 128], [4, 5, 128], 0, if tiny { 1 } else { 10 }),
        workload("batched", [64, 100, 128], [4, 5, 128], 0, if tiny { 1 } else { 10 }),
        workload("paced", [200, 4, 100], [10, 1, 50], 10_000, 1),
        workload("short", [32, 1_000, 1], [4, 25, 1], 0, if tiny { 1 } else { 100 }),
        workload("plain", [32, 1_000, 1], [4, 25, 1], 0, if tiny { 1 } else { 100 }),
        workload("hold", [2_000, 1, 12], [30, 1, 14], if tiny { 250_000 } else { 1_000_000 }, 0),
        workload(HANDSHAKES, [32, 100, 1], [4, 5, 1], 0, if tiny { 1 } else { 10 }),
        workload("responses", [64, 100, 128], [4, 5, 128], 0, if tiny { 1 } else { 10 }),
        workload("responses-native", [64, 100, 128], [4, 5, 128], 0, if tiny { 1 } else { 10 }),
        workload("messages", [64, 100, 128], [4, 5, 128], 0, if tiny { 1 } else { 10 }),
        workload("messages-native", [64, 100, 128], [4, 5, 128], 0, if tiny { 1 } else { 10 }),
    ]
}

/// The API of the workload of this name.
fn surface(name: &str) -> Surface {
    match name {
        "responses" | "responses-native" => Surface::Responses { native: name.ends_with("native") },
        "messages" | "messages-native" => Surface::Messages { native: name.ends_with("native") },
        _ => Surface::Chat,
    }
}

/// The workloads of live events; `max_connections` bounds the subscribers.
pub(crate) fn event_workloads(tiny: bool, max_connections: usize) -> Vec<EventWorkload> {
    let workload = |name: &str, [subscribers, events]: [usize; 2]| EventWorkload {
        name: name.to_owned(),
        subscribers: subscribers.min(max_connections),
        events,
        gap: 20_000,
    };
    let (live, idle) = if tiny { ([20, 50], [50, 0]) } else { ([1_000, 300], [10_000, 0]) };
    vec![workload("events", live), workload("idle", idle)]
}
