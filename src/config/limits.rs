//! The section `limits`, and the `limits` of a key: rate limits, and bounds of what a client can make the server hold.

use std::num::{NonZeroU32, NonZeroU64};
use std::time::Duration;

use super::duration::duration;
use super::value::{flag, shown_size, size, whole};
use super::walk::{Field, Section, Walk, join};

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;

/// Rate limits; those that are not set do not apply.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RateLimits {
    /// Requests a minute; all of a minute may come in one burst.
    pub requests_per_minute: Option<NonZeroU32>,
    /// Prompt and completion tokens a minute.
    pub tokens_per_minute: Option<NonZeroU64>,
    /// Streams open at the same time.
    pub concurrent_streams: Option<NonZeroU32>,
}

impl RateLimits {
    /// These limits, with those of `other` where none is set.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        Self {
            requests_per_minute: self.requests_per_minute.or(other.requests_per_minute),
            tokens_per_minute: self.tokens_per_minute.or(other.tokens_per_minute),
            concurrent_streams: self.concurrent_streams.or(other.concurrent_streams),
        }
    }
}

/// Rate limits, and bounds of what clients can make the server hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Rate limits of all keys together.
    pub total: RateLimits,
    /// Rate limits of each key, unless its own entry sets others.
    pub per_key: RateLimits,
    /// Longest request body, bytes. Default 16 MiB, 1 KiB to 1 GiB. Longer: 413.
    pub body: u64,
    /// All request bodies held at once, bytes. Default 512 MiB; `body` to 1 TiB. More: 503.
    pub bodies_total: u64,
    /// Share of one key in `bodies_total`. Default a quarter, and at least `body`; `body` to 1 TiB. More: 429.
    pub bodies_per_key: Option<u64>,
    /// Longest request head, bytes. Default 64 KiB, 8 KiB to 1 MiB. Longer: 431.
    pub head: usize,
    /// Deepest nesting of the JSON of a chat request. Default 128, 8 to 1024. Deeper: 400.
    pub json_depth: usize,
    /// Connections at once. Default 20,000, 1 to 1,000,000. Further ones wait in the kernel's queue.
    pub connections: usize,
    /// Longest time for the head of a connection's first request; `keep_alive` where that is shorter. Default 10 s, 1
    /// ms to 24 h. Then the connection is closed.
    pub header_read: Duration,
    /// Longest time from a response to the end of the next request's head. Default 75 s, 1 ms to 24 h: longer than the
    /// 60 s of common load balancers, so that the balancer closes first. Then the connection is closed.
    pub keep_alive: Duration,
    /// Longest silence while a request's body arrives. Default 30 s, 1 ms to 24 h. Then 408.
    pub body_read: Duration,
    /// Slowest rate of a body in bytes a second, measured over each `body_read`. Default 500; 0 to 1 GiB, 0: no bound.
    /// Less: 408.
    pub body_rate: u64,
    /// Longest time for a whole body. Default 10 min, 1 ms to 24 h. Then 408.
    pub body_time: Duration,
    /// Longest time in which a client reads no byte of an answer. Default 60 s, 1 ms to 24 h. Then the connection is
    /// cut.
    pub write_idle: Duration,
    /// Longest frame of an upstream's stream, bytes. Default 8 MiB, 1 KiB to 1 GiB.
    pub frame: usize,
    /// Longest answer of an upstream that is not a stream, bytes. Default 32 MiB, 1 KiB to 1 GiB.
    pub answer: usize,
    /// Parts of answers over 64 KiB held at once, bytes. Default 512 MiB, and at least `answer` and `frame`; those to 1
    /// TiB. More: 503, or the end of a running stream with that error.
    pub answers_total: u64,
    /// Share of one key in `answers_total`. Default a quarter, and at least `answer`. More: 429, or the end of a
    /// running stream with that error.
    pub answers_per_key: Option<u64>,
    /// Whether a running stream ends when the `tokens_per_minute` of its key are used up. Default false: it continues,
    /// and later requests are refused until the limit has recovered.
    pub stop_at_budget: bool,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            total: RateLimits::default(),
            per_key: RateLimits::default(),
            body: 16 * MIB,
            bodies_total: 512 * MIB,
            bodies_per_key: None,
            head: 64 << 10,
            json_depth: 128,
            connections: 20_000,
            header_read: Duration::from_secs(10),
            keep_alive: Duration::from_secs(75),
            body_read: Duration::from_secs(30),
            body_rate: 500,
            body_time: Duration::from_secs(10 * 60),
            write_idle: Duration::from_secs(60),
            frame: 8 << 20,
            answer: 32 << 20,
            answers_total: 512 * MIB,
            answers_per_key: None,
            stop_at_budget: false,
        }
    }
}

/// Reads `limits`.
pub(super) fn limits(walk: &mut Walk, root: &mut Section) -> Limits {
    let field = walk.take(root, "limits");
    let mut section = walk.section("limits", field);
    let total = walk.take(&mut section, "total");
    let per_key = walk.take(&mut section, "per_key");
    let default = Limits::default();
    let s = &mut section;
    let mut limits = Limits {
        total: rates(walk, "limits.total", total),
        per_key: rates(walk, "limits.per_key", per_key),
        body: walk.read(s, "body", size(KIB, GIB)).unwrap_or(default.body),
        bodies_total: default.bodies_total,
        bodies_per_key: None,
        head: walk.read(s, "head", size(8 * KIB, MIB)).unwrap_or(default.head),
        json_depth: walk.read(s, "json_depth", whole(8, 1024)).unwrap_or(default.json_depth),
        connections: walk.read(s, "connections", whole(1, 1_000_000)).unwrap_or(default.connections),
        header_read: walk.read(s, "header_read", duration).unwrap_or(default.header_read),
        keep_alive: walk.read(s, "keep_alive", duration).unwrap_or(default.keep_alive),
        body_read: walk.read(s, "body_read", duration).unwrap_or(default.body_read),
        body_rate: walk.read(s, "body_rate", size(0, GIB)).unwrap_or(default.body_rate),
        body_time: walk.read(s, "body_time", duration).unwrap_or(default.body_time),
        write_idle: walk.read(s, "write_idle", duration).unwrap_or(default.write_idle),
        frame: walk.read(s, "frame", size(KIB, GIB)).unwrap_or(default.frame),
        answer: walk.read(s, "answer", size(KIB, GIB)).unwrap_or(default.answer),
        answers_total: default.answers_total,
        answers_per_key: None,
        stop_at_budget: walk.read(s, "stop_at_budget", flag).unwrap_or(default.stop_at_budget),
    };
    let body = Minimum { bytes: limits.body, what: "a body", setting: "limits.body" };
    let total = body.read(walk, &mut section, "bodies_total", Some(limits.bodies_total));
    limits.bodies_total = total.unwrap_or(limits.bodies_total);
    limits.bodies_per_key = body.read(walk, &mut section, "bodies_per_key", None);
    let (answer, frame) = (limits.answer as u64, limits.frame as u64);
    let answer = if frame > answer {
        Minimum { bytes: frame, what: "a frame", setting: "limits.frame" }
    } else {
        Minimum { bytes: answer, what: "an answer", setting: "limits.answer" }
    };
    let total = answer.read(walk, &mut section, "answers_total", Some(limits.answers_total.max(answer.bytes)));
    limits.answers_total = total.unwrap_or(limits.answers_total);
    limits.answers_per_key = answer.read(walk, &mut section, "answers_per_key", None);
    walk.finish(section);
    limits
}

impl Limits {
    /// The bytes of bodies that one key may hold.
    #[must_use]
    pub fn bodies_of_a_key(&self) -> u64 {
        self.bodies_per_key.unwrap_or((self.bodies_total / 4).max(self.body)).min(self.bodies_total)
    }

    /// The bytes of answers that one key may hold.
    #[must_use]
    pub fn answers_of_a_key(&self) -> u64 {
        let one = self.answer.max(self.frame) as u64;
        self.answers_per_key.unwrap_or((self.answers_total / 4).max(one)).min(self.answers_total)
    }

    /// The same bounds, with the whole as the share of one key.
    #[must_use]
    pub(super) const fn undivided(self) -> Self {
        Self { bodies_per_key: Some(self.bodies_total), answers_per_key: Some(self.answers_total), ..self }
    }
}

/// The size that a bound in bytes must at least have.
struct Minimum {
    bytes: u64,
    /// The name of the bounded item, with its article, for the error.
    what: &'static str,
    /// The setting of that size.
    setting: &'static str,
}

impl Minimum {
    /// Reads the size at `key`, or takes `default` if there is one, and checks it.
    fn read(&self, walk: &mut Walk, section: &mut Section, key: &'static str, default: Option<u64>) -> Option<u64> {
        let field = walk.take(section, key);
        let line = field.as_ref().map_or(section.line, |field| field.node.line);
        let bytes = match &field {
            Some(field) => walk.check(field, size(KIB, 1024 * GIB))?,
            None => default?,
        };
        if bytes < self.bytes {
            let (has, least) = (shown_size(bytes), shown_size(self.bytes));
            let problem = format!("{has} has no room for {} of {least} ({}); raise it", self.what, self.setting);
            walk.error(&join("limits", key), line, problem);
        }
        Some(bytes)
    }
}

/// Reads the rate limits at `path`.
pub(super) fn rates(walk: &mut Walk, path: &str, field: Option<Field>) -> RateLimits {
    let mut section = walk.section(path, field);
    let s = &mut section;
    let limits = RateLimits {
        requests_per_minute: walk.read(s, "requests_per_minute", whole(1, u32::MAX.into())).and_then(NonZeroU32::new),
        tokens_per_minute: walk.read(s, "tokens_per_minute", whole(1, i64::MAX as u64)).and_then(NonZeroU64::new),
        concurrent_streams: walk.read(s, "concurrent_streams", whole(1, u32::MAX.into())).and_then(NonZeroU32::new),
    };
    walk.finish(section);
    limits
}
