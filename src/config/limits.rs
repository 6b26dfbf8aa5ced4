//! Reads the sections `limits`, `responder` and `petstore`, and a key's own `limits`.

use std::num::{NonZeroU32, NonZeroU64};
use std::time::Duration;

use super::duration::duration;
use super::value::{flag, number, shown_size, size, whole};
use super::walk::{Field, Section, Walk, join};
use super::{Limits, PetStoreConfig, RateLimits, ResponderConfig};

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;

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
    let body = Least { bytes: limits.body, what: "a body", setting: "limits.body" };
    let total = body.read(walk, &mut section, "bodies_total", Some(limits.bodies_total));
    limits.bodies_total = total.unwrap_or(limits.bodies_total);
    limits.bodies_per_key = body.read(walk, &mut section, "bodies_per_key", None);
    let (answer, frame) = (limits.answer as u64, limits.frame as u64);
    let answer = if frame > answer {
        Least { bytes: frame, what: "a frame", setting: "limits.frame" }
    } else {
        Least { bytes: answer, what: "an answer", setting: "limits.answer" }
    };
    let total = answer.read(walk, &mut section, "answers_total", Some(limits.answers_total.max(answer.bytes)));
    limits.answers_total = total.unwrap_or(limits.answers_total);
    limits.answers_per_key = answer.read(walk, &mut section, "answers_per_key", None);
    walk.finish(section);
    limits
}

impl Limits {
    /// What one key may hold of the memory for bodies.
    #[must_use]
    pub fn bodies_of_a_key(&self) -> u64 {
        self.bodies_per_key.unwrap_or((self.bodies_total / 4).max(self.body)).min(self.bodies_total)
    }

    /// What one key may hold of the memory for answers.
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

impl PetStoreConfig {
    /// How many pets one key may have made.
    #[must_use]
    pub fn pets_of_a_key(&self) -> u64 {
        self.pets_per_key.unwrap_or(self.pets.div_ceil(2)).min(self.pets)
    }

    /// How many orders of one key are kept.
    #[must_use]
    pub fn orders_of_a_key(&self) -> u64 {
        self.orders_per_key.unwrap_or(self.orders.div_ceil(2)).min(self.orders)
    }

    /// The same bounds, with the whole as the share of one key.
    #[must_use]
    pub(super) const fn undivided(self) -> Self {
        Self { pets_per_key: Some(self.pets), orders_per_key: Some(self.orders), ..self }
    }
}

/// The least that a bound in bytes must have room for.
struct Least {
    bytes: u64,
    /// One of what is held, with its article.
    what: &'static str,
    /// The setting that says how large one may be.
    setting: &'static str,
}

impl Least {
    /// Reads the size `key`, if it is given, and checks it, or `default` where there is one.
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

/// Reads a group of rate limits.
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

/// Reads `responder`.
pub(super) fn responder(walk: &mut Walk, root: &mut Section) -> ResponderConfig {
    let field = walk.take(root, "responder");
    let mut section = walk.section("responder", field);
    let tokens_per_second = walk.read(&mut section, "tokens_per_second", number(0.1, 100_000.0));
    walk.finish(section);
    ResponderConfig { tokens_per_second }
}

/// Reads `petstore`.
pub(super) fn petstore(walk: &mut Walk, root: &mut Section) -> PetStoreConfig {
    let field = walk.take(root, "petstore");
    let mut section = walk.section("petstore", field);
    let default = PetStoreConfig::default();
    let petstore = PetStoreConfig {
        public_reads: walk.read(&mut section, "public_reads", flag).unwrap_or(default.public_reads),
        low_stock: walk.read(&mut section, "low_stock", whole(0, 1_000_000)).unwrap_or(default.low_stock),
        pets: walk.read(&mut section, "pets", whole(1, 1_000_000)).unwrap_or(default.pets),
        pets_per_key: walk.read(&mut section, "pets_per_key", whole(1, 1_000_000)),
        orders: walk.read(&mut section, "orders", whole(100, 100_000_000)).unwrap_or(default.orders),
        orders_per_key: walk.read(&mut section, "orders_per_key", whole(100, 100_000_000)),
    };
    walk.finish(section);
    petstore
}
