//! The stop of a server: streams end spread over a window, and their clients reconnect spread over another.

use std::time::{Duration, Instant};

use tokio::task::JoinSet;

use super::shop::Shop;
use test_support::event_stream::{Ending, Seen};
use test_support::http::Connection;
use test_support::soon;

const WINDOW: Duration = Duration::from_secs(2);
const RETRY: Duration = Duration::from_millis(200);

#[tokio::test]
async fn streams_end_spread_over_a_window_and_their_clients_come_back_over_another() {
    let shop = Shop::open("auth: none\nevents: {shutdown_window: 2s, retry: 200ms}\n").await;
    let mut streams = Vec::new();
    for _ in 0..200 {
        streams.push(shop.stream("/api/events").await.1);
    }
    let began = Instant::now();
    shop.stop();
    let mut ends = JoinSet::new();
    for mut stream in streams {
        ends.spawn(async move {
            let (seen, ending) = stream.rest().await;
            let Some(Seen::Retry(wait)) = seen.last() else { panic!("{seen:?}") };
            assert_eq!(ending, Ending::Whole);
            (began.elapsed(), *wait)
        });
    }
    let mut returns = Vec::new();
    let mut left = Vec::new();
    while let Some(end) = ends.join_next().await {
        let (end, wait) = end.unwrap();
        left.push(end);
        returns.push(end + wait);
    }
    left.sort_unstable();
    returns.sort_unstable();
    // Tolerance for a busy machine.
    let slack = Duration::from_millis(700);
    assert!(left[199] <= WINDOW + slack, "{left:?}");
    assert!(left[150] - left[50] >= WINDOW / 4, "in all of the window: {left:?}");
    assert!(returns[0] + slack >= WINDOW + RETRY, "not before the last has left: {returns:?}");
    assert!(returns[199] <= WINDOW * 2 + RETRY + slack, "{returns:?}");
    assert!(returns[150] - returns[50] >= WINDOW / 4, "{returns:?}");
    let busiest =
        returns.iter().map(|at| returns.iter().filter(|other| at.abs_diff(**other) < WINDOW / 20).count()).max();
    assert!(busiest <= Some(60), "of 200 over {WINDOW:?}, {busiest:?} come within a tenth of it");
    shop.stopped().await;
}

#[tokio::test]
async fn with_a_short_drain_streams_end_within_it_and_with_retry() {
    const DRAIN: Duration = Duration::from_secs(1);
    let shop = Shop::open("auth: none\ndrain: 1s\nevents: {shutdown_window: 5m, retry: 200ms}\n").await;
    let mut streams = Vec::new();
    for _ in 0..20 {
        streams.push(shop.stream("/api/events").await.1);
    }
    let began = Instant::now();
    shop.stop();
    for stream in &mut streams {
        let (seen, ending) = stream.rest().await;
        let Some(Seen::Retry(wait)) = seen.last() else { panic!("{seen:?}") };
        assert_eq!(ending, Ending::Whole);
        assert!(*wait <= DRAIN * 2 + RETRY, "{wait:?}");
    }
    assert!(began.elapsed() < DRAIN * 2, "{:?}", began.elapsed());
    shop.stopped().await;
}

#[tokio::test]
async fn a_long_poll_is_answered_when_the_server_stops() {
    let shop = Shop::open("auth: none\nevents: {shutdown_window: 100ms}\n").await;
    let cursor = shop.id(shop.head().await).await;
    let mut connection = Connection::open(shop.address).await;
    connection.send(&test_support::event_stream::get(&format!("/api/events?after={cursor}&wait=60"))).await;
    // It counts as a subscriber once it waits; before, the server could stop without knowing of it.
    let waits = async { while shop.json("/api/stats").await["subscribers"] != 1 {} };
    soon("the poll to wait", waits).await;
    shop.stop();
    let page = connection.answer().await.whole().await.json();
    assert_eq!(page["cursor"], cursor.as_str());
    shop.stopped().await;
}

#[tokio::test]
async fn events_during_the_drain_are_delivered_or_replayed() {
    let shop = Shop::open("auth: none\nevents: {shutdown_window: 2s, retry: 200ms}\n").await;
    let (greeting, mut stream) = shop.stream("/api/events/pets").await;
    let mut busy = Connection::open(shop.address).await;
    let pet = serde_json::json!({"species": "CAT", "name": "Late", "breed": "Siamese", "ageMonths": 3, "size": "SMALL",
        "color": "grey", "price": "1.00"})
    .to_string();
    // An unfinished request keeps its connection until it is answered.
    let head = format!(
        "POST /api/pets HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
        pet.len()
    );
    busy.send_raw(head.as_bytes()).await;
    shop.get("/healthz").await;
    shop.stop();
    busy.send_raw(pet.as_bytes()).await;
    assert_eq!(busy.answer().await.status(), 201);
    let (seen, _) = stream.rest().await;
    let told =
        seen.iter().filter(|seen| matches!(seen, Seen::Message(message) if message.event == "pet-update")).count();
    let shop = shop.restart().await;
    let last = seen.iter().rev().find_map(|seen| match seen {
        Seen::Message(message) => Some(message.last_id.clone()),
        Seen::Id(id) => Some(id.clone()),
        _ => None,
    });
    let (_, mut stream) = shop.resume("/api/events/pets", &last.unwrap_or(greeting.connected.last_id)).await;
    if told == 0 {
        assert_eq!(stream.message().await.data["resource"]["name"], "Late");
    }
    shop.pet().await;
    assert_ne!(stream.message().await.data["resource"]["name"], "Late", "told once");
}
