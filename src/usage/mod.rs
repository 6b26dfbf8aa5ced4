//! The ledger: what each completion request used, on its way to the database.
//!
//! A request leaves its [`UsageRecord`] in a bounded queue and goes on; [`Writer::run`] takes them out in batches and writes
//! each in one transaction. What can be lost, and when:
//!
//! - The process is killed (`kill -9`, out of memory): what was recorded in the last half second — 250 ms in which a
//!   batch is collected, and the writing — and requests that were still running, which have no entry yet.
//! - The machine loses power: also what the operating system had not put on the disk, up to the last checkpoint of the
//!   database's write-ahead log.
//! - The database can't be written: nothing while the queue has room; a batch is tried again until it is in. Entries
//!   that find the queue full are lost, counted by [`UsageRecorder::dropped`], and the log says so once a second.
//! - Shutdown: nothing, if the database can be written within 3 seconds; else what is left is counted as above.

mod queue;
mod recent;
mod record;
mod retention;
#[cfg(test)]
mod tests;
mod writer;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

pub use recent::RECENT;
pub use record::UsageRecord;
pub use writer::Writer;

use self::queue::Queue;
use crate::store::Store;

/// Most entries that wait for the database. A full queue takes some 30 MB, and lasts for over a minute at a thousand
/// requests a second.
pub const QUEUE: usize = 65_536;

/// Where requests leave their entries; cheap to clone.
#[derive(Clone, Debug)]
pub struct UsageRecorder(Arc<Entrance>);

/// What all ledgers are.
#[derive(Debug)]
struct Entrance {
    queue: Arc<Queue>,
    tally: Arc<Tally>,
}

impl Drop for Entrance {
    fn drop(&mut self) {
        self.queue.close();
    }
}

/// What both ends of the queue count.
#[derive(Debug, Default)]
struct Tally {
    /// Recorded, and neither written nor lost yet.
    waiting: AtomicUsize,
    /// Lost, ever.
    dropped: AtomicU64,
    /// Of those, how many the log knows of.
    told: AtomicU64,
}

impl UsageRecorder {
    /// A ledger and its writer, which must [run](Writer::run) for anything to reach `store`.
    ///
    /// `keep` is how long entries stay there; none: for ever.
    #[must_use]
    pub fn new(store: Store, keep: Option<Duration>) -> (Self, Writer) {
        Self::with_queue(store, keep, QUEUE)
    }

    fn with_queue(store: Store, keep: Option<Duration>, most: usize) -> (Self, Writer) {
        let (queue, tally) = (Arc::new(Queue::new(most)), Arc::<Tally>::default());
        let writer = Writer::new(store, keep, Arc::clone(&queue), Arc::clone(&tally));
        (Self(Arc::new(Entrance { queue, tally })), writer)
    }

    /// Takes `entry` down. Never waits: if the queue is full, or the writer has stopped, the entry is dropped and
    /// counted.
    pub fn record(&self, mut entry: UsageRecord) {
        entry.shorten();
        let Entrance { queue, tally } = &*self.0;
        // Before it is in the queue: the writer must not take off what was not put on yet.
        tally.waiting.fetch_add(1, Ordering::Relaxed);
        if !queue.push(Arc::new(entry)) {
            tally.lose(1);
        }
    }

    /// Of the last [`RECENT`] entries those behind the first `seen`, the newest first; and how many have been recorded
    /// ever, which is what has been seen then.
    #[must_use]
    pub fn recent(&self, seen: u64) -> (Vec<Arc<UsageRecord>>, u64) {
        self.0.queue.recent(seen)
    }

    /// Entries recorded that are not in the database yet.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.tally.waiting.load(Ordering::Relaxed)
    }

    /// Whether everything recorded is in the database, or lost.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Entries lost since the start: the queue was full, or the database failed at shutdown.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.0.tally.dropped.load(Ordering::Relaxed)
    }
}

impl Tally {
    fn written(&self, entries: usize) {
        self.waiting.fetch_sub(entries, Ordering::Relaxed);
    }

    fn lose(&self, entries: usize) {
        self.waiting.fetch_sub(entries, Ordering::Relaxed);
        self.dropped.fetch_add(entries as u64, Ordering::Relaxed);
    }

    /// Logs what was lost since the last time.
    fn tell(&self) {
        let total = self.dropped.load(Ordering::Relaxed);
        let lost = total.saturating_sub(self.told.swap(total, Ordering::Relaxed));
        if lost > 0 {
            tracing::error!(lost, total, "usage records lost: the database does not take them in time");
        }
    }
}
