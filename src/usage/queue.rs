//! The queue between the requests and the writer.
//!
//! One lock and nothing else for each entry: whoever takes entries out takes all that there are, and is woken only for the
//! first of them.

use std::collections::VecDeque;
use std::sync::{Arc, PoisonError};

use super::UsageRecord;
use super::recent::Recent;
use crate::sync::{Mutex, MutexGuard, Notify};

/// See the module.
#[derive(Debug)]
pub(super) struct Queue {
    // std Mutex: never held across .await
    state: Mutex<State>,
    /// Rung for the first entry, and when there will be no more.
    bell: Notify,
    most: usize,
}

#[derive(Debug, Default)]
struct State {
    waiting: VecDeque<Arc<UsageRecord>>,
    recent: Recent,
    closed: bool,
}

impl Queue {
    /// Has room for so many.
    pub(super) fn new(most: usize) -> Self {
        Self { state: Mutex::default(), bell: Notify::new(), most }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds an entry; false: there is no room, or nobody takes any more. It is remembered all the same.
    pub(super) fn push(&self, entry: Arc<UsageRecord>) -> bool {
        let mut state = self.state();
        let oldest = state.recent.push(Arc::clone(&entry));
        let has_room = !state.closed && state.waiting.len() < self.most;
        let is_first = state.waiting.is_empty();
        if has_room {
            state.waiting.push_back(entry);
        }
        drop(state);
        if has_room && is_first {
            self.bell.notify_one();
        }
        // Dropped when others may go on.
        drop(oldest);
        has_room
    }

    /// Those behind the first `seen`, the newest first, and how many there have been ever.
    pub(super) fn recent(&self, seen: u64) -> (Vec<Arc<UsageRecord>>, u64) {
        self.state().recent.since(seen)
    }

    /// Moves what is there to `batch`, up to `room`; gives how many.
    pub(super) fn take(&self, batch: &mut Vec<Arc<UsageRecord>>, room: usize) -> usize {
        let mut state = self.state();
        let count = state.waiting.len().min(room);
        batch.extend(state.waiting.drain(..count));
        count
    }

    /// As [`Queue::take`], once there is something; 0: there will be nothing any more.
    pub(super) async fn taken(&self, batch: &mut Vec<Arc<UsageRecord>>, room: usize) -> usize {
        loop {
            // Looked at first: nothing comes behind what closed it.
            let closed = self.state().closed;
            let count = self.take(batch, room);
            if count > 0 || closed {
                return count;
            }
            self.bell.notified().await;
        }
    }

    /// Takes no more from now on.
    pub(super) fn close(&self) {
        self.state().closed = true;
        self.bell.notify_one();
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.state().waiting.len()
    }
}
