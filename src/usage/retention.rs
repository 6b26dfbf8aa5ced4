//! Old entries are removed, a few at a time.

use std::time::Duration;

use jiff::Timestamp;

use crate::store::Store;

/// Time between two looks for old entries.
const PERIOD: Duration = Duration::from_secs(60 * 60);
/// Rows that go at once: some milliseconds, for which other writers wait.
const STEP: u32 = 1_000;
/// Pause between two steps, in which the others write: even the first run after a long time holds nobody up.
const PAUSE: Duration = Duration::from_millis(20);

/// Removes what is older than `keep`, now and every hour. The file does not shrink: new entries take the room.
pub(super) async fn keep_for(store: &Store, keep: Option<Duration>) {
    let Some(keep) = keep else { return };
    loop {
        forget(store, keep).await;
        tokio::time::sleep(PERIOD).await;
    }
}

async fn forget(store: &Store, keep: Duration) {
    // Before the calendar's beginning there is nothing to remove.
    let Ok(before) = Timestamp::now().checked_sub(keep) else { return };
    let mut removed = 0;
    loop {
        match store.delete_usage_before(before, STEP).await {
            Ok(gone) => {
                removed += gone;
                if gone < u64::from(STEP) {
                    break;
                }
            }
            Err(error) => {
                tracing::warn!(%error, "old usage records can't be removed; the next try is in an hour");
                break;
            }
        }
        tokio::time::sleep(PAUSE).await;
    }
    if removed > 0 {
        tracing::info!(removed, %before, "old usage records removed");
    }
}
