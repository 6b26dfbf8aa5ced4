//! The last entries, for people who watch.

use std::collections::VecDeque;
use std::sync::Arc;

use super::UsageRecord;

/// Entries that are kept, whether they reach the database or not.
pub const RECENT: usize = 100;

/// The last entries.
#[derive(Debug, Default)]
pub(super) struct Recent {
    /// Entries ever.
    count: u64,
    /// The oldest first.
    entries: VecDeque<Arc<UsageRecord>>,
}

impl Recent {
    /// Adds one; gives the one that goes.
    pub(super) fn push(&mut self, entry: Arc<UsageRecord>) -> Option<Arc<UsageRecord>> {
        self.count += 1;
        let oldest = if self.entries.len() >= RECENT { self.entries.pop_front() } else { None };
        self.entries.push_back(entry);
        oldest
    }

    /// Those behind the first `seen`, the newest first, and how many there have been ever.
    pub(super) fn since(&self, seen: u64) -> (Vec<Arc<UsageRecord>>, u64) {
        let new = usize::try_from(self.count.saturating_sub(seen)).unwrap_or(usize::MAX);
        (self.entries.iter().rev().take(new).cloned().collect(), self.count)
    }
}
