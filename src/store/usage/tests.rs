//! Writing and summing usage records.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use jiff::Timestamp;
use sqlx::Row as _;

use super::totals::totals_sql;
use super::*;
use crate::store::Store;

mod kept;
mod older;

static NEXT: AtomicI64 = AtomicI64::new(-3);
static REQUEST: LazyLock<Arc<str>> = LazyLock::new(|| "req_1".into());

fn row<'a>(at: &str, key: &'a str, model: &'a str) -> UsageRow<'a> {
    UsageRow {
        at: at.parse().unwrap(),
        id: NEXT.fetch_add(1, Ordering::Relaxed),
        request_id: Some(&REQUEST),
        key_id: key,
        key,
        operation: "chat",
        model,
        target: Some("t"),
        attempts: 1,
        streamed: true,
        prompt_tokens: 3,
        completion_tokens: 5,
        source: Some("exact"),
        first_token: Some(Duration::from_micros(1_500)),
        duration: Duration::from_secs(2),
        terminal: "completed",
        reason: None,
        status: 200,
        answered: Some("m-2026"),
    }
}

async fn store() -> Store {
    Store::open("sqlite::memory:").await.unwrap()
}

async fn total(store: &Store) -> UsageCounts {
    store.usage(None, None, &[]).await.unwrap().first().map(|group| group.counts).unwrap_or_default()
}

/// Makes the database refuse new rows that match the condition.
async fn refuse(store: &Store, condition: &str) {
    let trigger = format!(
        "CREATE TRIGGER refuse BEFORE INSERT ON usage_requests WHEN {condition} BEGIN SELECT raise(ABORT, 'no'); END"
    );
    sqlx::query(sqlx::AssertSqlSafe(trigger)).execute(&store.sqlite().writer).await.unwrap();
}

/// A number of rows for which every prepared statement is used once.
const ALL_SIZES: u64 = 256 + 64 + 16 + 8 + 4 + 2 + 1;

#[test]
fn every_statement_is_used_for_that_number_of_rows() {
    assert_eq!(insert::SIZES.iter().map(|rows| *rows as u64).sum::<u64>(), ALL_SIZES);
}

/// Rows that contain their number.
fn numbered(numbers: std::ops::Range<u64>, models: &[String]) -> Vec<UsageRow<'_>> {
    numbers
        .map(|number| UsageRow {
            at: Timestamp::from_second(number.cast_signed()).unwrap(),
            prompt_tokens: number,
            completion_tokens: 1_000 - number,
            model: &models[number as usize % models.len()],
            ..row("2026-01-01T00:00:00Z", "k", "")
        })
        .collect()
}

async fn series(store: &Store) -> i64 {
    sqlx::query_scalar("SELECT count(*) FROM usage_series").fetch_one(&store.sqlite().reader).await.unwrap()
}

#[tokio::test]
async fn totals_are_grouped_and_ordered_by_the_requested_columns() {
    use UsageColumn::{Day, Key, Model};
    let store = store().await;
    let rows = [
        row("2026-01-01T00:00:00Z", "b", "m"),
        row("2026-01-01T23:59:59.999Z", "b", "m"),
        row("2026-01-02T00:00:00Z", "b", "m"),
        row("2026-01-02T00:00:00Z", "a", "n"),
        UsageRow { key: "zoe", ..row("2026-01-02T00:00:00Z", "a2", "m") },
    ];
    store.record_usage(&rows).await.unwrap();
    let shown = async |by: &[UsageColumn]| -> Vec<String> {
        let groups = store.usage(None, None, by).await.unwrap();
        let text = |group: &UsageGroup| {
            let UsageGroup { key, model, day, counts, .. } = group;
            let parts = [key.clone().map(|key| key.1), model.clone(), day.map(|day| day.to_string())];
            format!("{} {}", parts.into_iter().flatten().collect::<Vec<_>>().join(" "), counts.requests)
        };
        groups.iter().map(text).collect()
    };
    assert_eq!(
        shown(&[Key, Model, Day]).await,
        ["a n 2026-01-02 1", "b m 2026-01-01 2", "b m 2026-01-02 1", "zoe m 2026-01-02 1"]
    );
    assert_eq!(shown(&[Day]).await, ["2026-01-01 2", "2026-01-02 3"]);
    assert_eq!(shown(&[Model, Key]).await, ["b m 3", "zoe m 1", "a n 1"]);
    assert_eq!(shown(&[]).await, [" 5"]);
    let id = &store.usage(None, None, &[Key]).await.unwrap()[2].key;
    assert_eq!(id.clone().unwrap(), ("a2".to_owned(), "zoe".to_owned()));
}

#[tokio::test]
async fn totals_can_be_grouped_by_the_model_that_answered() {
    let store = store().await;
    let rows = [Some("b"), None, Some("a"), Some("b")]
        .map(|answered| UsageRow { answered, ..row("2026-01-01T00:00:00Z", "k", "m") });
    store.record_usage(&rows).await.unwrap();
    let groups = store.usage(None, None, &[UsageColumn::Model, UsageColumn::Answered]).await.unwrap();
    let shown: Vec<_> = groups.iter().map(|group| (group.answered.clone().unwrap(), group.counts.requests)).collect();
    assert_eq!(shown, [(None, 1), (Some("a".to_owned()), 1), (Some("b".to_owned()), 2)]);
    assert_eq!(series(&store).await, 3);
}

#[tokio::test]
async fn totals_can_be_grouped_by_the_operation() {
    let store = store().await;
    let rows = ["embeddings", "chat", "embeddings"]
        .map(|operation| UsageRow { operation, ..row("2026-01-01T00:00:00Z", "k", "m") });
    store.record_usage(&rows).await.unwrap();
    let groups = store.usage(None, None, &[UsageColumn::Operation]).await.unwrap();
    let shown: Vec<_> = groups.iter().map(|group| (group.operation.as_deref(), group.counts.requests)).collect();
    assert_eq!(shown, [(Some("chat"), 1), (Some("embeddings"), 2)]);
    assert_eq!(series(&store).await, 2);
}

#[tokio::test]
async fn keys_with_the_same_name_are_separate_groups() {
    let store = store().await;
    let rows = ["config:k", "0198"].map(|id| UsageRow { key: "k", ..row("2026-01-01T00:00:00Z", id, "m") });
    store.record_usage(&rows).await.unwrap();
    assert_eq!(store.usage(None, None, &[UsageColumn::Key]).await.unwrap().len(), 2);
}

#[tokio::test]
async fn the_lower_bound_of_time_is_inclusive_and_the_upper_one_exclusive() {
    let store = store().await;
    let rows = ["00:00:00", "01:00:00", "02:00:00"].map(|time| row(&format!("2026-01-01T{time}Z"), "k", "m"));
    store.record_usage(&rows).await.unwrap();
    let at = |hour: i64| Some(rows[0].at + jiff::SignedDuration::from_hours(hour));
    let count = async |since, until| {
        store.usage(since, until, &[]).await.unwrap().first().map_or(0, |group| group.counts.requests)
    };
    assert_eq!(count(at(0), at(2)).await, 2);
    assert_eq!(count(at(1), None).await, 2);
    assert_eq!(count(None, at(0)).await, 0);
    assert_eq!(count(at(3), None).await, 0);
}

#[tokio::test]
async fn endings_and_sources_are_counted() {
    let store = store().await;
    let base = || row("2026-01-01T00:00:00Z", "k", "m");
    let rows = [
        base(),
        UsageRow { terminal: "failed", reason: Some("upstream_closed"), source: Some("running"), ..base() },
        UsageRow { terminal: "failed", reason: Some("rate_limited"), source: None, target: None, ..base() },
        UsageRow { terminal: "client_gone", source: Some("counted"), first_token: None, ..base() },
        UsageRow { source: Some("estimated"), ..base() },
        UsageRow { source: Some("estimated"), ..base() },
    ];
    store.record_usage(&rows).await.unwrap();
    let expected = UsageCounts {
        requests: 6,
        failed: 2,
        client_gone: 1,
        prompt_tokens: 18,
        completion_tokens: 30,
        exact: 1,
        running: 1,
        counted: 1,
        estimated: 2,
    };
    assert_eq!(total(&store).await, expected);
}

#[tokio::test]
async fn every_column_is_written() {
    let store = store().await;
    let written = UsageRow {
        operation: "embeddings",
        reason: Some("why"),
        terminal: "failed",
        ..row("2026-01-01T00:00:00.0019Z", "k", "m")
    };
    store.record_usage(std::slice::from_ref(&written)).await.unwrap();
    let row = sqlx::query("SELECT * FROM usage_records").fetch_one(&store.sqlite().reader).await.unwrap();
    let text = |column: &str| row.get::<Option<String>, _>(column);
    let number = |column: &str| row.get::<i64, _>(column);
    for (column, expected) in [
        ("request_id", "req_1"),
        ("key_id", "k"),
        ("key_name", "k"),
        ("model", "m"),
        ("target", "t"),
        ("source", "exact"),
        ("terminal", "failed"),
        ("reason", "why"),
        ("answered_model", "m-2026"),
        ("operation", "embeddings"),
    ] {
        assert_eq!(text(column).as_deref(), Some(expected), "{column}");
    }
    for (column, expected) in [
        ("at", 1_767_225_600_001),
        ("attempts", 1),
        ("streamed", 1),
        ("prompt_tokens", 3),
        ("completion_tokens", 5),
        ("first_token_us", 1_500),
        ("duration_us", 2_000_000),
        ("status", 200),
    ] {
        assert_eq!(number(column), expected, "{column}");
    }
}

#[tokio::test]
async fn a_row_has_its_own_texts_whatever_the_row_before_has() {
    let store = store().await;
    // Each value follows an equal one, another one and `None`.
    let texts = [Some("a"), None, Some("a"), Some("a"), Some("b"), None, None, Some("")];
    let requests = texts.map(|text| text.map(Arc::<str>::from));
    let rows: Vec<_> = (0_i64..)
        .zip(texts.into_iter().zip(&requests))
        .map(|(second, (text, request))| UsageRow {
            at: Timestamp::from_second(second).unwrap(),
            request_id: request.as_ref(),
            key_id: text.unwrap_or("id"),
            key: text.unwrap_or("key"),
            model: text.unwrap_or("model"),
            target: text,
            source: text,
            terminal: text.unwrap_or("terminal"),
            reason: text,
            ..row("2026-01-01T00:00:00Z", "", "")
        })
        .collect();
    store.record_usage(&rows).await.unwrap();
    let columns = ["request_id", "key_id", "key_name", "model", "target", "source", "terminal", "reason"];
    let read = sqlx::query("SELECT * FROM usage_records ORDER BY at").fetch_all(&store.sqlite().reader).await.unwrap();
    let read = read.iter().map(|row| columns.map(|column| row.get::<Option<String>, _>(column)));
    let or = |text: Option<&str>, other: &str| Some(text.unwrap_or(other).to_owned());
    let own = |text: Option<&str>| text.map(str::to_owned);
    let expected = texts.map(|text| {
        let (key_id, key, model) = (or(text, "id"), or(text, "key"), or(text, "model"));
        [own(text), key_id, key, model, own(text), own(text), or(text, "terminal"), own(text)]
    });
    assert_eq!(read.collect::<Vec<_>>(), expected);
}

#[tokio::test]
async fn a_large_batch_is_written_with_all_its_numbers_or_not_at_all() {
    for models in [1, 12, ALL_SIZES] {
        let names: Vec<_> = (0..models).map(|number| format!("model {number}")).collect();
        let store = store().await;
        let mut rows = numbered(0..ALL_SIZES, &names);
        refuse(&store, "NEW.duration_us = 7").await;
        for bad in [0, 17, 255, 256, rows.len() - 1] {
            let duration = std::mem::replace(&mut rows[bad].duration, Duration::from_micros(7));
            assert!(store.record_usage(&rows).await.is_err());
            rows[bad].duration = duration;
        }
        assert_eq!((total(&store).await.requests, series(&store).await), (0, 0));
        store.record_usage(&rows).await.unwrap();
        let sql = "SELECT at / 1000, prompt_tokens, completion_tokens, model FROM usage_records ORDER BY at";
        let read: Vec<(i64, i64, i64, String)> = sqlx::query_as(sql).fetch_all(&store.sqlite().reader).await.unwrap();
        let expected = rows.iter().map(|row| {
            let number = row.prompt_tokens.cast_signed();
            (number, number, 1_000 - number, row.model.to_owned())
        });
        assert_eq!(read, expected.collect::<Vec<_>>());
        assert_eq!(series(&store).await, models.cast_signed());
    }
}

#[tokio::test]
async fn rows_that_differ_in_one_column_of_a_series_have_different_series() {
    type Change = fn(&mut UsageRow<'_>);
    let changes: [Change; 11] = [
        |row| row.key_id = "other",
        |row| row.key = "other",
        |row| row.model = "other",
        |row| row.target = None,
        |row| row.attempts = 0,
        |row| row.streamed = false,
        |row| row.source = None,
        |row| row.terminal = "failed",
        |row| row.reason = Some(""),
        |row| row.status = 500,
        |row| row.at += jiff::SignedDuration::from_hours(24),
    ];
    let sql = "SELECT count(*) FROM usage_records GROUP BY key_id, key_name, model, target, attempts, streamed, source, \
               terminal, reason, status, at / 86400000";
    let names = ["m".to_owned()];
    for change in changes {
        let store = store().await;
        let mut rows = numbered(0..80, &names);
        rows.iter_mut().step_by(2).for_each(change);
        // Some rows have the series of the row before, others need a look-up.
        rows.rotate_left(3);
        rows[..40].sort_by_key(|row| row.prompt_tokens % 2);
        store.record_usage(&rows).await.unwrap();
        let counts: Vec<i64> = sqlx::query_scalar(sql).fetch_all(&store.sqlite().reader).await.unwrap();
        assert_eq!((counts, series(&store).await), (vec![40, 40], 2));
    }
}

#[tokio::test]
async fn absurd_numbers_are_clamped_and_totals_saturate() {
    let store = store().await;
    let base = || row("2026-01-01T00:00:00Z", "k", "m");
    let huge = || UsageRow { prompt_tokens: u64::MAX, completion_tokens: 1 << 40, ..base() };
    store.record_usage(&[huge(), base()]).await.unwrap();
    let counts = total(&store).await;
    assert_eq!((counts.prompt_tokens, counts.completion_tokens), (i64::MAX as u64 + 3, (1 << 40) + 5));
    store.record_usage(&[huge(), huge()]).await.unwrap();
    let mut counts = total(&store).await;
    assert_eq!((counts.prompt_tokens, counts.completion_tokens), (u64::MAX, 3 * (1 << 40) + 5));
    counts.add(&counts.clone());
    assert_eq!((counts.prompt_tokens, counts.requests), (u64::MAX, 8));
}

#[tokio::test]
async fn a_batch_is_written_whole_or_not_at_all() {
    let store = store().await;
    refuse(&store, "NEW.prompt_tokens = 99").await;
    // Statements of each size are used, and the last row is refused.
    let last = ALL_SIZES as usize + 255;
    let mut rows: Vec<_> = (0..=last).map(|_| row("2026-01-01T00:00:00Z", "k", "m")).collect();
    rows[last].prompt_tokens = 99;
    store.record_usage(&rows).await.unwrap_err();
    assert_eq!(total(&store).await.requests, 0);
    rows[last].prompt_tokens = 3;
    store.record_usage(&rows).await.unwrap();
    assert_eq!(total(&store).await.requests, last as u64 + 1);
    // Again, together with a new row: rows that were written stay as they are.
    rows.iter_mut().for_each(|row| row.prompt_tokens += 1);
    rows.push(row("2026-01-01T00:00:00Z", "k", "m"));
    store.record_usage(&rows).await.unwrap();
    let counts = total(&store).await;
    assert_eq!((counts.requests, counts.prompt_tokens), (last as u64 + 2, 3 * (last as u64 + 2)));
}

#[tokio::test]
async fn a_batch_written_twice_counts_once() {
    let store = store().await;
    let rows = ["a", "b"].map(|key| row("2026-01-01T00:00:00Z", key, "m"));
    store.record_usage(&rows[..1]).await.unwrap();
    store.record_usage(&rows).await.unwrap();
    store.record_usage(&rows).await.unwrap();
    store.record_usage(&[]).await.unwrap();
    assert_eq!(total(&store).await.requests, 2);
}

#[tokio::test]
async fn a_range_of_time_is_found_by_the_primary_key() {
    let store = store().await;
    let plan = format!("EXPLAIN QUERY PLAN {}", totals_sql(&[UsageColumn::Key, UsageColumn::Day]));
    let rows = sqlx::query(sqlx::AssertSqlSafe(plan)).bind(0).bind(1).fetch_all(&store.sqlite().reader).await.unwrap();
    let steps: Vec<String> = rows.iter().map(|row| row.get("detail")).collect();
    for table in ["usage_requests", "usage"] {
        let found = format!("SEARCH {table} USING PRIMARY KEY (at>? AND at<?)");
        assert!(steps.iter().any(|step| step.starts_with(&found)), "{steps:?}");
    }
    let walks = steps.iter().filter(|step| step.starts_with("SCAN"));
    assert_eq!(walks.collect::<Vec<_>>(), ["SCAN usage_records"], "of what was found: {steps:?}");
}
