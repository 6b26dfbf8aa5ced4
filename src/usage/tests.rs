//! The recorder and the writer over a database file: batches, overflow, failures, the end.

use std::time::Duration;

use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::writer::MAX_BATCH;
use super::*;
use crate::store::{Store, UsageColumn, UsageCounts};
use crate::telemetry::record::{Source, Terminal};
use test_support::log::Log;

/// Longest wait of a test.
const TIMEOUT: Duration = Duration::from_secs(20);

struct Fixture {
    recorder: UsageRecorder,
    store: Store,
    stop: CancellationToken,
    writer: Option<UsageWriter>,
    _folder: TempDir,
}

impl Fixture {
    async fn open() -> Self {
        Self::with(None, 65_536).await
    }

    async fn with(keep: Option<Duration>, max_queued: usize) -> Self {
        let folder = TempDir::new().unwrap();
        let store = Store::open(&format!("sqlite:{}", folder.path().join("p.db").display())).await.unwrap();
        let (recorder, writer) = UsageRecorder::with_queue(store.clone(), keep, max_queued);
        Self { recorder, store, stop: CancellationToken::new(), writer: Some(writer), _folder: folder }
    }

    fn run(&mut self) -> JoinHandle<()> {
        tokio::spawn(self.writer.take().unwrap().run(self.stop.clone()))
    }

    async fn counts(&self) -> UsageCounts {
        self.store.usage(None, None, &[]).await.unwrap().first().map(|group| group.counts).unwrap_or_default()
    }

    async fn sql(&self, sql: &'static str) {
        self.store.execute_raw(sql).await.unwrap();
    }

    async fn written(&self) {
        until(async || self.recorder.is_empty()).await;
    }

    /// Makes every write fail.
    async fn refuse(&self) {
        self.sql("CREATE TRIGGER refuse BEFORE INSERT ON usage_requests BEGIN SELECT raise(ABORT, 'no'); END").await;
    }

    async fn accept(&self) {
        self.sql("DROP TRIGGER refuse").await;
    }
}

async fn until(condition: impl AsyncFn() -> bool) {
    let poll = async {
        while !condition().await {
            sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(TIMEOUT, poll).await.expect("the condition within the time");
}

fn record() -> UsageRecord {
    UsageRecord {
        at: jiff::Timestamp::now(),
        request_id: Some("req_1".into()),
        key_id: "config:k".into(),
        key: "k".into(),
        operation: crate::wire::operation::Operation::Chat,
        model: "m".into(),
        target: Some("t".into()),
        attempts: 1,
        streamed: true,
        prompt_tokens: 2,
        completion_tokens: 3,
        source: Some(Source::Exact),
        first_token: Some(Duration::from_millis(20)),
        duration: Duration::from_millis(40),
        terminal: Terminal::Completed,
        reason: None,
        status: 200,
        answered: None,
    }
}

#[tokio::test]
async fn records_are_written_while_the_server_runs() {
    let mut fixture = Fixture::open().await;
    fixture.run();
    fixture.recorder.record(record());
    fixture.written().await;
    fixture.recorder.record(record());
    fixture.written().await;
    let counts = fixture.counts().await;
    assert_eq!((counts.requests, counts.prompt_tokens, counts.completion_tokens, counts.exact), (2, 4, 6, 2));
    assert_eq!(fixture.recorder.dropped(), 0);
}

#[tokio::test]
async fn totals_distinguish_sources_and_endings() {
    let mut fixture = Fixture::open().await;
    let running = fixture.run();
    for source in Source::ALL {
        fixture.recorder.record(UsageRecord { source: Some(source), ..record() });
    }
    for terminal in Terminal::ALL {
        fixture.recorder.record(UsageRecord { terminal, source: None, ..record() });
    }
    fixture.stop.cancel();
    running.await.unwrap();
    let counts = fixture.counts().await;
    assert_eq!([counts.exact, counts.running, counts.counted, counts.estimated], [1; 4]);
    assert_eq!((counts.requests, counts.client_gone, counts.failed), (4 + 7, 2, 4));
}

#[tokio::test]
async fn a_full_queue_drops_and_counts_and_the_rest_is_written() {
    let mut fixture = Fixture::with(None, 10).await;
    for _ in 0..25 {
        fixture.recorder.record(record());
    }
    assert_eq!((fixture.recorder.len(), fixture.recorder.dropped()), (10, 15));
    let running = fixture.run();
    fixture.stop.cancel();
    running.await.unwrap();
    assert_eq!((fixture.recorder.len(), fixture.counts().await.requests), (0, 10));
    // The queue is closed.
    fixture.recorder.record(record());
    assert_eq!((fixture.recorder.len(), fixture.recorder.dropped()), (0, 16));
}

#[tokio::test]
async fn a_stop_writes_all_waiting_records() {
    let mut fixture = Fixture::open().await;
    let many = MAX_BATCH * 4 + 7;
    for _ in 0..many {
        fixture.recorder.record(record());
    }
    let running = fixture.run();
    fixture.stop.cancel();
    timeout(TIMEOUT, running).await.unwrap().unwrap();
    assert_eq!((fixture.counts().await.requests, fixture.recorder.dropped()), (many as u64, 0));
}

#[tokio::test]
async fn dropping_the_last_recorder_ends_the_writer() {
    let mut fixture = Fixture::open().await;
    let running = fixture.run();
    let Fixture { recorder, store, stop: _stop, .. } = fixture;
    recorder.clone().record(record());
    drop(recorder);
    timeout(TIMEOUT, running).await.unwrap().unwrap();
    assert_eq!(store.usage(None, None, &[]).await.unwrap()[0].counts.requests, 1);
}

#[tokio::test]
async fn a_failing_database_loses_nothing_while_the_queue_has_space() {
    let mut fixture = Fixture::open().await;
    fixture.refuse().await;
    let running = fixture.run();
    for _ in 0..MAX_BATCH + 3 {
        fixture.recorder.record(record());
    }
    // The first batch has failed: the writer is between two attempts, or in one.
    until(async || fixture.recorder.queued() == 3).await;
    assert_eq!((fixture.counts().await.requests, fixture.recorder.len()), (0, MAX_BATCH + 3));
    fixture.accept().await;
    fixture.written().await;
    assert_eq!((fixture.counts().await.requests, fixture.recorder.dropped()), (MAX_BATCH as u64 + 3, 0));
    fixture.stop.cancel();
    running.await.unwrap();
}

#[tokio::test]
async fn records_that_a_failing_database_refuses_at_the_stop_are_counted() {
    let mut fixture = Fixture::open().await;
    fixture.refuse().await;
    let running = fixture.run();
    for _ in 0..MAX_BATCH + 3 {
        fixture.recorder.record(record());
    }
    fixture.stop.cancel();
    timeout(TIMEOUT, running).await.unwrap().unwrap();
    assert_eq!((fixture.recorder.len(), fixture.recorder.dropped()), (0, MAX_BATCH as u64 + 3));
    fixture.accept().await;
    assert_eq!(fixture.counts().await.requests, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn recording_from_many_threads_adds_up() {
    let mut fixture = Fixture::with(None, 64).await;
    let running = fixture.run();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| (0..500).for_each(|_| fixture.recorder.record(record())));
        }
    });
    fixture.stop.cancel();
    running.await.unwrap();
    assert_eq!(fixture.counts().await.requests + fixture.recorder.dropped(), 2_000);
    assert_eq!(fixture.recorder.len(), 0);
}

#[tokio::test]
async fn old_records_are_deleted_at_the_start_and_others_stay() {
    let hour = jiff::SignedDuration::from_hours(1);
    let mut fixture = Fixture::with(Some(Duration::from_secs(3 * 3_600)), 65_536).await;
    let now = jiff::Timestamp::now();
    let old: Vec<_> = (0..2_500).map(|_| UsageRecord { at: now - hour * 4, ..record() }).collect();
    let young = [UsageRecord { at: now - hour * 2, ..record() }];
    let rows: Vec<_> = old.iter().chain(&young).zip(0..).map(|(record, id)| record.row(id)).collect();
    fixture.store.record_usage(&rows).await.unwrap();
    fixture.run();
    // Records are written meanwhile.
    fixture.recorder.record(record());
    fixture.written().await;
    until(async || fixture.counts().await.requests == 2).await;
}

#[tokio::test]
async fn without_a_retention_time_all_records_stay() {
    let mut fixture = Fixture::open().await;
    let old = UsageRecord { at: "1999-01-01T00:00:00Z".parse().unwrap(), ..record() };
    fixture.store.record_usage(&[old.row(0)]).await.unwrap();
    fixture.run();
    // Old records are deleted at the start, so they would be gone when this one is written.
    fixture.recorder.record(record());
    fixture.written().await;
    assert_eq!(fixture.counts().await.requests, 2);
}

#[tokio::test]
async fn long_texts_of_clients_are_truncated() {
    let mut fixture = Fixture::open().await;
    let running = fixture.run();
    fixture.recorder.record(UsageRecord { model: "m".repeat(1 << 20).into(), ..record() });
    fixture.stop.cancel();
    running.await.unwrap();
    let groups = fixture.store.usage(None, None, &[UsageColumn::Model]).await.unwrap();
    assert_eq!(groups[0].model.as_ref().unwrap().len(), 256);
}

#[tokio::test]
async fn the_last_hundred_records_are_kept_whether_they_are_written_or_lost() {
    let fixture = Fixture::with(None, 10).await;
    assert!(fixture.recorder.recent(0).0.is_empty());
    (0..105).for_each(|status| fixture.recorder.record(UsageRecord { status, ..record() }));
    let statuses = |seen| {
        let (records, count) = fixture.recorder.recent(seen);
        (records.iter().map(|record| record.status).collect::<Vec<_>>(), count)
    };
    assert_eq!(statuses(0), ((5..105).rev().collect(), 105));
    assert_eq!(statuses(103), (vec![104, 103], 105));
    assert_eq!(statuses(105), (vec![], 105));
}

#[tokio::test]
async fn the_queue_holds_65536_records_and_the_lost_ones_are_logged_once_a_second() {
    let log = Log::collect();
    let fixture = Fixture::open().await;
    fixture.refuse().await;
    let (recorder, writer) = UsageRecorder::new(fixture.store.clone(), None);
    for _ in 0..65_536 + 5 {
        recorder.record(record());
    }
    assert_eq!((recorder.queued(), recorder.len(), recorder.dropped()), (65_536, 65_536, 5));
    let lines = || -> Vec<String> {
        log.text().lines().filter(|line| line.contains("usage records lost")).map(str::to_owned).collect()
    };
    assert_eq!(lines().len(), 0);
    let began = std::time::Instant::now();
    let running = tokio::spawn(writer.run(fixture.stop.clone()));
    until(async || lines().len() == 1).await;
    assert!(began.elapsed() >= Duration::from_secs(1));
    assert!(lines()[0].contains("\"lost\":5"), "{}", lines()[0]);
    running.abort();
}

#[tokio::test]
async fn records_are_deleted_when_they_are_to_be_kept_for_a_shorter_time() {
    let mut fixture = Fixture::open().await;
    let running = fixture.run();
    let old = jiff::Timestamp::now() - jiff::SignedDuration::from_hours(3);
    fixture.recorder.record(UsageRecord { at: old, ..record() });
    fixture.written().await;
    assert_eq!(fixture.counts().await.requests, 1);
    fixture.recorder.keep_for(Some(Duration::from_secs(2 * 60 * 60)));
    until(async || fixture.counts().await.requests == 0).await;
    fixture.stop.cancel();
    running.await.unwrap();
}
