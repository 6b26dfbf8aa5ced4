//! The queue between requests and the writer.
//!
//! A record costs one lock. The writer takes all records at once, and is woken only for the first of them.

use std::collections::VecDeque;
use std::sync::{Arc, PoisonError};

use super::recent::RecentRecords;
use super::record::UsageRecord;
use crate::sync::{Mutex, MutexGuard, Notify};

/// A bounded queue of records, and the last ones for display.
#[derive(Debug)]
pub(super) struct Queue {
    // std Mutex: never held across .await
    state: Mutex<State>,
    /// Notified for the first record in the queue, and when it is closed.
    notify: Notify,
    max_len: usize,
}

#[derive(Debug, Default)]
struct State {
    waiting: VecDeque<Arc<UsageRecord>>,
    recent: RecentRecords,
    closed: bool,
}

impl Queue {
    pub(super) fn new(max_len: usize) -> Self {
        Self { state: Mutex::default(), notify: Notify::new(), max_len }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a record; `false` if the queue is full or closed. The record is among the recent ones in any case.
    pub(super) fn push(&self, record: Arc<UsageRecord>) -> bool {
        let mut state = self.state();
        let oldest = state.recent.push(Arc::clone(&record));
        let has_space = !state.closed && state.waiting.len() < self.max_len;
        let is_first = state.waiting.is_empty();
        if has_space {
            state.waiting.push_back(record);
        }
        drop(state);
        if has_space && is_first {
            self.notify.notify_one();
        }
        // Dropped after the lock.
        drop(oldest);
        has_space
    }

    /// See [`RecentRecords::since`].
    pub(super) fn recent(&self, seen: u64) -> (Vec<Arc<UsageRecord>>, u64) {
        self.state().recent.since(seen)
    }

    /// Moves the queued records to `batch`, at most `max`; returns their number.
    pub(super) fn take(&self, batch: &mut Vec<Arc<UsageRecord>>, max: usize) -> usize {
        let mut state = self.state();
        let count = state.waiting.len().min(max);
        batch.extend(state.waiting.drain(..count));
        count
    }

    /// As [`Queue::take`], after waiting for a record; 0 if the queue is closed and empty.
    pub(super) async fn wait_and_take(&self, batch: &mut Vec<Arc<UsageRecord>>, max: usize) -> usize {
        loop {
            // Read first: no record enters a closed queue, so an empty one stays empty.
            let closed = self.state().closed;
            let count = self.take(batch, max);
            if count > 0 || closed {
                return count;
            }
            self.notify.notified().await;
        }
    }

    /// Refuses records from now on.
    pub(super) fn close(&self) {
        self.state().closed = true;
        self.notify.notify_one();
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.state().waiting.len()
    }
}
