//! The plan of one request: drawn from the seed, and carried by the request to the upstream.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::random::Random;
use crate::storm::fault::Fault;

/// Bytes of the message of the first request. Each further request has four more, so that the estimate of its prompt
/// identifies it.
const MIN_PROMPT: usize = 400;
/// Added to the prompt tokens that upstreams report, to distinguish them from the server's estimate.
pub const REPORTED: u64 = 1_000_000;

/// The API key of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Key {
    Alice,
    Bob,
}

impl Key {
    /// Its name in the configuration.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Alice => "alice",
            Self::Bob => "bob",
        }
    }

    /// Its secret.
    pub const fn secret(self) -> &'static str {
        match self {
            Self::Alice => "sk-alice-0123456789",
            Self::Bob => "sk-bob-0123456789",
        }
    }
}

/// The model of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Model {
    /// One upstream, always available: no failure is retried elsewhere.
    Solo,
    /// Two upstreams with weights; one becomes unavailable and recovers.
    Pair,
    /// Two upstreams, one of which becomes unavailable and recovers, and a fallback of lower priority.
    Tiers,
    /// Two upstreams with timeouts so short that they expire.
    Hasty,
}

impl Model {
    /// Its name in the configuration.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Solo => "solo",
            Self::Pair => "pair",
            Self::Tiers => "tiers",
            Self::Hasty => "hasty",
        }
    }

    /// Whether there is only one upstream.
    pub const fn is_alone(self) -> bool {
        matches!(self, Self::Solo)
    }
}

/// The behaviour of the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Behaviour {
    /// Reads everything.
    Read,
    /// Leaves once an upstream has the request, unless the answer arrives before.
    LeaveBeforeHead { reset: bool },
    /// Leaves after so many chunks, unless the stream ends before.
    LeaveAfter { chunks: usize, reset: bool },
    /// Has a small window, reads nothing until the upstream is held back, then reads everything.
    Pause,
    /// Has a small window and reads nothing until it has been cut.
    Stall,
}

/// How a body is split into HTTP chunks; each is one write.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub enum Split {
    /// One per frame.
    Frames,
    /// Anywhere, with at most so many bytes each.
    Bytes(usize),
}

/// The form of the events that an upstream sends. Clients get the canonical one.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub enum Dialect {
    /// As the real API.
    Exact,
    /// With CRLF at the ends of lines.
    Crlf,
    /// Without the space after the colon, and with comments and other fields.
    Odd,
}

/// The behaviour of an upstream in one attempt.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Script {
    pub fault: Fault,
    /// Chunks with text before the end, or before the failure.
    pub chunks: usize,
    /// Bytes of padding in each.
    pub size: usize,
    pub split: Split,
    pub dialect: Dialect,
    /// Longest pause between two writes, microseconds.
    pub pause: u64,
    /// Time until the head, milliseconds.
    pub late: u64,
    /// Closes the connection after a complete answer that did not announce it.
    pub then_close: bool,
    pub seed: u64,
}

/// One request.
#[derive(Clone, Debug)]
pub struct Plan {
    pub id: usize,
    pub key: Key,
    pub model: Model,
    pub streamed: bool,
    /// Whether the client requests usage.
    pub include_usage: bool,
    pub client: Behaviour,
    /// One for each attempt; the last one for all further ones.
    pub scripts: Vec<Script>,
}

impl Plan {
    /// Draws request number `id`.
    pub fn draw(id: usize, random: &mut Random) -> Self {
        // Some rare and long ones are in every batch, whatever the seed.
        let client = match id % 100 {
            7 | 41 => Behaviour::Stall,
            23 | 61 => Behaviour::Pause,
            _ => Behaviour::Read,
        };
        if client != Behaviour::Read {
            return Self::flood(id, client, random);
        }
        let model = random.one(&[Model::Solo, Model::Solo, Model::Pair, Model::Tiers, Model::Hasty]);
        let streamed = random.percent(80);
        let first = Script::draw(Fault::draw(model, streamed, random), random);
        let mut scripts = vec![first];
        for _ in 0..3 {
            let fault = if random.percent(60) { Fault::Clean } else { Fault::draw(model, streamed, random) };
            scripts.push(Script::draw(fault, random));
        }
        let reset = random.percent(50);
        let client = match random.below(10) {
            0 => Behaviour::LeaveBeforeHead { reset },
            1 | 2 if streamed => Behaviour::LeaveAfter { chunks: random.below(8), reset },
            _ => Behaviour::Read,
        };
        let include_usage = streamed && random.percent(40);
        Self { id, key: random.one(&[Key::Alice, Key::Bob]), model, streamed, include_usage, client, scripts }
    }

    /// A stream of more bytes than all buffers hold, for a reader that pauses or stalls.
    fn flood(id: usize, client: Behaviour, random: &mut Random) -> Self {
        let (chunks, size) = if client == Behaviour::Stall { (600, 48 << 10) } else { (300, 32 << 10) };
        let script = Script { chunks, size, split: Split::Frames, pause: 0, late: 0, ..Script::clean(random.any()) };
        let (model, key) = (Model::Solo, random.one(&[Key::Alice, Key::Bob]));
        Self { id, key, model, streamed: true, include_usage: random.percent(50), client, scripts: vec![script] }
    }

    /// A stream that stays open until its client leaves.
    pub fn held(id: usize, key: Key) -> Self {
        let script = Script { fault: Fault::Hold, chunks: 1, ..Script::clean(0) };
        let (model, client) = (Model::Solo, Behaviour::Read);
        Self { id, key, model, streamed: true, include_usage: false, client, scripts: vec![script] }
    }

    /// The prompt tokens that the server must estimate.
    pub const fn prompt(&self) -> u64 {
        (MIN_PROMPT / 4 + self.id) as u64
    }

    /// The body of the request.
    pub fn body(&self) -> Value {
        // The message itself is four tokens.
        let content = "p".repeat(MIN_PROMPT + 4 * self.id - 16);
        let mut body = json!({
            "model": self.model.name(), "messages": [{"role": "user", "content": content}], "stream": self.streamed,
            "x_plan": {"id": self.id, "scripts": self.scripts},
        });
        if self.include_usage {
            body["stream_options"] = json!({"include_usage": true});
        }
        body
    }
}

impl Script {
    /// A short answer without a fault.
    pub const fn clean(seed: u64) -> Self {
        Self {
            fault: Fault::Clean,
            chunks: 3,
            size: 0,
            split: Split::Frames,
            dialect: Dialect::Exact,
            pause: 0,
            late: 0,
            then_close: false,
            seed,
        }
    }

    fn draw(fault: Fault, random: &mut Random) -> Self {
        let split = if random.percent(50) { Split::Frames } else { Split::Bytes(random.one(&[1, 7, 60, 1000])) };
        Self {
            fault,
            chunks: random.below(25),
            size: random.one(&[0, 0, 10, 200]),
            split,
            dialect: random.one(&[Dialect::Exact, Dialect::Exact, Dialect::Crlf, Dialect::Odd]),
            pause: random.one(&[0, 0, 200, 3_000, 20_000]),
            late: random.one(&[0, 0, 0, 0, 0, 0, 5, 50, 700]),
            then_close: random.percent(15),
            seed: random.any(),
        }
    }
}
