//! How much of the past is kept.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio_util::sync::CancellationToken;

use crate::store::event_log::EventLog;

/// Time between two looks.
const PAUSE: Duration = Duration::from_secs(30);
/// Events deleted in one transaction: a writer waits for no more than that.
const BATCH: u32 = 500;
/// Time for writers between two batches.
const BREATHER: Duration = Duration::from_millis(10);

/// Deletes events that are older than `keep` or not among the last `count`, until `stop`.
pub async fn retain(log: EventLog, keep: Duration, count: u64, stop: CancellationToken) {
    stop.run_until_cancelled(async {
        loop {
            prune(&log, keep, count).await;
            tokio::time::sleep(PAUSE).await;
        }
    })
    .await;
}

/// Deletes what is too much now. A failure is logged; the next look tries again.
async fn prune(log: &EventLog, keep: Duration, count: u64) {
    let keep = SignedDuration::try_from(keep).unwrap_or(SignedDuration::MAX);
    loop {
        let before = Timestamp::now().checked_sub(keep).unwrap_or(Timestamp::MIN);
        match log.prune(before, count, BATCH).await {
            Ok(gone) if gone < u64::from(BATCH) => return,
            Ok(_) => tokio::time::sleep(BREATHER).await,
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
    use crate::events::tests::Bench;

    #[tokio::test]
    async fn what_is_too_much_goes_in_batches_and_the_rest_stays() {
        let bench = Bench::new().await;
        bench.write_pets(1_300).await;
        prune(&bench.log, Duration::from_secs(3_600), 100).await;
        assert_eq!(bench.log.position().await.unwrap().pruned, 1_200);
        prune(&bench.log, Duration::ZERO, 100).await;
        assert_eq!(bench.log.position().await.unwrap().pruned, 1_300);
    }

    #[tokio::test]
    async fn it_ends_when_told() {
        let bench = Bench::new().await;
        let stop = CancellationToken::new();
        let task = tokio::spawn(retain(bench.log.clone(), Duration::from_secs(60), 1, stop.clone()));
        stop.cancel();
        task.await.unwrap();
    }
}
