//! What is measured of one of a model's upstreams.

use super::count::{Counter, Gauge, GaugeGuard, Slots};

/// Most outcomes that are told apart.
const MAX_OUTCOMES: usize = 24;

/// One target's metrics.
#[derive(Debug, Default)]
pub struct TargetMetrics {
    pub(super) attempts: Slots<&'static str, MAX_OUTCOMES>,
    pub(super) ejections: Counter,
    pub(super) out: Gauge,
}

impl TargetMetrics {
    /// The outcome of an attempt that succeeded.
    pub const OK: &'static str = "ok";

    /// An attempt has come to `outcome`: [`TargetMetrics::OK`], or the failure's reason.
    pub fn attempt(&self, outcome: &'static str) {
        self.attempts.of(outcome).add(1);
    }

    /// The target is ejected. It is out until the guard is dropped.
    pub fn ejected(&self) -> GaugeGuard {
        self.ejections.add(1);
        self.out.hold()
    }
}
