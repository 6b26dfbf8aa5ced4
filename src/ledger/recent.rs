//! The last entries, for people who watch.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use super::Entry;

/// Entries that are kept, whether they reach the database or not.
pub const RECENT: usize = 100;

/// The last entries.
#[derive(Debug, Default)]
pub(super) struct Recent {
    // std Mutex: never held across .await
    last: Mutex<Last>,
}

#[derive(Debug, Default)]
struct Last {
    /// Entries ever.
    count: u64,
    /// The oldest first.
    entries: VecDeque<Arc<Entry>>,
}

impl Recent {
    pub(super) fn push(&self, entry: Arc<Entry>) {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        last.count += 1;
        // Dropped when others may go on.
        let oldest = if last.entries.len() >= RECENT { last.entries.pop_front() } else { None };
        last.entries.push_back(entry);
        drop(last);
        drop(oldest);
    }

    /// Those behind the first `seen`, the newest first, and how many there have been ever.
    pub(super) fn since(&self, seen: u64) -> (Vec<Arc<Entry>>, u64) {
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let new = usize::try_from(last.count.saturating_sub(seen)).unwrap_or(usize::MAX);
        (last.entries.iter().rev().take(new).cloned().collect(), last.count)
    }
}
