//! What limits cost in calls of Redis, and what a killed server takes with it of tokens.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::load::{metrics, says};
use crate::replicas::{Replicas, Setup};
use test_support::config::one_model;
use test_support::frames::{answer, request};
use test_support::http::{Connection, Request};
use test_support::servers::postgres::Database;
use test_support::servers::redis::Redis;
use test_support::upstream::{Script, Upstream};

/// An upstream whose answers report so many tokens of completion.
async fn upstream(tokens: u64) -> Upstream {
    let upstream = Upstream::start([]).await;
    let mut body: Value = serde_json::from_str(&answer("hello")).unwrap();
    body["usage"] = json!({"prompt_tokens": 5, "completion_tokens": tokens, "total_tokens": 5 + tokens});
    upstream.answer_otherwise(Script::json(200, &body.to_string()));
    upstream
}

async fn start(count: usize, yaml: &str, database: &Database, redis: &Redis) -> Replicas {
    let replicas = Replicas::start_each(yaml, &database.url, vec![Setup::with_redis(&redis.url()); count]).await;
    for number in 0..count {
        says(&replicas, number, r#"petstream_limits_mode{mode="shared"} 1"#).await;
    }
    replicas
}

/// Tokens a minute of the test below.
const TOKENS: f64 = 60_000.0;

/// What Redis knows to be used of the limit of tokens, now.
async fn known(redis: &Redis) -> f64 {
    let name = redis.command(&["KEYS", "petstream:limit:1:{key:*}:tokens"]).await;
    let fields = redis.command(&["HMGET", &name, "used", "at"]).await;
    let (used, at) = fields.split_once('\n').unwrap_or_else(|| panic!("{name}: {fields}"));
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs_f64();
    let age = now - at.parse::<f64>().unwrap() / 1e6;
    used.parse::<f64>().unwrap() / 60e6 - age * TOKENS / 60.0
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_tokens_beyond_estimates_a_killed_server_takes_those_of_its_last_second_at_most() {
    const OF_ONE: u64 = 600;
    let (database, redis, upstream) = (Database::create().await, Redis::start().await, upstream(OF_ONE - 5).await);
    let yaml = one_model(&upstream, "") + "limits: {per_key: {tokens_per_minute: 60000}}\n";
    let mut replicas = start(2, &yaml, &database, &redis).await;
    // The estimate is that of the prompt: a few tokens.
    let chat = Request::chat(&request(&json!({})));
    let (began, mut used) = (Instant::now(), Vec::new());
    while began.elapsed() < Duration::from_secs(4) {
        let answer = replicas.ask(0, &chat).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        used.push(Instant::now());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    replicas.kill(0).await;
    let killed = Instant::now();
    // What one process would know. Nothing of it comes back before the first is used.
    let all = (used.len() as u64 * OF_ONE) as f64 - used[0].elapsed().as_secs_f64() * TOKENS / 60.0;
    let lost = all - known(&redis).await;
    // The second, and what an exchange and the kill take.
    let last = killed - Duration::from_millis(1_300);
    let most = (used.iter().filter(|at| **at > last).count() as u64 * OF_ONE) as f64;
    eprintln!("of {} tokens a killed server took {lost:.0} with it; bound {most:.0}", used.len() as u64 * OF_ONE);
    assert!(lost <= most, "{lost} of {most}");
    // The others refuse what was used.
    let left: f64 = replicas.ask(1, &chat).await.header("x-ratelimit-remaining-tokens").unwrap().parse().unwrap();
    assert!(left <= TOKENS - all + most + 1_000.0, "{left} are left");
    replicas.stop().await;
}

/// Requests a second of all clients.
const RATE: u32 = 1_000;
/// Clients of each server.
const CLIENTS: u32 = 4;
const SERVERS: u32 = 3;
/// Length of the measurement.
const LENGTH: Duration = Duration::from_secs(5);

/// All calls of Redis that a server has made.
async fn calls(replicas: &Replicas, number: usize) -> u64 {
    let metrics = metrics(replicas, number).await;
    let calls = metrics.lines().filter_map(|line| line.strip_prefix("petstream_redis_calls_total{")?.split_once("} "));
    calls.map(|(_, value)| value.parse::<f64>().unwrap() as u64).sum()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn under_load_redis_is_called_at_most_fifty_times_a_second() {
    let (database, redis, upstream) = (Database::create().await, Redis::start().await, upstream(2).await);
    let all = "{requests_per_minute: 1000000, tokens_per_minute: 100000000, concurrent_streams: 1000}";
    let yaml = format!("{}page: false\nlimits: {{total: {all}, per_key: {all}}}\n", one_model(&upstream, ""));
    let replicas = start(SERVERS as usize, &yaml, &database, &redis).await;
    let mut before = 0;
    for number in 0..SERVERS as usize {
        before += calls(&replicas, number).await;
    }
    let (began, mut clients) = (Instant::now(), JoinSet::new());
    for server in replicas.addresses() {
        for _ in 0..CLIENTS {
            clients.spawn(async move {
                let mut connection = Connection::open(server).await;
                let chat = Request::chat(&request(&json!({})));
                let mut turn = tokio::time::interval(Duration::from_secs(1) * CLIENTS * SERVERS / RATE);
                let mut count = 0_u64;
                while began.elapsed() < LENGTH {
                    turn.tick().await;
                    assert_eq!(connection.ask(&chat).await.whole().await.status, 200);
                    count += 1;
                }
                count
            });
        }
    }
    let requests: u64 = clients.join_all().await.into_iter().sum();
    let seconds = began.elapsed().as_secs_f64();
    let mut made = 0;
    for number in 0..SERVERS as usize {
        made += calls(&replicas, number).await;
    }
    made -= before;
    let (rate, each) = (requests as f64 / seconds, made as f64 / requests as f64);
    eprintln!("{requests} requests, {rate:.0} a second, on {SERVERS} servers: {made} calls of Redis, {each:.4} each");
    // One for twenty requests at the rate that is asked for. Calls depend on time more than on requests: a busy machine,
    // which has fewer requests, makes no more of them.
    assert!(made as f64 <= 0.05 * f64::from(RATE) * seconds, "{made} calls, {requests} requests in {seconds:.1} s");
    replicas.stop().await;
}
