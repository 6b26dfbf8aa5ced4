//! What is kept, what goes, and in what steps.

use super::*;

#[tokio::test]
async fn what_is_known_of_a_batch_that_failed_is_forgotten_and_of_one_that_did_not_is_kept() {
    let store = store().await;
    let names = ["a", "b"].map(str::to_owned);
    let mut rows = numbered(0..10, &names);
    rows[9].duration = Duration::from_micros(7);
    refuse(&store, "NEW.duration_us = 7").await;
    store.record_usage(&rows).await.unwrap_err();
    rows[9].duration = Duration::ZERO;
    // Of the same series, in two batches.
    store.record_usage(&rows[..5]).await.unwrap();
    store.record_usage(&rows[5..]).await.unwrap();
    assert_eq!((total(&store).await.requests, series(&store).await), (10, 2));
}

#[tokio::test]
async fn a_series_goes_a_day_after_its_records_and_is_written_again_if_need_be() {
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
    // The clock was wrong.
    store.record_usage(&days.map(|at| row(at, "other", "m"))[1..]).await.unwrap();
    store.record_usage(&days.map(|at| row(at, "k", "m"))).await.unwrap();
    assert_eq!(series(&store).await, 5);
    let groups = store.usage(None, None, &[UsageColumn::Key]).await.unwrap();
    let keys = groups.into_iter().map(|group| (group.key.unwrap().0, group.counts.requests));
    assert_eq!(keys.collect::<Vec<_>>(), [("k".to_owned(), 3), ("other".to_owned(), 2)]);
    let lowest: i64 =
        sqlx::query_scalar("SELECT min(series) FROM usage_series").fetch_one(store.reader()).await.unwrap();
    assert_eq!(lowest, 4, "no number is given out twice");
}

#[tokio::test]
async fn many_series_go_in_steps() {
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
async fn a_record_whose_series_is_gone_is_counted_all_the_same() {
    let store = store().await;
    store.record_usage(&[row("2026-01-01T12:00:00Z", "k", "m")]).await.unwrap();
    sqlx::query("DELETE FROM usage_series").execute(store.writer()).await.unwrap();
    let groups = store.usage(None, None, &[UsageColumn::Key, UsageColumn::Model]).await.unwrap();
    assert_eq!(groups[0].key, Some(("unknown".to_owned(), "unknown".to_owned())));
    assert_eq!((groups[0].counts.requests, groups[0].counts.prompt_tokens), (1, 3));
}

#[tokio::test]
async fn old_rows_go_in_steps_and_young_ones_stay() {
    let store = store().await;
    let second = |n: i64| Timestamp::from_second(n).unwrap();
    let rows: Vec<_> = (0..10).map(|n| UsageRow { at: second(n), ..row("2026-01-01T00:00:00Z", "k", "m") }).collect();
    store.record_usage(&rows).await.unwrap();
    let mut steps = Vec::new();
    loop {
        let gone = store.delete_usage_before(second(7), 3).await.unwrap();
        steps.push(gone);
        if gone < 3 {
            break;
        }
    }
    assert_eq!(steps, [3, 3, 1]);
    assert_eq!(store.usage(None, Some(second(7)), &[]).await.unwrap(), []);
    assert_eq!(total(&store).await.requests, 3);
}
