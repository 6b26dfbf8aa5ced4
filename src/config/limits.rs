//! Reads the sections `limits`, `responder` and `petstore`, and a key's own `limits`.

use std::num::{NonZeroU32, NonZeroU64};
use std::time::Duration;

use super::duration::duration;
use super::value::{flag, number, shown_size, size, whole};
use super::walk::{Field, Section, Walk};
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
            head: 64 << 10,
            json_depth: 128,
            connections: 20_000,
            header_read: Duration::from_secs(10),
            body_read: Duration::from_secs(30),
            write_idle: Duration::from_secs(60),
            frame: 8 << 20,
            answer: 32 << 20,
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
        head: walk.read(s, "head", size(8 * KIB, MIB)).unwrap_or(default.head),
        json_depth: walk.read(s, "json_depth", whole(8, 1024)).unwrap_or(default.json_depth),
        connections: walk.read(s, "connections", whole(1, 1_000_000)).unwrap_or(default.connections),
        header_read: walk.read(s, "header_read", duration).unwrap_or(default.header_read),
        body_read: walk.read(s, "body_read", duration).unwrap_or(default.body_read),
        write_idle: walk.read(s, "write_idle", duration).unwrap_or(default.write_idle),
        frame: walk.read(s, "frame", size(KIB, GIB)).unwrap_or(default.frame),
        answer: walk.read(s, "answer", size(KIB, GIB)).unwrap_or(default.answer),
        stop_at_budget: walk.read(s, "stop_at_budget", flag).unwrap_or(default.stop_at_budget),
    };
    bodies_total(walk, &mut section, &mut limits);
    walk.finish(section);
    limits
}

/// All bodies at once must have room for one.
fn bodies_total(walk: &mut Walk, section: &mut Section, limits: &mut Limits) {
    let field = walk.take(section, "bodies_total");
    let line = field.as_ref().map_or(section.line, |field| field.node.line);
    if let Some(field) = field {
        let Some(bytes) = walk.check(&field, size(KIB, 1024 * GIB)) else { return };
        limits.bodies_total = bytes;
    }
    if limits.bodies_total < limits.body {
        let problem = format!(
            "{} has no room for a body of {} (limits.body); raise it",
            shown_size(limits.bodies_total),
            shown_size(limits.body)
        );
        walk.error("limits.bodies_total", line, problem);
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
    };
    walk.finish(section);
    petstore
}
