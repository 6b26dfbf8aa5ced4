//! Pruning of the event log by age and number.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::store::event_log::EventLog;

/// Time between two runs.
const PRUNE_INTERVAL: Duration = Duration::from_secs(30);
/// Events deleted in one transaction; other writers wait for it.
const BATCH: u32 = 500;
/// Pause between two batches, in which others write.
const BATCH_PAUSE: Duration = Duration::from_millis(10);

/// Which events are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// How long.
    pub keep: Duration,
    /// How many.
    pub count: u64,
}

/// Deletes events that are not to be kept any more, every 30 seconds until `stop` is cancelled.
pub async fn retain(log: EventLog, retention: watch::Receiver<Retention>, stop: CancellationToken) {
    stop.run_until_cancelled(async {
        loop {
            let Retention { keep, count } = *retention.borrow();
            prune(&log, keep, count).await;
            tokio::time::sleep(PRUNE_INTERVAL).await;
        }
    })
    .await;
}

/// One run. A failure is logged; the next run tries again.
async fn prune(log: &EventLog, keep: Duration, count: u64) {
    let keep = SignedDuration::try_from(keep).unwrap_or(SignedDuration::MAX);
    loop {
        let before = Timestamp::now().checked_sub(keep).unwrap_or(Timestamp::MIN);
        match log.prune(before, count, BATCH).await {
            Ok(deleted) if deleted < u64::from(BATCH) => return,
            Ok(_) => tokio::time::sleep(BATCH_PAUSE).await,
            Err(error) => {
                tracing::warn!(%error, "old events can't be deleted");
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::events::tests::LogFixture;

    #[tokio::test]
    async fn excess_events_are_deleted_in_batches_and_the_rest_stays() {
        let fixture = LogFixture::new().await;
        fixture.write_pets(1_300).await;
        prune(&fixture.log, Duration::from_secs(3_600), 100).await;
        assert_eq!(fixture.log.position().await.unwrap().pruned, 1_200);
        prune(&fixture.log, Duration::ZERO, 100).await;
        assert_eq!(fixture.log.position().await.unwrap().pruned, 1_300);
    }

    #[tokio::test]
    async fn retention_ends_at_the_stop() {
        let fixture = LogFixture::new().await;
        let stop = CancellationToken::new();
        let (_keep, retention) = watch::channel(Retention { keep: Duration::from_secs(60), count: 1 });
        let task = tokio::spawn(retain(fixture.log.clone(), retention, stop.clone()));
        stop.cancel();
        task.await.unwrap();
    }
}
