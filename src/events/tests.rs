//! The hub over an event log in a file.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use jiff::Timestamp;
use proptest::prelude::*;
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::ring::{Ring, RingRead};
use super::*;
use crate::bound::Bound;
use crate::store::Store;
use crate::store::event_log::{EventLog, LogPosition, NewEvent};
use crate::wire::event::{Cursor, Epoch, EventKind, LastSeqs, Topic, Topics};
use crate::wire::event_frame::{EncodedEvent, EventParts};

/// Longest wait of a test.
const TIMEOUT: Duration = Duration::from_secs(30);

/// An event log in a file, which several connections may write.
pub(super) struct LogFixture {
    pub(super) log: EventLog,
    folder: tempfile::TempDir,
}

/// The API key of the subscriptions.
fn key() -> Arc<str> {
    "key".into()
}

fn event(kind: EventKind, size: usize) -> NewEvent {
    let resource = Some(json!({ "text": "x".repeat(size) }));
    NewEvent { kind, id: "x".into(), version: 1, resource, old: None, new: None }
}

impl LogFixture {
    pub(super) async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let log = Self::open_in(&folder).await;
        Self { log, folder }
    }

    async fn open_in(folder: &tempfile::TempDir) -> EventLog {
        let url = format!("sqlite:{}", folder.path().join("p.db").display());
        EventLog::new(Store::open(&url).await.unwrap())
    }

    async fn hub(&self) -> EventHub {
        EventHub::open(self.log.clone(), Bound::new(10, 10)).await.unwrap()
    }

    pub(super) async fn write_pets(&self, count: usize) -> u64 {
        self.write(&vec![EventKind::PetUpdate; count], 0).await
    }

    async fn write(&self, kinds: &[EventKind], size: usize) -> u64 {
        let events: Vec<_> = kinds.iter().map(|kind| event(*kind, size)).collect();
        self.log.append_alone(&events).await.unwrap()
    }

    async fn cursor(&self, seq: u64) -> Cursor {
        Cursor { epoch: self.log.position().await.unwrap().epoch, seq }
    }
}

fn topics(list: &[Topic]) -> Topics {
    list.iter().copied().collect()
}

/// The number of an event and of the one before it, as a reader of `topics` sees them.
fn numbers(event: &EncodedEvent, topics: Topics) -> (u64, u64) {
    let mut out = BytesMut::new();
    event.push_json(&mut out, topics);
    let value: Value = serde_json::from_slice(&out).unwrap();
    (event.seq, value["data"]["prev"].as_u64().unwrap())
}

/// Reads until the subscription has read all events of the log.
async fn drain(subscription: Subscription, max: usize) -> (Vec<(u64, u64)>, Vec<Reset>) {
    let topics = subscription.topics();
    let mut subscription = pin!(subscription);
    let (mut seen, mut resets) = (Vec::new(), Vec::new());
    while let Some(event) = tokio::time::timeout(TIMEOUT, subscription.ready(max)).await.unwrap().unwrap() {
        match event {
            SubscriptionEvent::Events(events) => seen.extend(events.iter().map(|event| numbers(event, topics))),
            SubscriptionEvent::Reset(reset) => resets.push(reset),
            SubscriptionEvent::Ephemeral(_) | SubscriptionEvent::Closing => panic!("{event:?}"),
        }
    }
    (seen, resets)
}

fn chain(from: u64, to: u64) -> Vec<(u64, u64)> {
    (from + 1..=to).map(|seq| (seq, seq - 1)).collect()
}

#[tokio::test]
async fn a_new_subscription_gets_the_next_events_only() {
    let fixture = LogFixture::new().await;
    fixture.write_pets(3).await;
    let hub = fixture.hub().await;
    let (start, subscription) = hub.subscribe(&key(), Topics::ALL, Since::Now).await.unwrap();
    assert_eq!(start, Start { from: fixture.cursor(3).await, head: 3, resumed: false, reset: None });
    fixture.write_pets(2).await;
    hub.refresh().await.unwrap();
    assert_eq!(drain(subscription, 10).await.0, chain(3, 5));
}

#[tokio::test]
async fn a_resumed_subscription_gets_every_event_after_its_cursor_from_log_and_ring() {
    let fixture = LogFixture::new().await;
    // More than the ring holds, and more than it is filled with at the start.
    fixture.write_pets(3_000).await;
    let hub = fixture.hub().await;
    for from in [0, 1, 1_975, 1_976, 1_977, 2_999, 3_000] {
        let (start, subscription) =
            hub.subscribe(&key(), Topics::ALL, Since::After(fixture.cursor(from).await)).await.unwrap();
        assert!(start.resumed && start.from.seq == from && start.head == 3_000);
        assert_eq!(drain(subscription, 100).await, (chain(from, 3_000), vec![]), "from {from}");
    }
    let (start, subscription) = hub.subscribe(&key(), Topics::ALL, Since::Earliest).await.unwrap();
    assert!(start.resumed && start.from.seq == 0);
    assert_eq!(drain(subscription, 1_000).await.0, chain(0, 3_000));
}

#[tokio::test]
async fn a_cursor_newer_than_the_ring_is_looked_up_in_the_log() {
    let fixture = LogFixture::new().await;
    let hub = fixture.hub().await;
    // Committed by another process: there is no notification.
    fixture.write_pets(2).await;
    let (start, _subscription) =
        hub.subscribe(&key(), Topics::ALL, Since::After(fixture.cursor(2).await)).await.unwrap();
    assert_eq!((start.resumed, start.head), (true, 2));
}

#[tokio::test]
async fn a_cursor_that_cannot_be_continued_is_reset_to_the_head() {
    let fixture = LogFixture::new().await;
    fixture.write_pets(10).await;
    fixture.log.prune(Timestamp::UNIX_EPOCH, 4, 100).await.unwrap();
    let hub = fixture.hub().await;
    let foreign: Cursor = "0.3".parse().unwrap();
    for (since, reason) in [
        (Since::Unreadable, ResetReason::Unknown),
        (Since::After(foreign), ResetReason::OtherEpoch),
        (Since::After(fixture.cursor(5).await), ResetReason::TooOld),
        (Since::After(fixture.cursor(11).await), ResetReason::BeyondHead),
        (Since::After(fixture.cursor(u64::MAX).await), ResetReason::BeyondHead),
    ] {
        let (start, subscription) = hub.subscribe(&key(), Topics::ALL, since).await.unwrap();
        let cursor = fixture.cursor(10).await;
        assert_eq!(start.reset, Some(Reset { reason, oldest: 7, cursor: cursor.clone() }));
        assert_eq!((start.resumed, start.from), (false, cursor));
        assert_eq!(drain(subscription, 10).await, (vec![], vec![]));
    }
    let (start, subscription) =
        hub.subscribe(&key(), Topics::ALL, Since::After(fixture.cursor(6).await)).await.unwrap();
    assert!(start.resumed, "the oldest cursor whose next event is kept");
    assert_eq!(drain(subscription, 10).await.0, chain(6, 10));
}

#[tokio::test]
async fn a_reader_that_lags_behind_the_ring_reads_the_log() {
    let fixture = LogFixture::new().await;
    let hub = fixture.hub().await;
    let (_, subscription) = hub.subscribe(&key(), Topics::ALL, Since::Now).await.unwrap();
    // 6,000 events and 24 MiB: both exceed the bounds of the ring.
    for _ in 0..6 {
        fixture.write(&[EventKind::PetUpdate; 1_000], 4_096).await;
        hub.refresh().await.unwrap();
    }
    assert_eq!(drain(subscription, 100).await, (chain(0, 6_000), vec![]));
}

#[tokio::test]
async fn a_reader_whose_next_event_was_pruned_is_reset_and_continues_from_the_head() {
    let fixture = LogFixture::new().await;
    fixture.write_pets(2_000).await;
    let hub = fixture.hub().await;
    let (start, subscription) = hub.subscribe(&key(), Topics::ALL, Since::Earliest).await.unwrap();
    assert!(start.resumed);
    let mut subscription = pin!(subscription);
    let Some(SubscriptionEvent::Events(first)) = subscription.ready(10).await.unwrap() else { panic!("events") };
    assert_eq!(first.len(), 10);
    while fixture.log.prune(Timestamp::MAX, 0, 1_000).await.unwrap() > 0 {}
    let Some(SubscriptionEvent::Reset(reset)) = subscription.ready(10).await.unwrap() else { panic!("a reset") };
    assert_eq!(reset, Reset { reason: ResetReason::TooOld, oldest: 2_001, cursor: fixture.cursor(2_000).await });
    fixture.write_pets(1).await;
    hub.refresh().await.unwrap();
    let Some(SubscriptionEvent::Events(events)) = subscription.ready(10).await.unwrap() else { panic!("events") };
    assert_eq!(events[0].seq, 2_001);
}

#[tokio::test]
async fn a_new_epoch_resets_readers_of_the_ring_and_of_the_log() {
    let fixture = LogFixture::new().await;
    fixture.write_pets(2_000).await;
    let hub = fixture.hub().await;
    let (_, live) = hub.subscribe(&key(), Topics::ALL, Since::Now).await.unwrap();
    let (_, replaying) = hub.subscribe(&key(), Topics::ALL, Since::Earliest).await.unwrap();
    fixture.log.rotate_epoch().await.unwrap();
    let cursor = fixture.cursor(2_000).await;
    let expected = Reset { reason: ResetReason::OtherEpoch, oldest: 1, cursor };
    // Only this subscription has read the log since.
    assert_eq!(drain(replaying, 10).await, (vec![], vec![expected.clone()]));
    let mut live = pin!(live);
    let Some(SubscriptionEvent::Reset(reset)) = live.ready(10).await.unwrap() else { panic!("a reset") };
    assert_eq!(reset, expected);
    assert_eq!(live.cursor(), expected.cursor);
}

#[tokio::test]
async fn the_position_of_a_filtered_reader_moves_past_events_of_other_topics() {
    let fixture = LogFixture::new().await;
    let hub = fixture.hub().await;
    let orders = topics(&[Topic::Orders]);
    let (_, subscription) = hub.subscribe(&key(), orders, Since::Now).await.unwrap();
    let mut subscription = pin!(subscription);
    fixture.write_pets(100).await;
    hub.refresh().await.unwrap();
    assert!(subscription.ready(10).await.unwrap().is_none());
    assert_eq!(subscription.cursor(), fixture.cursor(100).await);
    fixture.write_pets(1_000).await;
    hub.refresh().await.unwrap();
    let Some(SubscriptionEvent::Events(none)) = subscription.ready(10).await.unwrap() else { panic!("a new position") };
    assert!(none.is_empty() && subscription.seq() == 1_100);
    fixture.write(&[EventKind::OrderCreated], 0).await;
    hub.refresh().await.unwrap();
    let Some(SubscriptionEvent::Events(events)) = subscription.ready(10).await.unwrap() else { panic!("an order") };
    assert_eq!(numbers(&events[0], orders), (1_101, 0));
}

#[tokio::test]
async fn subscribers_are_bounded_and_a_dropped_one_is_not_counted() {
    let fixture = LogFixture::new().await;
    let hub = EventHub::open(fixture.log.clone(), Bound::new(1, 1)).await.unwrap();
    let one = hub.subscribe(&key(), Topics::ALL, Since::Now).await.unwrap();
    assert!(matches!(hub.subscribe(&key(), Topics::ALL, Since::Now).await, Err(SubscribeError::Full(_))));
    drop(one);
    assert_eq!(hub.subscribers(), 0);
}

#[tokio::test]
async fn a_commit_notification_wakes_subscribers_and_closing_is_yielded_once() {
    let fixture = LogFixture::new().await;
    let hub = fixture.hub().await;
    let (committed, commits) = watch::channel(0);
    let stop = CancellationToken::new();
    let task = tokio::spawn(hub.clone().run(commits, stop.clone()));
    let (_, subscription) = hub.subscribe(&key(), Topics::ALL, Since::Now).await.unwrap();
    let mut subscription = pin!(subscription);
    committed.send_replace(fixture.write_pets(1).await);
    let SubscriptionEvent::Events(events) =
        tokio::time::timeout(TIMEOUT, subscription.next(10)).await.unwrap().unwrap()
    else {
        panic!("an event")
    };
    assert_eq!(events[0].seq, 1);
    stop.cancel();
    let event = tokio::time::timeout(TIMEOUT, subscription.next(10)).await.unwrap().unwrap();
    assert!(matches!(event, SubscriptionEvent::Closing));
    // Without a sender of notifications, the log is still polled.
    drop(committed);
    fixture.write_pets(1).await;
    let event = tokio::time::timeout(TIMEOUT, subscription.next(10)).await.unwrap().unwrap();
    assert!(matches!(event, SubscriptionEvent::Events(_)));
    task.abort();
}

/// Writers of two connections, and readers of all sets of topics that subscribe at random moments, some of them slow:
/// each reads a chain without gaps from its start to the end.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn every_subscriber_gets_every_event_exactly_once() {
    const EACH: usize = 60;
    let fixture = LogFixture::new().await;
    let hub = EventHub::open(fixture.log.clone(), Bound::new(1_000, 1_000)).await.unwrap();
    let (committed, commits) = watch::channel(0);
    let stop = CancellationToken::new();
    let running = tokio::spawn(hub.clone().run(commits, stop.clone()));
    let mut writers = JoinSet::new();
    for writer in 0..2 {
        let (log, committed) = (LogFixture::open_in(&fixture.folder).await, committed.clone());
        writers.spawn(async move {
            for turn in 0..EACH {
                let kinds: Vec<_> =
                    (0..1 + turn % 5).map(|n| EventKind::ALL[(writer + turn * 7 + n * 5) % 6]).collect();
                let events: Vec<_> = kinds.iter().map(|kind| event(*kind, turn)).collect();
                committed.send_replace(log.append_alone(&events).await.unwrap());
            }
        });
    }
    let (end, ends) = watch::channel(None);
    let mut readers = JoinSet::new();
    for number in 0..60_u8 {
        let (hub, end) = (hub.clone(), ends.clone());
        readers.spawn(async move {
            let set: Topics =
                Topic::ALL.into_iter().filter(|topic| (number % 15 + 1) & (1 << *topic as u8) != 0).collect();
            (0..number % 7).for_each(|_| std::thread::yield_now());
            let since = if number % 2 == 0 { Since::Earliest } else { Since::Now };
            let (start, subscription) = hub.subscribe(&key(), set, since).await.unwrap();
            read_to_the_end(start, subscription, usize::from(number % 9) + 1, end).await
        });
    }
    while let Some(done) = writers.join_next().await {
        done.unwrap();
    }
    let last = [EventKind::PetUpdate, EventKind::OrderCreated, EventKind::InventoryChanged, EventKind::Notification];
    end.send_replace(Some(fixture.write(&last, 0).await));
    let all = fixture.log.page(Topics::ALL, 0, u64::MAX >> 1, 10_000).await.unwrap();
    while let Some(read) = readers.join_next().await {
        let (from, set, seen) = read.unwrap();
        let expected: Vec<_> = all
            .iter()
            .filter(|event| event.seq > from && set.contains(event.kind.topic()))
            .map(|event| (event.seq, event.prev.of(set)))
            .collect();
        assert!(!expected.is_empty());
        assert_eq!(seen, expected);
        let broken = seen.windows(2).find(|pair| pair[1].1 != pair[0].0);
        assert_eq!(broken, None, "an event and the one that it names as the one before");
    }
    running.abort();
}

/// Reads until it has seen the last event of its topics: one of each topic, in their order, ends at number `end`.
async fn read_to_the_end(
    start: Start,
    subscription: Subscription,
    max: usize,
    mut end: watch::Receiver<Option<u64>>,
) -> (u64, Topics, Vec<(u64, u64)>) {
    let set = subscription.topics();
    let last_topic = set.iter().map(|topic| topic as u64).max().unwrap();
    let mut seen: Vec<(u64, u64)> = Vec::new();
    let mut subscription = pin!(subscription);
    loop {
        let last = end.borrow_and_update().map(|end| end - 3 + last_topic);
        if last.is_some_and(|last| seen.last().is_some_and(|event| event.0 >= last)) {
            return (start.from.seq, set, seen);
        }
        let next = tokio::time::timeout(TIMEOUT, subscription.next(max));
        let event = tokio::select! {
            event = next => event.unwrap().unwrap(),
            _ = end.changed() => continue,
        };
        let SubscriptionEvent::Events(events) = event else { panic!("{event:?}") };
        seen.extend(events.iter().map(|event| numbers(event, set)));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// The ring alone, filled and read in any way: a reader gets the events of its topics.
    #[test]
    fn a_reader_of_the_ring_gets_the_events_of_its_topics(
        kinds in proptest::collection::vec(0..6_usize, 0..60),
        set in 1..16_u8,
        after in 0..60_u64,
        max in 1..10_usize,
    ) {
        let set: Topics = Topic::ALL.into_iter().filter(|topic| set & (1 << *topic as u8) != 0).collect();
        let epoch: Epoch = "e".parse().unwrap();
        let mut ring = Ring::new(epoch.clone(), 0, 0);
        let mut lasts = LastSeqs::default();
        let mut all = Vec::new();
        for (seq, kind) in (1..).zip(&kinds) {
            let kind = EventKind::ALL[*kind];
            let parts = EventParts { kind, id: "x", version: 1, at: Timestamp::UNIX_EPOCH, prev: lasts, body: "\"resource\":1" };
            all.push(Arc::new(EncodedEvent::new(&epoch, seq, &parts)));
            lasts.note(kind.topic(), seq);
        }
        let at = LogPosition { epoch, head: kinds.len() as u64, pruned: 0, lasts };
        prop_assert_eq!(ring.follow(&at, all.clone()), !all.is_empty());
        let expected: Vec<_> = all.iter().filter(|e| e.seq > after && set.contains(e.topic)).map(|e| e.seq).collect();
        let (mut seq, mut seen) = (after, Vec::new());
        while let RingRead::Events { events, to } = ring.read(&ring.epoch(), seq, set, max) {
            prop_assert!(to > seq && events.len() <= max);
            seen.extend(events.iter().map(|event| event.seq));
            seq = to;
        }
        prop_assert_eq!(seen, expected);
    }
}
