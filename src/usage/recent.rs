//! The last records, for the page.

use std::collections::VecDeque;
use std::sync::Arc;

use super::record::UsageRecord;

/// Number of records that are kept in memory, whether they reach the database or not.
pub const MAX_RECENT: usize = 100;

/// The last [`MAX_RECENT`] records.
#[derive(Debug, Default)]
pub(super) struct RecentRecords {
    /// Number of records ever added.
    count: u64,
    /// The oldest first.
    records: VecDeque<Arc<UsageRecord>>,
}

impl RecentRecords {
    /// Adds a record; returns the one that it replaces.
    pub(super) fn push(&mut self, record: Arc<UsageRecord>) -> Option<Arc<UsageRecord>> {
        self.count += 1;
        let oldest = if self.records.len() >= MAX_RECENT { self.records.pop_front() } else { None };
        self.records.push_back(record);
        oldest
    }

    /// The records after the first `seen` ones, the newest first, and the number of records ever added.
    pub(super) fn since(&self, seen: u64) -> (Vec<Arc<UsageRecord>>, u64) {
        let new = usize::try_from(self.count.saturating_sub(seen)).unwrap_or(usize::MAX);
        (self.records.iter().rev().take(new).cloned().collect(), self.count)
    }
}
