//! The other end of the queue.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::queue::Queue;
use super::{Tally, UsageRecord, retention};
use crate::store::{Store, UsageRow};

/// Most entries of one transaction: some milliseconds, for which other writers wait.
pub(super) const BATCH: usize = 2_048;
/// How long a batch is collected, from its first entry on.
const WINDOW: Duration = Duration::from_millis(250);
/// First pause after a failure; it doubles up to [`MAX_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const MAX_PAUSE: Duration = Duration::from_secs(5);
/// How long the database may fail after the stop before what is left is given up. With the 25 s that running requests
/// have, it stays under Kubernetes' grace period of 30 s.
const LAST_TRIES: Duration = Duration::from_secs(3);
/// The log tells of lost entries at most this often.
const TELL: Duration = Duration::from_secs(1);

/// Writes entries to the database; see [`run`](Self::run).
#[derive(Debug)]
pub struct Writer {
    store: Store,
    keep: Option<Duration>,
    waiting: Waiting,
    tally: Arc<Tally>,
}

/// What waits: in the queue, and at hand.
#[derive(Debug)]
struct Waiting {
    queue: Arc<Queue>,
    /// Stays here until it is written, so that it can be counted when it is given up.
    batch: Vec<Arc<UsageRecord>>,
}

impl Writer {
    pub(super) fn new(store: Store, keep: Option<Duration>, queue: Arc<Queue>, tally: Arc<Tally>) -> Self {
        Self { store, keep, waiting: Waiting { queue, batch: Vec::new() }, tally }
    }

    /// Writes entries, in batches of up to 2,048 or 250 ms, and removes those older than `keep`, at once and hourly.
    ///
    /// Ends when all that was recorded before `stop` is written (or given up, 3 s later), or when the last
    /// [`UsageRecorder`](super::UsageRecorder) is gone. Entries recorded after `stop` are lost and counted: cancel it when the last
    /// request has ended, not when the shutdown begins.
    pub async fn run(self, stop: CancellationToken) {
        let Self { store, keep, mut waiting, tally } = self;
        let given_up = async {
            stop.cancelled().await;
            sleep(LAST_TRIES).await;
        };
        let aside = join(stop.run_until_cancelled(retention::keep_for(&store, keep)), tell(&tally));
        tokio::select! {
            () = write(&store, &mut waiting, &tally, &stop) => {}
            () = given_up => tally.lose(waiting.give_up()),
            // Telling has no end.
            _ = aside => {}
        }
        tally.tell();
    }
}

/// Writes until there will be no more entries.
async fn write(store: &Store, waiting: &mut Waiting, tally: &Tally, stop: &CancellationToken) {
    while waiting.fill(stop).await {
        // With the same ids on every try: what was written although the database reported a failure is known. One is
        // made, the others follow it.
        let first = Uuid::new_v4().as_u64_pair().0.cast_signed();
        let ids = (0..).map(|number| first.wrapping_add(number));
        let rows: Vec<_> = waiting.batch.iter().zip(ids).map(|(entry, id)| entry.row(id)).collect();
        insist(store, &rows, stop).await;
        tally.written(rows.len());
        waiting.batch.clear();
    }
}

/// Tries until `rows` are written.
async fn insist(store: &Store, rows: &[UsageRow<'_>], stop: &CancellationToken) {
    let mut pause = FIRST_PAUSE;
    while let Err(error) = store.record_usage(rows).await {
        tracing::warn!(%error, records = rows.len(), ?pause, "usage records can't be written; they are tried again");
        // After the stop time is short.
        if stop.is_cancelled() {
            sleep(FIRST_PAUSE).await;
        } else {
            stop.run_until_cancelled(sleep(pause)).await;
        }
        pause = MAX_PAUSE.min(pause * 2);
    }
}

async fn tell(tally: &Tally) {
    loop {
        sleep(TELL).await;
        tally.tell();
    }
}

impl Waiting {
    /// Waits for an entry, then collects more; false: there will be none any more.
    async fn fill(&mut self, stop: &CancellationToken) -> bool {
        if self.receive(stop).await == 0 {
            return false;
        }
        // The queue is not waited on meanwhile: whoever waits is woken by every entry. Unless there is much to do.
        if self.batch.len() < BATCH {
            stop.run_until_cancelled(sleep(WINDOW)).await;
            let room = BATCH - self.batch.len();
            self.queue.take(&mut self.batch, room);
        }
        true
    }

    /// Waits for entries and puts them to the batch, which has room; 0: there will be none any more. Nothing is lost
    /// when this is dropped.
    async fn receive(&mut self, stop: &CancellationToken) -> usize {
        let room = BATCH - self.batch.len();
        tokio::select! {
            biased;
            () = stop.cancelled() => self.queue.close(),
            taken = self.queue.taken(&mut self.batch, room) => return taken,
        }
        // Closed: what is in it comes without a wait, and then none.
        self.queue.taken(&mut self.batch, room).await
    }

    /// Empties it; tells how many were in it.
    fn give_up(&mut self) -> usize {
        self.queue.close();
        self.queue.take(&mut self.batch, usize::MAX);
        let lost = self.batch.len();
        self.batch.clear();
        lost
    }
}
