//! Writes records from the queue to the database, in batches.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join;
use tokio::sync::watch;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::counters::UsageCounters;
use super::queue::Queue;
use super::record::UsageRecord;
use super::retention::delete_old_records;
use crate::store::{Store, UsageRow};

/// Most records of one transaction: some milliseconds, for which other writers wait.
pub(super) const MAX_BATCH: usize = 2_048;
/// How long a batch is collected after its first record.
const BATCH_WINDOW: Duration = Duration::from_millis(250);
/// First pause after a failure; it doubles up to [`MAX_RETRY_PAUSE`].
const FIRST_RETRY_PAUSE: Duration = Duration::from_millis(100);
const MAX_RETRY_PAUSE: Duration = Duration::from_secs(5);
/// How long a failing database is retried after the stop before the rest is lost. Together with the 25 s for running
/// requests it stays below the grace period of Kubernetes, 30 s.
const FINAL_FLUSH_TIMEOUT: Duration = Duration::from_secs(3);
/// Shortest time between two log lines about lost records.
const LOST_LOG_INTERVAL: Duration = Duration::from_secs(1);

/// Writes records to the database; see [`run`](Self::run).
#[derive(Debug)]
pub struct UsageWriter {
    store: Store,
    keep: watch::Receiver<Option<Duration>>,
    pending: Pending,
    counters: Arc<UsageCounters>,
}

/// The records that are not written yet: in the queue and in the current batch.
#[derive(Debug)]
struct Pending {
    queue: Arc<Queue>,
    /// Stays here until it is written, so that its records can be counted if they are lost.
    batch: Vec<Arc<UsageRecord>>,
}

impl UsageWriter {
    pub(super) fn new(
        store: Store,
        keep: watch::Receiver<Option<Duration>>,
        queue: Arc<Queue>,
        counters: Arc<UsageCounters>,
    ) -> Self {
        Self { store, keep, pending: Pending { queue, batch: Vec::new() }, counters }
    }

    /// Writes records in batches of up to 2,048 or 250 ms, and deletes those older than the recorder keeps, at once, hourly,
    /// and when that changes.
    ///
    /// Ends when every record of before `stop` is written (or lost, 3 s later), or when the last
    /// [`UsageRecorder`](super::UsageRecorder) is dropped. Records after `stop` are lost and counted: it is cancelled
    /// when the last request has ended, not when the shutdown begins.
    pub async fn run(self, stop: CancellationToken) {
        let Self { store, keep, mut pending, counters } = self;
        let timed_out = async {
            stop.cancelled().await;
            sleep(FINAL_FLUSH_TIMEOUT).await;
        };
        let background = join(stop.run_until_cancelled(delete_old_records(&store, keep)), log_lost(&counters));
        tokio::select! {
            () = write_all(&store, &mut pending, &counters, &stop) => {}
            () = timed_out => counters.lost(pending.discard()),
            // Never ends.
            _ = background => {}
        }
        counters.log_lost();
    }
}

/// Writes until the queue is closed and empty.
async fn write_all(store: &Store, pending: &mut Pending, counters: &UsageCounters, stop: &CancellationToken) {
    while pending.fill_batch(stop).await {
        // The same ids for every attempt, so that a batch that was written although an error was reported is not
        // written twice. The first is random, the others follow it.
        let first = Uuid::new_v4().as_u64_pair().0.cast_signed();
        let ids = (0..).map(|number| first.wrapping_add(number));
        let rows: Vec<_> = pending.batch.iter().zip(ids).map(|(record, id)| record.row(id)).collect();
        write_with_retries(store, &rows, stop).await;
        counters.written(rows.len());
        pending.batch.clear();
    }
}

/// Retries until `rows` are written.
async fn write_with_retries(store: &Store, rows: &[UsageRow<'_>], stop: &CancellationToken) {
    let mut pause = FIRST_RETRY_PAUSE;
    while let Err(error) = store.record_usage(rows).await {
        tracing::warn!(%error, records = rows.len(), ?pause, "usage records can't be written; they are tried again");
        // After the stop there is little time.
        if stop.is_cancelled() {
            sleep(FIRST_RETRY_PAUSE).await;
        } else {
            stop.run_until_cancelled(sleep(pause)).await;
        }
        pause = MAX_RETRY_PAUSE.min(pause * 2);
    }
}

async fn log_lost(counters: &UsageCounters) {
    loop {
        sleep(LOST_LOG_INTERVAL).await;
        counters.log_lost();
    }
}

impl Pending {
    /// Waits for a record, then collects more for 250 ms; `false` if the queue is closed and empty.
    async fn fill_batch(&mut self, stop: &CancellationToken) -> bool {
        if self.receive(stop).await == 0 {
            return false;
        }
        // Sleeps instead of waiting on the queue, which would wake this task for every record. A full batch is not
        // delayed.
        if self.batch.len() < MAX_BATCH {
            stop.run_until_cancelled(sleep(BATCH_WINDOW)).await;
            let space = MAX_BATCH - self.batch.len();
            self.queue.take(&mut self.batch, space);
        }
        true
    }

    /// Waits for records and adds them to the batch, which has space; 0 if the queue is closed and empty. Dropping the
    /// future loses nothing.
    async fn receive(&mut self, stop: &CancellationToken) -> usize {
        let space = MAX_BATCH - self.batch.len();
        tokio::select! {
            biased;
            () = stop.cancelled() => self.queue.close(),
            taken = self.queue.wait_and_take(&mut self.batch, space) => return taken,
        }
        // Closed: the remaining records are taken without waiting.
        self.queue.wait_and_take(&mut self.batch, space).await
    }

    /// Drops all pending records; returns their number.
    fn discard(&mut self) -> usize {
        self.queue.close();
        self.queue.take(&mut self.batch, usize::MAX);
        let lost = self.batch.len();
        self.batch.clear();
        lost
    }
}
