//! Deletes old records, a few at a time.

use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::watch;

use crate::store::Store;

/// Time between two runs.
const RUN_INTERVAL: Duration = Duration::from_secs(60 * 60);
/// Records deleted in one statement: some milliseconds, for which other writers wait.
const BATCH: u32 = 1_000;
/// Pause between two batches, in which others write.
const BATCH_PAUSE: Duration = Duration::from_millis(20);

/// Deletes records older than `keep`, now, every hour, and when it changes; `None`: nothing. The database file does not
/// shrink: new records use the space.
pub(super) async fn delete_old_records(store: &Store, mut keep: watch::Receiver<Option<Duration>>) {
    loop {
        let current = *keep.borrow_and_update();
        if let Some(current) = current {
            run(store, current).await;
        }
        // The last recorder is gone, and with it the setting.
        if let Ok(Err(_)) = tokio::time::timeout(RUN_INTERVAL, keep.changed()).await {
            return;
        }
    }
}

async fn run(store: &Store, keep: Duration) {
    // A time before the calendar's beginning: no record is older.
    let Ok(before) = Timestamp::now().checked_sub(keep) else { return };
    let mut total = 0;
    loop {
        match store.delete_usage_before(before, BATCH).await {
            Ok(deleted) => {
                total += deleted;
                if deleted < u64::from(BATCH) {
                    break;
                }
            }
            Err(error) => {
                tracing::warn!(%error, "old usage records can't be removed; the next try is in an hour");
                break;
            }
        }
        tokio::time::sleep(BATCH_PAUSE).await;
    }
    if total > 0 {
        tracing::info!(removed = total, %before, "old usage records removed");
    }
}
