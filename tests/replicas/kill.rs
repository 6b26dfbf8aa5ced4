//! Servers that are killed or paused while clients write and subscribe.

use std::time::Instant;

use crate::replicas::{OPEN, Replicas};
use crate::writers::{Writers, assert_agree, tally};
use test_support::event_stream::{Message, Seen, seq};
use test_support::servers::postgres::Database;
use test_support::servers::redis::Redis;

const COUNT: usize = 3;

/// The events of a stream up to number `end`.
async fn until(stream: &mut test_support::event_stream::Stream, end: u64) -> Vec<Message> {
    let mut all = Vec::new();
    while all.last().is_none_or(|last: &Message| last.seq() < end) {
        all.push(stream.message().await);
    }
    all
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kill_loses_no_acknowledged_write_and_no_event() {
    let database = Database::create().await;
    nothing_is_lost(Replicas::start(COUNT, OPEN, &database.url).await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_redis_a_kill_loses_no_acknowledged_write_and_no_event() {
    let (database, redis) = (Database::create().await, Redis::start().await);
    nothing_is_lost(Replicas::start_with_redis(COUNT, OPEN, &database.url, &redis.url()).await).await;
}

async fn nothing_is_lost(mut replicas: Replicas) {
    let began = Instant::now();
    let (greeting, mut stream) = replicas.stream(0, "/api/events", Some("earliest")).await;
    assert_eq!(greeting.connected.data["resumed"], true);
    let (_, mut lost) = replicas.stream(1, "/api/events", Some("earliest")).await;
    let writers = Writers::start("w", 6, replicas.balancer.address);
    for round in 0..4 {
        writers.progress(25).await;
        let killed = 1 + round % 2;
        replicas.kill(killed).await;
        writers.progress(25).await;
        replicas.launch(killed).await;
    }
    let written = writers.stop().await;
    eprintln!("{COUNT} servers, 4 kills, {}", tally(&written, began));
    let log = replicas.log(0).await;
    assert_agree(&written, &log);
    let ids = |messages: &[Message]| messages.iter().map(|message| message.last_id.clone()).collect::<Vec<_>>();
    let all: Vec<String> = log.iter().map(|(id, _)| id.clone()).collect();
    let end = seq(all.last().unwrap());
    assert_eq!(ids(&until(&mut stream, end).await), all, "by a stream of a server that was not killed");
    // A stream of a killed server, continued at another one.
    let (seen, _) = lost.rest().await;
    let events = seen.into_iter().filter_map(|seen| match seen {
        Seen::Message(message) if message.event != "heartbeat" => Some(message),
        _ => None,
    });
    let mut seen: Vec<Message> = events.collect();
    let cursor = seen.last().map(|last| last.last_id.clone()).unwrap_or_else(|| "earliest".to_owned());
    let (greeting, mut stream) = replicas.stream(2, "/api/events", Some(&cursor)).await;
    assert_eq!(greeting.connected.data["resumed"], true);
    seen.extend(until(&mut stream, end).await);
    assert_eq!(ids(&seen), all, "by two streams");
    assert!(written.iter().any(|pet| pet.lost > 0), "a request was on its way to a server that was killed");
    replicas.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_paused_server_does_not_stop_the_others_and_continues_afterwards() {
    let database = Database::create().await;
    let replicas = Replicas::start(COUNT, OPEN, &database.url).await;
    let (_, mut of_paused) = replicas.stream(1, "/api/events", Some("earliest")).await;
    // Writers of the two others only: a balancer with health checks sends no requests to a server that hangs.
    let writers = [0, 2].map(|number| Writers::start(&number.to_string(), 2, replicas.program(number).address));
    replicas.program(1).signal("STOP").await;
    for writers in &writers {
        writers.progress(50).await;
    }
    replicas.program(1).signal("CONT").await;
    let mut written = Vec::new();
    for writers in writers {
        written.extend(writers.stop().await);
    }
    let log = replicas.log(0).await;
    let end = seq(&log.last().unwrap().0);
    let seen: Vec<String> = until(&mut of_paused, end).await.into_iter().map(|message| message.last_id).collect();
    assert_eq!(seen, log.iter().map(|(id, _)| id.clone()).collect::<Vec<_>>());
    assert_agree(&written, &log);
    replicas.stop().await;
}
