//! Deleting old records and series, and the cache of series.

use super::*;

#[tokio::test]
async fn series_enter_the_cache_only_when_their_batch_was_committed() {
    let store = store().await;
    let names = ["a", "b"].map(str::to_owned);
    let mut rows = numbered(0..10, &names);
    rows[9].duration = Duration::from_micros(7);
    refuse(&store, "NEW.duration_us = 7").await;
    store.record_usage(&rows).await.unwrap_err();
    rows[9].duration = Duration::ZERO;
    // The same series in two batches.
    store.record_usage(&rows[..5]).await.unwrap();
    store.record_usage(&rows[5..]).await.unwrap();
    assert_eq!((total(&store).await.requests, series(&store).await), (10, 2));
}

#[tokio::test]
async fn a_series_is_deleted_a_day_after_its_records_and_written_again_if_needed() {
    let store = store().await;
    let days = ["2026-01-01T12:00:00Z", "2026-01-02T00:00:00Z", "2026-01-03T00:00:00Z"];
    store.record_usage(&days.map(|at| row(at, "k", "m"))).await.unwrap();
    let left = async |before: &str| {
        while store.delete_usage_before(before.parse().unwrap(), 2).await.unwrap() >= 2 {}
        (total(&store).await.requests, series(&store).await)
    };
    assert_eq!(left("2026-01-01T11:00:00Z").await, (3, 3));
    assert_eq!(left("2026-01-02T23:00:00Z").await, (1, 3));
    assert_eq!(left("2026-01-03T00:00:00Z").await, (1, 2));
    assert_eq!(left("2026-01-05T00:00:00Z").await, (0, 0));
    // Records of deleted days, as after a wrong clock.
    store.record_usage(&days.map(|at| row(at, "other", "m"))[1..]).await.unwrap();
    store.record_usage(&days.map(|at| row(at, "k", "m"))).await.unwrap();
    assert_eq!(series(&store).await, 5);
    let groups = store.usage(None, None, &[UsageColumn::Key]).await.unwrap();
    let keys = groups.into_iter().map(|group| (group.key.unwrap().0, group.counts.requests));
    assert_eq!(keys.collect::<Vec<_>>(), [("k".to_owned(), 3), ("other".to_owned(), 2)]);
    let lowest: i64 =
        sqlx::query_scalar("SELECT min(series) FROM usage_series").fetch_one(&store.sqlite().reader).await.unwrap();
    assert_eq!(lowest, 4, "no number is used twice");
}

#[tokio::test]
async fn many_series_are_deleted_in_steps() {
    let store = store().await;
    let names: Vec<_> = (0..10).map(|number| format!("model {number}")).collect();
    store.record_usage(&numbered(0..10, &names)).await.unwrap();
    let mut steps = Vec::new();
    while series(&store).await > 0 {
        steps.push(store.delete_usage_before("2026-01-01T00:00:00Z".parse().unwrap(), 4).await.unwrap());
    }
    assert_eq!(steps, [4, 4, 4, 4, 4]);
}

#[tokio::test]
async fn a_record_without_its_series_is_still_counted() {
    let store = store().await;
    store.record_usage(&[row("2026-01-01T12:00:00Z", "k", "m")]).await.unwrap();
    sqlx::query("DELETE FROM usage_series").execute(&store.sqlite().writer).await.unwrap();
    let groups = store.usage(None, None, &[UsageColumn::Key, UsageColumn::Model]).await.unwrap();
    assert_eq!(groups[0].key, Some(("unknown".to_owned(), "unknown".to_owned())));
    assert_eq!((groups[0].counts.requests, groups[0].counts.prompt_tokens), (1, 3));
}

#[tokio::test]
async fn old_records_are_deleted_in_steps_and_others_stay() {
    let store = store().await;
    let second = |n: i64| Timestamp::from_second(n).unwrap();
    let rows: Vec<_> = (0..10).map(|n| UsageRow { at: second(n), ..row("2026-01-01T00:00:00Z", "k", "m") }).collect();
    store.record_usage(&rows).await.unwrap();
    let mut steps = Vec::new();
    loop {
        let deleted = store.delete_usage_before(second(7), 3).await.unwrap();
        steps.push(deleted);
        if deleted < 3 {
            break;
        }
    }
    assert_eq!(steps, [3, 3, 1]);
    assert_eq!(store.usage(None, Some(second(7)), &[]).await.unwrap(), []);
    assert_eq!(total(&store).await.requests, 3);
}

#[tokio::test]
async fn a_series_that_left_the_cache_is_written_again_and_counted_as_one() {
    let store = store().await;
    let rows = || [row("2026-01-01T12:00:00Z", "k", "m")];
    store.record_usage(&rows()).await.unwrap();
    store.record_usage(&rows()).await.unwrap();
    assert_eq!(series(&store).await, 1);
    store.series.clear();
    store.record_usage(&rows()).await.unwrap();
    assert_eq!(series(&store).await, 2);
    let groups = store.usage(None, None, &[UsageColumn::Key, UsageColumn::Model]).await.unwrap();
    assert_eq!((groups.len(), groups[0].counts.requests), (1, 3));
}
