//! What is measured of one of a model's upstreams.

use super::count::{Counter, Held, Level, Slots};

/// Most outcomes that are told apart.
const MOST_OUTCOMES: usize = 24;

/// One target's metrics.
#[derive(Debug, Default)]
pub struct TargetMetrics {
    pub(super) attempts: Slots<&'static str, MOST_OUTCOMES>,
    pub(super) ejections: Counter,
    pub(super) out: Level,
}

impl TargetMetrics {
    /// The outcome of an attempt that succeeded.
    pub const OK: &'static str = "ok";

    /// An attempt has come to `outcome`: [`TargetMetrics::OK`], or the failure's reason.
    pub fn attempt(&self, outcome: &'static str) {
        self.attempts.of(outcome).add(1);
    }

    /// The target is ejected. It is out until the guard is dropped.
    pub fn ejected(&self) -> Held {
        self.ejections.add(1);
        self.out.hold()
    }
}
