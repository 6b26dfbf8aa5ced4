//! Counters that the recorder and the writer share.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// Numbers of records.
#[derive(Debug, Default)]
pub(super) struct UsageCounters {
    /// Recorded, and neither written nor lost yet.
    waiting: AtomicUsize,
    /// Lost since the start.
    dropped: AtomicU64,
    /// The value of `dropped` when it was last logged.
    logged: AtomicU64,
}

impl UsageCounters {
    pub(super) fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }

    pub(super) fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    /// Counts a record before it enters the queue, so that the writer can't subtract it first.
    pub(super) fn add_waiting(&self) {
        self.waiting.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn written(&self, records: usize) {
        self.waiting.fetch_sub(records, Ordering::Relaxed);
    }

    pub(super) fn lost(&self, records: usize) {
        self.waiting.fetch_sub(records, Ordering::Relaxed);
        self.dropped.fetch_add(records as u64, Ordering::Relaxed);
    }

    /// Logs the records that were lost since the last call.
    pub(super) fn log_lost(&self) {
        let total = self.dropped();
        let lost = total.saturating_sub(self.logged.swap(total, Ordering::Relaxed));
        if lost > 0 {
            tracing::error!(lost, total, "usage records lost: the database does not take them in time");
        }
    }
}
