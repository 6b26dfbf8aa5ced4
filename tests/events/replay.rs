//! Resuming: missed events arrive once and in order, or a reset reports their loss.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use jiff::Timestamp;
use petstream::store::event_log::NewEvent;
use petstream::wire::event::{EventKind, Topic, Topics};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::shop::{OPEN, Shop};
use test_support::event_stream::{Message, Parser, Seen, Stream, get, seq};
use test_support::http::{Connection, Piece, Request};
use test_support::{becomes, soon};

fn numbers(messages: &[Message]) -> Vec<u64> {
    messages.iter().map(Message::seq).collect()
}

fn event(kind: EventKind, size: usize) -> NewEvent {
    let resource = Some(json!({ "text": "x".repeat(size) }));
    NewEvent { kind, id: "x".into(), version: 1, resource, old: None, new: None }
}

#[tokio::test]
async fn a_stream_continues_behind_the_id_it_is_given_also_after_a_restart() {
    let shop = Shop::open(OPEN).await;
    let first = shop.head().await;
    for _ in 0..5 {
        shop.pet().await;
    }
    let cursor = shop.id(first + 3).await;
    let mut shop = shop;
    for round in 0..2 {
        let (greeting, mut stream) = shop.resume("/api/events", &cursor).await;
        assert_eq!(greeting.connected.data["resumed"], true);
        assert_eq!(greeting.connected.last_id, cursor, "a cut during the replay must not skip anything");
        let head = shop.head().await;
        let expected: Vec<u64> = (first + 4..=head).collect();
        assert_eq!(numbers(&stream.messages(expected.len()).await), expected, "round {round}");
        // Then live events.
        shop.pet().await;
        assert_eq!(stream.message().await.seq(), head + 1);
        drop(stream);
        shop = shop.restart().await;
    }
}

#[tokio::test]
async fn the_header_wins_over_the_parameter_and_earliest_is_everything() {
    let shop = Shop::open(OPEN).await;
    for _ in 0..3 {
        shop.pet().await;
    }
    let (one, two) = (shop.id(1).await, shop.id(2).await);
    let (_, mut stream) = shop.stream(&format!("/api/events?last_event_id={one}")).await;
    assert_eq!(stream.message().await.seq(), 2);
    let (_, mut stream) = shop.resume(&format!("/api/events?last_event_id={one}"), &two).await;
    assert_eq!(stream.message().await.seq(), 3);
    let (greeting, mut stream) = shop.stream("/api/events?last_event_id=earliest").await;
    assert_eq!((greeting.connected.seq(), stream.message().await.seq()), (0, 1));
}

#[tokio::test]
async fn an_unknown_cursor_is_reset_and_the_stream_continues_live() {
    let shop = Shop::open(OPEN).await;
    for _ in 0..5 {
        shop.pet().await;
    }
    shop.log.prune(Timestamp::UNIX_EPOCH, 3, 1_000).await.unwrap();
    let shop = shop.restart().await;
    let head = shop.head().await;
    let ahead = shop.id(head + 1).await;
    let old = shop.id(head - 4).await;
    for (id, reason) in [
        ("nonsense", "unknown-cursor"),
        ("e.1\u{e9}", "unknown-cursor"),
        ("zzz.1", "other-epoch"),
        (old.as_str(), "too-old"),
        (ahead.as_str(), "beyond-head"),
    ] {
        let (greeting, mut stream) = shop.resume("/api/events/pets", id).await;
        assert_eq!(greeting.connected.data["resumed"], false, "{id}");
        assert!(!greeting.connected.has_id, "a cut before the reset must not hide it");
        let Seen::Message(reset) = stream.next().await else { panic!("a reset is next") };
        assert_eq!((reset.event.as_str(), reset.has_id), ("stream-reset", true));
        let (epoch, _) = ahead.split_once('.').unwrap();
        let expected =
            json!({"reason": reason, "epoch": epoch, "oldest": head - 2, "head": head, "snapshot": "/api/pets"});
        assert_eq!(reset.data, expected);
        assert_eq!(reset.last_id, shop.id(head).await);
    }
    let (_, mut stream) = shop.resume("/api/events", "nonsense").await;
    assert_eq!(stream.message().await.event, "stream-reset");
    shop.pet().await;
    assert_eq!(stream.message().await.seq(), head + 1);
    // The oldest cursor that can still be resumed.
    let oldest = shop.id(head - 3).await;
    let (greeting, mut stream) = shop.resume("/api/events", &oldest).await;
    assert_eq!(greeting.connected.data["resumed"], true);
    assert_eq!(stream.message().await.seq(), head - 2);
}

#[tokio::test]
async fn a_new_epoch_resets_a_stream_that_is_open() {
    let shop = Shop::open(OPEN).await;
    shop.pet().await;
    let (_, mut stream) = shop.resume("/api/events/orders", &shop.id(shop.head().await).await).await;
    shop.log.rotate_epoch().await.unwrap();
    let reset = stream.message().await;
    assert_eq!((reset.event.as_str(), &reset.data["reason"]), ("stream-reset", &json!("other-epoch")));
    assert_eq!(reset.data["snapshot"], "/api/orders");
    assert_eq!(reset.last_id, shop.id(shop.head().await).await);
    let pet = shop.pet().await;
    shop.send("POST", "/api/orders", &json!({"petId": pet["id"]})).await;
    let order = stream.message().await;
    assert_eq!(order.last_id.split('.').next(), reset.last_id.split('.').next());
}

#[tokio::test]
async fn a_snapshot_and_the_stream_from_its_cursor_give_the_current_state() {
    let shop = Shop::open(OPEN).await;
    let writing = Arc::new(AtomicBool::new(true));
    let writer = tokio::spawn({
        let writing = Arc::clone(&writing);
        let (address, pets) = (shop.address, shop.json("/api/pets?limit=10").await);
        async move {
            let ids: Vec<_> = pets["data"].as_array().unwrap().iter().map(|pet| pet["id"].clone()).collect();
            let mut turn = 0;
            while writing.load(Ordering::Relaxed) {
                let path = format!("/api/pets/{}", ids[turn % ids.len()].as_str().unwrap());
                let change = json!({"ageMonths": turn % 50}).to_string();
                let request = Request::new("PATCH", &path).header("content-type", "application/json").body(change);
                assert_eq!(test_support::http::ask(address, &request).await.status, 200);
                turn += 1;
            }
        }
    });
    for _ in 0..10 {
        let mut pets: BTreeMap<String, Value> = BTreeMap::new();
        let mut page = shop.json("/api/pets?limit=5").await;
        let cursor = page["cursor"].as_str().unwrap().to_owned();
        loop {
            for pet in page["data"].as_array().unwrap() {
                pets.insert(pet["id"].as_str().unwrap().to_owned(), pet.clone());
            }
            let Some(next) = page["next"].as_str().map(str::to_owned) else { break };
            page = shop.json(&next).await;
            assert_eq!(page["cursor"], cursor.as_str(), "later pages repeat the first one's");
        }
        let (greeting, mut stream) = shop.resume("/api/events/pets", &cursor).await;
        assert_eq!(greeting.connected.data["resumed"], true);
        let until =
            shop.told([Topic::Pets].into_iter().collect(), seq(&cursor)).await.last().map_or(0, |last| last.seq);
        while until > seq(&cursor) {
            let message = stream.message().await;
            let known = &pets[message.data["id"].as_str().unwrap()]["version"];
            let (known, new) = (known.as_u64().unwrap(), message.data["version"].as_u64().unwrap());
            assert!(new <= known + 1, "version {new} of a pet known in version {known}: one was missed");
            if new > known {
                let id = message.data["id"].as_str().unwrap().to_owned();
                pets.insert(id, message.data["resource"].clone());
            }
            if message.seq() >= until {
                break;
            }
        }
    }
    writing.store(false, Ordering::Relaxed);
    writer.await.unwrap();
}

/// Reads one stream, with disconnections at random moments, until the last event, whose number is `end` once it is
/// known. Returns the events.
async fn follow(
    address: SocketAddr,
    topics: &[Topic],
    mut chance: u64,
    end: impl Fn() -> Option<u64>,
) -> Vec<(u64, u64)> {
    let names: Vec<_> = topics.iter().map(|topic| topic.name()).collect();
    let target = format!("/api/events?topics={}", names.join(","));
    let mut last_id = "earliest".to_owned();
    let mut seen: Vec<(u64, u64)> = Vec::new();
    loop {
        let (greeting, mut stream) = Stream::greeted(address, get(&target).header("last-event-id", &last_id)).await;
        assert_eq!(greeting.connected.data["resumed"], true);
        chance = chance.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        for _ in 0..(chance >> 33) % 40 {
            if end().is_some_and(|end| seen.last().is_some_and(|last| last.0 >= end)) {
                return seen;
            }
            match tokio::time::timeout(Duration::from_millis(300), stream.next()).await {
                Ok(Seen::Message(message)) if message.data.get("prev").is_some() => {
                    seen.push((message.seq(), message.prev()));
                    last_id = message.last_id;
                }
                Ok(Seen::Id(id)) => last_id = id,
                Ok(_) => {}
                // No events: disconnect here too.
                Err(_) => break,
            }
        }
    }
}

#[tokio::test]
async fn through_disconnections_and_filters_each_chain_is_complete() {
    let shop = Shop::open(OPEN).await;
    let head = Arc::new(AtomicU64::new(0));
    let mut readers = JoinSet::new();
    for set in 1..16_u8 {
        let topics: Vec<_> = Topic::ALL.into_iter().filter(|topic| set & (1 << *topic as u8) != 0).collect();
        let (head, address) = (Arc::clone(&head), shop.address);
        // The last event of each topic is at most this far before the head: one of each kind is at the end.
        let before = [4, 2, 1, 0][*topics.last().unwrap() as usize];
        let end = move || head.load(Ordering::Relaxed).checked_sub(before).filter(|end| *end > 0);
        readers.spawn(async move { (topics.clone(), follow(address, &topics, set.into(), end).await) });
    }
    // Two writers with connections of their own, whose commits the server finds in the log only, and one through the
    // server.
    let mut writers = JoinSet::new();
    for writer in 0..2 {
        let log = shop.log.clone();
        writers.spawn(async move {
            for turn in 0..80 {
                let kinds = (0..1 + turn % 4).map(|n| EventKind::ALL[(writer + turn * 7 + n * 5) % 6]);
                let events: Vec<_> = kinds.map(|kind| event(kind, turn)).collect();
                log.append_alone(&events).await.unwrap();
                tokio::task::yield_now().await;
            }
        });
    }
    for _ in 0..40 {
        shop.pet().await;
    }
    while let Some(done) = writers.join_next().await {
        done.unwrap();
    }
    head.store(shop.log.append_alone(&EventKind::ALL.map(|kind| event(kind, 1))).await.unwrap(), Ordering::Relaxed);
    while let Some(read) = soon("the readers to see the last event", readers.join_next()).await {
        let (set, seen) = read.unwrap();
        let topics: Topics = set.iter().copied().collect();
        let expected: Vec<_> =
            shop.told(topics, 0).await.iter().map(|event| (event.seq, event.prev.of(topics))).collect();
        assert_eq!(seen, expected, "{set:?}");
    }
}

#[tokio::test]
async fn a_slow_reader_gets_everything_at_its_own_pace() {
    let shop = Shop::open(OPEN).await;
    let since = shop.head().await;
    let mut connection = Connection::open_narrow(shop.address, 4_096).await;
    let target = format!("/api/events/notifications?last_event_id={}", shop.id(since).await);
    let mut answer = connection.ask(&get(&target)).await;
    // 24 MB, unread: more than the socket buffers and the ring hold together.
    for _ in 0..60 {
        shop.log.append_alone(&vec![event(EventKind::Notification, 4_000); 100]).await.unwrap();
        tokio::task::yield_now().await;
    }
    let expected: Vec<u64> = shop.told(Topics::ALL, since).await.iter().map(|event| event.seq).collect();
    let (mut parser, mut seen) = (Parser::default(), Vec::new());
    while seen.len() < expected.len() {
        let Piece::Data(bytes) = soon("more of the stream", answer.piece()).await else { panic!("lag is never loss") };
        for block in parser.push(&bytes) {
            if let Seen::Message(message) = block
                && message.data.get("prev").is_some()
            {
                assert_eq!(message.prev(), seen.last().copied().unwrap_or(0));
                seen.push(message.seq());
            }
        }
    }
    assert_eq!(seen, expected);
}

#[tokio::test]
async fn a_reader_whose_events_are_deleted_meanwhile_is_reset() {
    let shop = Shop::open("auth: none\nevents: {heartbeat: 1s}\n").await;
    let since = shop.head().await;
    for _ in 0..60 {
        shop.log.append_alone(&vec![event(EventKind::Notification, 4_000); 100]).await.unwrap();
    }
    let shop = shop.restart().await;
    let mut connection = Connection::open_narrow(shop.address, 4_096).await;
    let target = format!("/api/events/notifications?last_event_id={}", shop.id(since).await);
    let mut answer = connection.ask(&get(&target)).await;
    // Not all of it is in flight by now.
    while shop.log.prune(Timestamp::MAX, 0, 1_000).await.unwrap() > 0 {}
    let (mut parser, mut last) = (Parser::default(), 0);
    let reset = 'reading: loop {
        let Piece::Data(bytes) = soon("more of the stream", answer.piece()).await else { panic!("no end") };
        for block in parser.push(&bytes) {
            match block {
                Seen::Message(message) if message.event == "stream-reset" => break 'reading message,
                Seen::Message(message) if message.data.get("prev").is_some() => {
                    assert_eq!(message.prev(), last);
                    last = message.seq();
                }
                _ => {}
            }
        }
    };
    assert_eq!(reset.data["reason"], "too-old");
    assert!(last < reset.seq(), "something was lost, and it was told");
    assert_eq!(reset.seq(), shop.head().await);
    assert_eq!(reset.data["snapshot"], Value::Null);
}

#[tokio::test]
async fn events_beyond_the_configured_number_are_deleted_and_their_readers_reset() {
    let shop = Shop::open(OPEN).await;
    let since = shop.head().await;
    for _ in 0..60 {
        shop.log.append_alone(&vec![event(EventKind::Notification, 10); 100]).await.unwrap();
    }
    let id = shop.id(since).await;
    let all = shop.head().await;
    let shop = shop.restart_with(format!("{OPEN}events: {{keep_count: 2000}}\n")).await;
    becomes(&(all - 2_000), async || shop.log.position().await.unwrap().pruned).await;
    let (_, mut stream) = shop.resume("/api/events", &id).await;
    let reset = stream.message().await;
    assert_eq!((reset.event.as_str(), &reset.data["reason"]), ("stream-reset", &"too-old".into()));
    // The oldest event that is left can be replayed.
    let (_, mut stream) = shop.resume("/api/events", &shop.id(all - 2_000).await).await;
    assert_eq!(stream.message().await.seq(), all - 1_999);
}
