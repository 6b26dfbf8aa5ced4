//! Servers whose system clocks are minutes apart.

use std::time::{Duration, Instant, SystemTime};

use futures_util::future::join_all;
use jiff::Timestamp;

use crate::replicas::{Replicas, Setup, create_pet, text};
use test_support::becomes;
use test_support::event_stream::{Stream, get};
use test_support::http::Request;
use test_support::servers::postgres::Database;
use test_support::servers::redis::Redis;

/// Seconds that the clock of each server is ahead.
const AHEAD: [i64; 3] = [-300, 0, 300];
const COUNT: usize = AHEAD.len();
const KEY: &str = "sk-petstream-test-0123456789";
const LIMITED: &str = "sk-petstream-limited-0123456789";
const LIMIT: usize = 30;
const YAML: &str = "page: false\nkeys:\n  - {name: page, key: sk-petstream-test-0123456789, \
                    scopes: [chat, 'store:read', 'store:write', stats]}\n  \
                    - {name: limited, key: sk-petstream-limited-0123456789, limits: {requests_per_minute: 30}}\n";

fn now() -> Timestamp {
    SystemTime::now().try_into().unwrap()
}

/// How many seconds the clock of a server is ahead, as its answers tell.
async fn ahead(replicas: &Replicas, number: usize) -> i64 {
    let answer = replicas.ask(number, &Request::new("GET", "/healthz")).await;
    let date = jiff::fmt::rfc2822::parse(answer.header("date").unwrap()).unwrap();
    date.timestamp().as_second() - now().as_second()
}

async fn has_metric(replicas: &Replicas, number: usize, line: &str) -> bool {
    let metrics = replicas.ask(number, &Request::new("GET", "/metrics").bearer(KEY)).await;
    metrics.text().lines().any(|found| found == line)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clocks_that_differ_by_minutes_change_neither_the_order_of_events_nor_limits() {
    let (database, redis) = (Database::create().await, Redis::start().await);
    let setups = AHEAD.map(|seconds| Setup::with_redis(&redis.url()).ahead(seconds));
    let replicas = Replicas::start_each(YAML, &database.url, setups.into()).await;
    for (number, expected) in AHEAD.into_iter().enumerate() {
        let found = ahead(&replicas, number).await;
        assert!((expected - 10..=expected + 10).contains(&found), "{found} s, not {expected} s");
        becomes(&true, async || has_metric(&replicas, number, "petstream_replicas 3").await).await;
        becomes(&true, async || has_metric(&replicas, number, r#"petstream_limits_mode{mode="shared"} 1"#).await).await;
    }
    events_have_times_in_their_order(&replicas).await;
    tickets_and_sessions_are_valid_on_all(&replicas).await;
    keys_expire_by_the_clock_of_each(&replicas).await;
    a_limit_is_exact(&replicas).await;
    for number in 0..COUNT {
        assert!(has_metric(&replicas, number, "petstream_replicas 3").await);
    }
    replicas.stop().await;
}

async fn events_have_times_in_their_order(replicas: &Replicas) {
    let before = now();
    for number in 0..30 {
        let answer = replicas.ask(number % COUNT, &create_pet(&number.to_string()).bearer(KEY)).await;
        assert_eq!(answer.status, 201, "{}", answer.text());
    }
    let request = Request::new("GET", "/api/events?after=earliest&wait=0&limit=1000").bearer(KEY);
    let page = replicas.ask(0, &request).await.json();
    let events = page["events"].as_array().unwrap();
    let times: Vec<Timestamp> = events.iter().map(|event| text(&event["data"]["time"]).parse().unwrap()).collect();
    assert!(times.len() >= 30 && times.is_sorted(), "{times:?}");
    let (first, last) = (times[times.len() - 30], times[times.len() - 1]);
    // Times have milliseconds.
    assert!(first.as_millisecond() >= before.as_millisecond() && last <= now(), "{first} to {last}");
}

async fn tickets_and_sessions_are_valid_on_all(replicas: &Replicas) {
    for from in 0..COUNT {
        let ticket = replicas.ask(from, &Request::new("POST", "/api/events/tickets").bearer(KEY)).await;
        let target = format!("/api/events?topics=pets&ticket={}", text(&ticket.json()["ticket"]));
        let to = replicas.program(COUNT - 1 - from).address;
        let stream = Stream::open(to, get(&target)).await;
        let cookie = stream.header("set-cookie").unwrap().split(';').next().unwrap().to_owned();
        for number in 0..COUNT {
            let request = get("/api/events").header("cookie", &cookie);
            drop(Stream::open(replicas.program(number).address, request).await);
        }
    }
}

async fn keys_expire_by_the_clock_of_each(replicas: &Replicas) {
    for (expires, expected) in [("2m", [200, 200, 401]), ("10m", [200; COUNT])] {
        let create = ["keys", "create", "--name", expires, "--expires", expires];
        let key = replicas.run(&create).await.trim_end().to_owned();
        let request = Request::new("GET", "/api/pets").bearer(&key);
        let statuses = join_all((0..COUNT).map(|number| replicas.ask(number, &request))).await;
        assert_eq!(statuses.iter().map(|answer| answer.status).collect::<Vec<_>>(), expected, "{expires}");
    }
}

async fn a_limit_is_exact(replicas: &Replicas) {
    let (began, request) = (Instant::now(), Request::new("GET", "/api/pets").bearer(LIMITED));
    let answers = join_all((0..3 * LIMIT).map(|index| replicas.ask(index % COUNT, &request))).await;
    // One comes back every two seconds.
    let regained = began.elapsed().as_millis() as usize / (60_000 / LIMIT) + 1;
    let admitted = answers.iter().filter(|answer| answer.status == 200).count();
    assert!((LIMIT - LIMIT / 8..=LIMIT + regained).contains(&admitted), "{admitted} of {LIMIT}");
    assert!(answers.iter().all(|answer| matches!(answer.status, 200 | 429)));
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
}
