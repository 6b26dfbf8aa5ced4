//! Metrics of limits that all replicas share.

use super::counters::{Counter, CounterMap, Gauge};

/// Kinds of limits with a label of their own.
const MAX_KINDS: usize = 4;

/// Metrics of limits that all replicas share.
#[derive(Debug, Default)]
pub struct LeaseMetrics {
    /// Exchanges with the shared state, each of one limit.
    pub(super) exchanges: Counter,
    /// Requests, tokens and permits that were taken of the shared state, by the kind of limit.
    pub(super) taken: CounterMap<&'static str, MAX_KINDS>,
    /// The same that were given back.
    pub(super) returned: CounterMap<&'static str, MAX_KINDS>,
    /// Requests refused because Redis did not answer.
    pub(super) unavailable: Counter,
    /// Tokens that streams have used beyond what was taken for them.
    pub(super) owed: Gauge,
    /// Limits of which something is held, owed or known to be used.
    pub(super) listed: Gauge,
    /// Times that Redis did not answer in time, or had lost its data.
    pub(super) outages: Gauge,
    /// The place of the mode in [`LeaseMetrics::MODES`].
    pub(super) mode: Gauge,
}

impl LeaseMetrics {
    /// Whether limits are shared, by the values of the label `mode`.
    pub const MODES: [&'static str; 3] = ["outage", "recovery", "shared"];

    /// Counts an exchange for a limit of this `kind`.
    pub fn exchanged(&self, kind: &'static str, taken: u64, returned: u64) {
        self.exchanges.add(1);
        if taken > 0 {
            self.taken.counter(kind).add(taken);
        }
        if returned > 0 {
            self.returned.counter(kind).add(returned);
        }
    }

    /// Counts a request that was refused because Redis did not answer.
    pub fn refused(&self) {
        self.unavailable.add(1);
    }

    /// Sets the number of limits in use, and the tokens that are owed.
    pub fn in_use(&self, limits: usize, owed: u64) {
        self.listed.set(limits);
        self.owed.set(usize::try_from(owed).unwrap_or(usize::MAX));
    }

    /// Sets the mode, its place in [`LeaseMetrics::MODES`], and the number of outages so far.
    pub fn mode_is(&self, mode: usize, outages: u64) {
        self.mode.set(mode);
        self.outages.set(usize::try_from(outages).unwrap_or(usize::MAX));
    }
}
