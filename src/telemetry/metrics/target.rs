//! Metrics of one upstream of a model.

use super::counters::{Counter, CounterMap, Gauge, GaugeGuard};

/// Outcomes with a label of their own.
const MAX_OUTCOMES: usize = 24;

/// The metrics of one target.
#[derive(Debug, Default)]
pub struct TargetMetrics {
    pub(super) attempts: CounterMap<&'static str, MAX_OUTCOMES>,
    pub(super) ejections: Counter,
    pub(super) ejected: Gauge,
}

impl TargetMetrics {
    /// The outcome of a successful attempt.
    pub const OK: &'static str = "ok";

    /// Counts an attempt by its outcome: [`TargetMetrics::OK`], or the reason of the failure.
    pub fn attempt(&self, outcome: &'static str) {
        self.attempts.counter(outcome).add(1);
    }

    /// Counts an ejection; the target is ejected until the guard is dropped.
    pub fn ejected(&self) -> GaugeGuard {
        self.ejections.add(1);
        self.ejected.increment()
    }
}
