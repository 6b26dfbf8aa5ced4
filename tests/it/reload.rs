//! Reloads of the configuration while requests run.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::{Value, json};

use crate::server::Server;
use test_support::completion_stream::Ending;
use test_support::config::one_model;
use test_support::frames::{first, frame, last, request, text, usage};
use test_support::http::{self, Connection, Piece, Request, Whole};
use test_support::upstream::{Gate, Script, Upstream};
use test_support::{becomes, soon};

const ALICE: &str = "sk-alice-0123456789";
const BOB: &str = "sk-bob-0123456789";
/// The number of reloads under load.
const RELOADS: usize = 50;
/// Clients that ask all the time meanwhile.
const CLIENTS: usize = 4;

fn stream() -> Request {
    Request::chat(&request(&json!({"stream": true})))
}

/// A stream with this text.
fn says(word: &str) -> Script {
    Script::sse([first(), text(word), last("stop"), usage(3, 1), "[DONE]".to_owned()])
}

/// The key `sk-alice-…`, named so, the model `m` at `upstream`, and pages of `origin`.
fn generation(name: &str, upstream: &Upstream, origin: &str) -> String {
    format!(
        "keys: [{{name: {name}, key: {ALICE}}}]\ncors: {{allow_origins: [{origin}]}}\n\
         models: [{{name: m, upstreams: [{{base_url: '{}'}}]}}]\n",
        upstream.url()
    )
}

/// What a request saw of each of three settings: the same letter for all, or it saw a mix.
async fn seen(connection: &mut Connection) -> [&'static str; 2] {
    let asked = stream().bearer(ALICE).header("origin", "https://a.example");
    let answer = connection.ask(&asked).await.whole().await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let transcript = answer.transcript();
    assert_eq!(transcript.ending, Ending::Complete, "{transcript:#?}");
    let origin = if answer.header("access-control-allow-origin").is_some() { "a" } else { "b" };
    let upstream = if transcript.text(0) == "a" { "a" } else { "b" };
    [origin, upstream]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifty_reloads_under_load_lose_no_stream_and_no_request_sees_a_mix() {
    let (a, b) = (Upstream::start([]).await, Upstream::start([]).await);
    let gate = Gate::new();
    let held = Script::stream().frame(&first()).frame(&text("a")).wait(&gate);
    a.answer(held.frame(&last("stop")).frame(&usage(3, 1)).frame("[DONE]").end());
    let (one, other) = (generation("a", &a, "https://a.example"), generation("b", &b, "https://b.example"));
    let server = Server::start_on_disk(&one).await;
    let mut long = server.connect().await;
    let mut long = long.ask(&stream().bearer(ALICE)).await;
    assert!(matches!(long.piece().await, Piece::Data(_)));
    a.answer_otherwise(says("a"));
    b.answer_otherwise(says("b"));

    let (done, counts) = (Arc::new(AtomicBool::new(false)), Arc::new([AtomicUsize::new(0), AtomicUsize::new(0)]));
    let clients: Vec<_> = (0..CLIENTS)
        .map(|_| {
            let (address, done, counts) = (server.address, Arc::clone(&done), Arc::clone(&counts));
            tokio::spawn(async move {
                let mut connection = Connection::open(address).await;
                while !done.load(Ordering::Relaxed) {
                    let [origin, upstream] = seen(&mut connection).await;
                    assert_eq!(origin, upstream, "a mix of two configurations");
                    counts[usize::from(origin == "b")].fetch_add(1, Ordering::Relaxed);
                }
            })
        })
        .collect();
    for number in 1..=RELOADS {
        server.reload(if number % 2 == 1 { &other } else { &one }).await;
        // The new one holds from here on.
        let mut connection = server.connect().await;
        let expected = if number % 2 == 1 { "b" } else { "a" };
        assert_eq!(soon("an answer", seen(&mut connection)).await, [expected; 2]);
    }
    done.store(true, Ordering::Relaxed);
    for client in clients {
        soon("a client", client).await.unwrap();
    }
    assert!(counts.iter().all(|count| count.load(Ordering::Relaxed) > 0), "both were seen: {counts:?}");
    gate.open();
    let rest = String::from_utf8(long.body().await).unwrap();
    assert!(rest.contains(&last("stop")) && rest.ends_with(&frame("[DONE]")), "{rest}");
    let (a, b) = (a.name(), b.name());
    let records = server.records().await;
    assert!(records.len() > RELOADS);
    for record in records {
        let target = if record.key_name == "a" { &a } else { &b };
        assert_eq!((record.target.as_ref(), record.terminal.as_str()), (Some(target), "completed"), "{record:?}");
    }
}

fn limited(limits: &str, upstream: &Upstream) -> String {
    format!(
        "keys: [{{name: alice, key: {ALICE}}}]\nlimits: {limits}\nmodels: [{{name: m, upstreams: [{{base_url: '{}'}}]}}]\n",
        upstream.url()
    )
}

fn remaining(answer: &Whole) -> (u16, Option<&str>) {
    (answer.status, answer.header("x-ratelimit-remaining-requests"))
}

#[tokio::test]
async fn what_is_used_of_a_limit_counts_against_the_next_one() {
    let upstream = Upstream::start([]).await;
    let server =
        Server::start(&limited("{total: {requests_per_minute: 4}, per_key: {requests_per_minute: 10}}", &upstream))
            .await;
    let pets = Request::new("GET", "/api/pets").bearer(ALICE);
    for left in ["3", "2"] {
        assert_eq!(remaining(&server.ask(&pets).await), (200, Some(left)));
    }
    // Of the key.
    server.reload(&limited("{total: {requests_per_minute: 60}, per_key: {requests_per_minute: 5}}", &upstream)).await;
    assert_eq!(remaining(&server.ask(&pets).await), (200, Some("2")));
    // Of all keys.
    server.reload(&limited("{total: {requests_per_minute: 4}}", &upstream)).await;
    assert_eq!(remaining(&server.ask(&pets).await), (200, Some("0")));
    assert_eq!(server.ask(&pets).await.status, 429);
    server.advance(Duration::from_secs(60));
    assert_eq!(remaining(&server.ask(&pets).await), (200, Some("3")));
    server.stop().await;
}

/// A stream of one token, whose end waits for `gate`.
fn held(gate: &Gate) -> Script {
    let begun = Script::stream().frame(&first()).frame(&text("a"));
    begun.wait(gate).frame(&last("stop")).frame(&usage(3, 1)).frame("[DONE]").end()
}

#[tokio::test]
async fn a_stream_that_runs_counts_against_a_limit_that_is_set_later() {
    let gate = Gate::new();
    let upstream = Upstream::start([held(&gate)]).await;
    let server = Server::start(&limited("{}", &upstream)).await;
    let mut connection = server.connect().await;
    let mut running = connection.ask(&stream().bearer(ALICE)).await;
    assert!(matches!(running.piece().await, Piece::Data(_)));
    server.reload(&limited("{per_key: {concurrent_streams: 1}}", &upstream)).await;
    let refused = server.ask(&stream().bearer(ALICE)).await;
    assert_eq!(refused.error(429)["code"], "rate_limit_exceeded");
    gate.open();
    running.body().await;
    upstream.answer(says("b"));
    let becomes_free = async || server.ask(&stream().bearer(ALICE)).await.status;
    becomes(&200, becomes_free).await;
    server.stop().await;
}

async fn upstreams(server: &Server) -> Vec<Value> {
    let stats = server.ask(&Request::new("GET", "/api/stats")).await;
    stats.json()["upstreams"].as_array().unwrap().clone()
}

/// Two upstreams of the model `m`, with these settings for the entry of each.
fn two(upstreams: [&Upstream; 2], more: &str, ejection: &str) -> String {
    let [one, other] = upstreams.map(|upstream| format!("{{base_url: '{}', {more}}}", upstream.url()));
    format!(
        "auth: none\nmodels:\n  - {{name: m, affinity: off, retries: {{same_target: 0}}, ejection: {ejection}, upstreams: [{one}, {other}]}}\n"
    )
}

#[tokio::test]
async fn an_ejected_upstream_stays_ejected_and_connections_are_kept() {
    let failing = Upstream::start([Script::json(500, "{}")]).await;
    let good = Upstream::start([says("a"), says("b")]).await;
    let both = [&failing, &good];
    let server = Server::start(&two(both, "weight: 1", "{failures: 1, base: 1h, max: 1h}")).await;
    assert_eq!(server.ask(&stream()).await.transcript().text(0), "a");
    good.await_idle(1).await;
    let states = async || -> Vec<_> {
        let all = upstreams(&server).await;
        all.iter()
            .map(|one| (one["state"].clone(), one["failuresInARow"].clone(), one["idleConnections"].clone()))
            .collect()
    };
    let [out, fine] = [(json!("out"), json!(1), json!(1)), (json!("in"), json!(0), json!(1))];
    becomes(&vec![out.clone(), fine.clone()], &states).await;
    for more in ["weight: 2, timeouts: {total: 5m}", "weight: 2, timeouts: {connect: 1s}", "usage: never"] {
        server.reload(&two(both, more, "{failures: 2, base: 1s, max: 2s}")).await;
        assert_eq!(states().await, [out.clone(), fine.clone()], "{more}");
    }
    assert_eq!(server.ask(&stream()).await.transcript().text(0), "b");
    assert_eq!(good.accepted(), 1, "its connection was used again");
    // Another key is another account.
    server.reload(&two(both, "api_key: other", "{failures: 2}")).await;
    assert_eq!(states().await[0].0, "in");
    server.stop().await;
}

#[tokio::test]
async fn a_model_that_is_gone_is_unknown_to_the_next_request_and_its_stream_goes_on() {
    let gate = Gate::new();
    let upstream = Upstream::start([held(&gate)]).await;
    let server = Server::start(&one_model(&upstream, "")).await;
    let mut connection = server.connect().await;
    let mut running = connection.ask(&stream()).await;
    assert!(matches!(running.piece().await, Piece::Data(_)));
    server.reload("auth: none\n").await;
    assert_eq!(server.ask(&stream()).await.error(404)["code"], "model_not_found");
    assert_eq!(upstreams(&server).await, [json!(null); 0]);
    gate.open();
    let rest = String::from_utf8(running.body().await).unwrap();
    assert!(rest.ends_with(&frame("[DONE]")), "{rest}");
    server.stop().await;
}

#[tokio::test]
async fn a_key_that_is_gone_is_refused_and_its_event_stream_ends() {
    let keys = |keys: &str| format!("keys: [{keys}]\nevents: {{heartbeat: 1s}}\n");
    let [alice, bob] = [("alice", ALICE), ("bob", BOB)].map(|(name, key)| format!("{{name: {name}, key: {key}}}"));
    let server = Server::start(&keys(&format!("{alice}, {bob}"))).await;
    let pets = |key: &str| Request::new("GET", "/api/pets").bearer(key);
    let mut events = server.connect().await;
    let mut events = events.ask(&Request::new("GET", "/api/events").bearer(BOB)).await;
    let mut kept = server.connect().await;
    assert_eq!(kept.ask(&pets(BOB)).await.whole().await.status, 200);
    server.reload(&keys(&alice)).await;
    assert_eq!(kept.ask(&pets(BOB)).await.whole().await.status, 401, "on the connection that it has");
    assert_eq!(server.ask(&pets(ALICE)).await.status, 200);
    soon("the end of its events", events.body()).await;
    server.reload(&keys(&format!("{{name: bob, key: {BOB}, scopes: [store:read]}}"))).await;
    assert_eq!(server.ask(&pets(BOB)).await.status, 200);
    assert_eq!(server.ask(&stream().bearer(BOB)).await.status, 403);
    server.stop().await;
}

#[tokio::test]
async fn a_key_of_the_database_is_kept_and_has_the_new_limits() {
    let server = Server::start_on_disk("").await;
    let secret = server.first_key.clone().unwrap();
    let pets = Request::new("GET", "/api/pets").bearer(&secret);
    assert_eq!(remaining(&server.ask(&pets).await), (200, None));
    server.reload("limits: {per_key: {requests_per_minute: 7}}\n").await;
    assert_eq!(remaining(&server.ask(&pets).await), (200, Some("6")));
    server.stop().await;
}

#[tokio::test]
async fn settings_that_need_a_restart_are_named_and_the_others_hold() {
    let server = Server::start("auth: none\n").await;
    let needs_restart = server.reload("threads: 999\nlimits: {connections: 7, body: 1KiB}\npage: false\n").await;
    assert_eq!(needs_restart, ["threads", "auth", "limits.connections"]);
    assert_eq!(server.ask(&Request::new("GET", "/")).await.status, 404);
    let long = Request::new("POST", "/api/pets").body(vec![b' '; 2_000]);
    assert_eq!(server.ask(&long).await.status, 413);
    let stats = server.ask(&Request::new("GET", "/api/stats")).await.json();
    assert_eq!(stats["configuration"]["needsRestart"], json!(["threads", "auth", "limits.connections"]));
    assert_eq!(server.reload("auth: none\npublic_path: /shop/\n").await, [""; 0]);
    assert_eq!(server.ask(&Request::new("GET", "/")).await.status, 200);
    server.stop().await;
}

#[tokio::test]
async fn connections_that_come_later_have_the_new_limits() {
    let server = Server::start("auth: none\n").await;
    let long = Request::new("GET", "/healthz").header("x-long", &"x".repeat(10_000));
    assert_eq!(http::ask(server.address, &long).await.status, 200);
    server.reload("auth: none\nlimits: {head: 8KiB}\n").await;
    assert_eq!(http::ask(server.address, &long).await.status, 431);
    server.stop().await;
}
