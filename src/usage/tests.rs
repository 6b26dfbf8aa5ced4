//! The ledger over a real database file: batches, overflow, failures, the end.

use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::writer::BATCH;
use super::*;
use crate::store::{UsageColumn, UsageCounts};
use crate::telemetry::record::{Source, Terminal};

/// Longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(20);

struct Book {
    ledger: UsageRecorder,
    store: Store,
    stop: CancellationToken,
    writer: Option<Writer>,
    _folder: TempDir,
}

impl Book {
    async fn open() -> Self {
        Self::with(None, QUEUE).await
    }

    async fn with(keep: Option<Duration>, most: usize) -> Self {
        let folder = TempDir::new().unwrap();
        let store = Store::open(&format!("sqlite:{}", folder.path().join("p.db").display())).await.unwrap();
        let (ledger, writer) = UsageRecorder::with_queue(store.clone(), keep, most);
        Self { ledger, store, stop: CancellationToken::new(), writer: Some(writer), _folder: folder }
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
        until(async || self.ledger.is_empty()).await;
    }

    /// Makes every try to write fail.
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
    timeout(PATIENCE, poll).await.expect("it never came true");
}

fn entry() -> UsageRecord {
    UsageRecord {
        at: jiff::Timestamp::now(),
        request_id: Some("req_1".into()),
        key_id: "config:k".into(),
        key: "k".into(),
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
async fn what_is_recorded_is_written_without_a_stop() {
    let mut book = Book::open().await;
    book.run();
    book.ledger.record(entry());
    book.written().await;
    book.ledger.record(entry());
    book.written().await;
    let counts = book.counts().await;
    assert_eq!((counts.requests, counts.prompt_tokens, counts.completion_tokens, counts.exact), (2, 4, 6, 2));
    assert_eq!(book.ledger.dropped(), 0);
}

#[tokio::test]
async fn every_source_and_ending_has_its_sum() {
    let mut book = Book::open().await;
    let running = book.run();
    for source in Source::ALL {
        book.ledger.record(UsageRecord { source: Some(source), ..entry() });
    }
    for terminal in Terminal::ALL {
        book.ledger.record(UsageRecord { terminal, source: None, ..entry() });
    }
    book.stop.cancel();
    running.await.unwrap();
    let counts = book.counts().await;
    assert_eq!([counts.exact, counts.running, counts.counted, counts.estimated], [1; 4]);
    assert_eq!((counts.requests, counts.client_gone, counts.failed), (4 + 7, 2, 4));
}

#[tokio::test]
async fn a_full_queue_drops_and_counts_and_the_rest_is_written() {
    let mut book = Book::with(None, 10).await;
    for _ in 0..25 {
        book.ledger.record(entry());
    }
    assert_eq!((book.ledger.len(), book.ledger.dropped()), (10, 15));
    let running = book.run();
    book.stop.cancel();
    running.await.unwrap();
    assert_eq!((book.ledger.len(), book.counts().await.requests), (0, 10));
    // Nobody takes it any more.
    book.ledger.record(entry());
    assert_eq!((book.ledger.len(), book.ledger.dropped()), (0, 16));
}

#[tokio::test]
async fn a_stop_writes_all_that_waits() {
    let mut book = Book::open().await;
    let many = BATCH * 4 + 7;
    for _ in 0..many {
        book.ledger.record(entry());
    }
    let running = book.run();
    book.stop.cancel();
    timeout(PATIENCE, running).await.unwrap().unwrap();
    assert_eq!((book.counts().await.requests, book.ledger.dropped()), (many as u64, 0));
}

#[tokio::test]
async fn the_last_ledger_that_goes_ends_the_writer() {
    let mut book = Book::open().await;
    let running = book.run();
    let Book { ledger, store, stop: _stop, .. } = book;
    ledger.clone().record(entry());
    drop(ledger);
    timeout(PATIENCE, running).await.unwrap().unwrap();
    assert_eq!(store.usage(None, None, &[]).await.unwrap()[0].counts.requests, 1);
}

#[tokio::test]
async fn a_failing_database_loses_nothing_while_the_queue_has_room() {
    let mut book = Book::open().await;
    book.refuse().await;
    let running = book.run();
    for _ in 0..BATCH + 3 {
        book.ledger.record(entry());
    }
    // A batch is at hand and has failed: the writer is between two tries, or in one.
    until(async || book.ledger.0.queue.len() == 3).await;
    assert_eq!((book.counts().await.requests, book.ledger.len()), (0, BATCH + 3));
    book.accept().await;
    book.written().await;
    assert_eq!((book.counts().await.requests, book.ledger.dropped()), (BATCH as u64 + 3, 0));
    book.stop.cancel();
    running.await.unwrap();
}

#[tokio::test]
async fn what_a_failing_database_does_not_take_at_the_stop_is_counted() {
    let mut book = Book::open().await;
    book.refuse().await;
    let running = book.run();
    for _ in 0..BATCH + 3 {
        book.ledger.record(entry());
    }
    book.stop.cancel();
    timeout(PATIENCE, running).await.unwrap().unwrap();
    assert_eq!((book.ledger.len(), book.ledger.dropped()), (0, BATCH as u64 + 3));
    book.accept().await;
    assert_eq!(book.counts().await.requests, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn recording_from_many_threads_adds_up() {
    let mut book = Book::with(None, 64).await;
    let running = book.run();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| (0..500).for_each(|_| book.ledger.record(entry())));
        }
    });
    book.stop.cancel();
    running.await.unwrap();
    assert_eq!(book.counts().await.requests + book.ledger.dropped(), 2_000);
    assert_eq!(book.ledger.len(), 0);
}

#[tokio::test]
async fn what_is_too_old_goes_at_the_start_and_the_rest_stays() {
    let hour = jiff::SignedDuration::from_hours(1);
    let mut book = Book::with(Some(Duration::from_secs(3 * 3_600)), QUEUE).await;
    let now = jiff::Timestamp::now();
    let old: Vec<_> = (0..2_500).map(|_| UsageRecord { at: now - hour * 4, ..entry() }).collect();
    let young = [UsageRecord { at: now - hour * 2, ..entry() }];
    let rows: Vec<_> = old.iter().chain(&young).zip(0..).map(|(entry, id)| entry.row(id)).collect();
    book.store.record_usage(&rows).await.unwrap();
    book.run();
    // Meanwhile entries are written.
    book.ledger.record(entry());
    book.written().await;
    until(async || book.counts().await.requests == 2).await;
}

#[tokio::test]
async fn without_a_time_to_keep_everything_stays() {
    let mut book = Book::open().await;
    let old = UsageRecord { at: "1999-01-01T00:00:00Z".parse().unwrap(), ..entry() };
    book.store.record_usage(&[old.row(0)]).await.unwrap();
    book.run();
    // Old rows go at the start, so they would be gone when this is written.
    book.ledger.record(entry());
    book.written().await;
    assert_eq!(book.counts().await.requests, 2);
}

#[tokio::test]
async fn a_client_cannot_make_an_entry_large() {
    let mut book = Book::open().await;
    let running = book.run();
    book.ledger.record(UsageRecord { model: "m".repeat(1 << 20).into(), ..entry() });
    book.stop.cancel();
    running.await.unwrap();
    let groups = book.store.usage(None, None, &[UsageColumn::Model]).await.unwrap();
    assert_eq!(groups[0].model.as_ref().unwrap().len(), 256);
}

#[tokio::test]
async fn the_last_hundred_are_remembered_whether_they_are_written_or_lost() {
    let book = Book::with(None, 10).await;
    assert!(book.ledger.recent(0).0.is_empty());
    (0..105).for_each(|status| book.ledger.record(UsageRecord { status, ..entry() }));
    let statuses = |seen| {
        let (entries, count) = book.ledger.recent(seen);
        (entries.iter().map(|entry| entry.status).collect::<Vec<_>>(), count)
    };
    assert_eq!(statuses(0), ((5..105).rev().collect(), 105));
    assert_eq!(statuses(103), (vec![104, 103], 105));
    assert_eq!(statuses(105), (vec![], 105));
}
