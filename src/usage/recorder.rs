//! The handle with which requests record their usage.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use super::counters::UsageCounters;
use super::queue::Queue;
use super::record::UsageRecord;
use super::writer::UsageWriter;
use crate::store::Store;

/// Most records that wait for the database: about 30 MB, enough for over a minute at a thousand requests a second.
const MAX_QUEUED: usize = 65_536;

/// Takes usage records; cheap to clone. When the last clone is dropped, the writer ends.
#[derive(Clone, Debug)]
pub struct UsageRecorder(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    queue: Arc<Queue>,
    counters: Arc<UsageCounters>,
    /// How long records are kept, for the writer.
    keep: watch::Sender<Option<Duration>>,
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.queue.close();
    }
}

impl UsageRecorder {
    /// A recorder and its writer, which must [run](UsageWriter::run) for anything to reach `store`. Records are kept
    /// there for `keep`; `None`: for ever.
    #[must_use]
    pub fn new(store: Store, keep: Option<Duration>) -> (Self, UsageWriter) {
        Self::with_queue(store, keep, MAX_QUEUED)
    }

    pub(super) fn with_queue(store: Store, keep: Option<Duration>, max_queued: usize) -> (Self, UsageWriter) {
        let (queue, counters) = (Arc::new(Queue::new(max_queued)), Arc::<UsageCounters>::default());
        let (keep, kept) = watch::channel(keep);
        let writer = UsageWriter::new(store, kept, Arc::clone(&queue), Arc::clone(&counters));
        (Self(Arc::new(Shared { queue, counters, keep })), writer)
    }

    /// Keeps records for `keep` from now on; `None`: for ever.
    pub fn keep_for(&self, keep: Option<Duration>) {
        self.0.keep.send_if_modified(|current| std::mem::replace(current, keep) != keep);
    }

    /// Adds `record` to the queue. Never waits: if the queue is full or the writer has stopped, the record is dropped
    /// and counted.
    pub fn record(&self, mut record: UsageRecord) {
        record.truncate_texts();
        let Shared { queue, counters, .. } = &*self.0;
        counters.add_waiting();
        if !queue.push(Arc::new(record)) {
            counters.lost(1);
        }
    }

    /// Of the last [`MAX_RECENT`](super::MAX_RECENT) records those after the first `seen`, the newest first; and the
    /// number of records ever, for the next call.
    #[must_use]
    pub fn recent(&self, seen: u64) -> (Vec<Arc<UsageRecord>>, u64) {
        self.0.queue.recent(seen)
    }

    /// Records that are not in the database yet.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.counters.waiting()
    }

    /// Whether every record is in the database, or lost.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Records lost since the start: the queue was full, or the database failed at shutdown.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.0.counters.dropped()
    }

    #[cfg(test)]
    pub(super) fn queued(&self) -> usize {
        self.0.queue.len()
    }
}
