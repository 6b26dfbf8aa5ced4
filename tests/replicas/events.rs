//! Live events on every server.

use std::time::{Duration, Instant};

use tokio::task::JoinSet;

use crate::replicas::{OPEN, Replicas, create_pet, text};
use crate::writers::{Writers, assert_agree};
use test_support::becomes;
use test_support::event_stream::seq;
use test_support::http::{self, Request};
use test_support::servers::postgres::Database;
use test_support::servers::redis::Redis;

const COUNT: usize = 3;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_on_one_server_is_seen_on_all_in_one_order() {
    let database = Database::create().await;
    are_seen_in_one_order(Replicas::start(COUNT, OPEN, &database.url).await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_redis_a_change_on_one_server_is_seen_on_all_in_one_order() {
    let (database, redis) = (Database::create().await, Redis::start().await);
    are_seen_in_one_order(Replicas::start_with_redis(COUNT, OPEN, &database.url, &redis.url()).await).await;
}

async fn are_seen_in_one_order(replicas: Replicas) {
    const CHANGES: usize = 60;
    let mut streams = Vec::new();
    for number in 0..COUNT {
        streams.push(replicas.stream(number, "/api/events/pets", None).await.1);
    }
    let mut writers = JoinSet::new();
    for address in replicas.addresses() {
        writers.spawn(async move {
            for number in 0..CHANGES / COUNT {
                assert_eq!(http::ask(address, &create_pet(&format!("{address} {number}"))).await.status, 201);
            }
        });
    }
    writers.join_all().await;
    let mut seen = Vec::new();
    for stream in &mut streams {
        let messages = stream.messages(CHANGES).await;
        let numbers: Vec<u64> = messages.iter().map(|message| message.seq()).collect();
        assert!(numbers.is_sorted_by(|one, next| one < next), "{numbers:?}");
        assert!(messages.windows(2).all(|pair| pair[1].prev() == pair[0].seq()), "none is missing");
        seen.push(messages);
    }
    assert_eq!(seen[0], seen[1]);
    assert_eq!(seen[0], seen[2]);
    replicas.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_reaches_another_server_long_before_its_poll() {
    let database = Database::create().await;
    let replicas = Replicas::start(2, OPEN, &database.url).await;
    assert_prompt(&replicas).await;
    replicas.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_redis_a_change_reaches_another_server_long_before_its_poll_and_without_it_again() {
    let (database, mut redis) = (Database::create().await, Redis::start().await);
    let replicas = Replicas::start_with_redis(2, OPEN, &database.url, &redis.url()).await;
    assert_prompt(&replicas).await;
    // A killed Redis delays events to the next poll, and loses none.
    redis.kill().await;
    let (_, mut stream) = replicas.stream(1, "/api/events/pets", None).await;
    for number in 0..3 {
        let description = format!("without {number}");
        assert_eq!(replicas.ask(0, &create_pet(&description)).await.status, 201);
        assert_eq!(stream.message().await.data["resource"]["description"], description);
    }
    redis.launch().await;
    let degraded = async || replicas.ask(1, &Request::new("GET", "/readyz")).await.json()["degraded"].clone();
    becomes(&serde_json::Value::Null, degraded).await;
    assert_prompt(&replicas).await;
    replicas.stop().await;
}

/// Checks how long events of one server take to a subscriber of another one.
async fn assert_prompt(replicas: &Replicas) {
    const CHANGES: usize = 21;
    let (_, mut stream) = replicas.stream(1, "/api/events/pets", None).await;
    let mut delays = Vec::new();
    for number in 0..CHANGES {
        let began = Instant::now();
        let description = number.to_string();
        assert_eq!(replicas.ask(0, &create_pet(&description)).await.status, 201);
        assert_eq!(text(&stream.message().await.data["resource"]["description"]), description);
        delays.push(began.elapsed());
    }
    delays.sort_unstable();
    let median = delays[CHANGES / 2];
    eprintln!("from the request on one server to the event on another: {median:?}, at most {:?}", delays[CHANGES - 1]);
    // Servers poll once a second: half a second in the median without notifications.
    assert!(median < Duration::from_millis(250), "{delays:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_subscriber_that_reconnects_to_another_server_misses_nothing() {
    let database = Database::create().await;
    let replicas = Replicas::start(COUNT, OPEN, &database.url).await;
    let writers = Writers::start("w", 4, replicas.balancer.address);
    let (greeting, stream) = replicas.stream(0, "/api/events/pets", None).await;
    drop(stream);
    let begin = seq(&greeting.connected.last_id);
    let (mut cursor, mut seen) = (greeting.connected.last_id, Vec::new());
    for round in 1..=20 {
        let (greeting, mut stream) = replicas.stream(round % COUNT, "/api/events/pets", Some(&cursor)).await;
        assert_eq!(greeting.connected.data["resumed"], true, "round {round}");
        for message in stream.messages(5).await {
            cursor.clone_from(&message.last_id);
            seen.push((message.last_id, message.data));
        }
    }
    let written = writers.stop().await;
    let log = replicas.log(0).await;
    let of_pets = log.iter().filter(|(id, data)| data["type"] == "pet-update" && seq(id) > begin);
    let expected: Vec<String> = of_pets.map(|(id, _)| id.clone()).take(seen.len()).collect();
    assert_eq!(seen.iter().map(|(id, _)| id.clone()).collect::<Vec<_>>(), expected);
    assert_agree(&written, &log);
    for number in 1..COUNT {
        assert_eq!(replicas.log(number).await, log);
    }
    replicas.stop().await;
}
