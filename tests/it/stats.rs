//! The statistics of the server, and the access to them.

use serde_json::{Value, json};

use crate::server::Server;
use test_support::config::{model, one_model};
use test_support::frames::{first, last, request, text, usage};
use test_support::http::{Piece, Request};
use test_support::soon;
use test_support::upstream::{Gate, Script, Upstream};

const KEYS: &str = "\
keys:
  - {name: alice, key: sk-alice-0123456789, limits: {requests_per_minute: 2}}
  - {name: watcher, key: sk-watcher-0123456789, scopes: [stats], limits: {requests_per_minute: 1}}
";
const ALICE: &str = "sk-alice-0123456789";
const WATCHER: &str = "sk-watcher-0123456789";

fn chat(model: &str, more: &Value) -> Request {
    let mut body = request(more);
    body["model"] = model.into();
    Request::chat(&body)
}

async fn stats(server: &Server) -> Value {
    let answer = server.ask(&Request::new("GET", "/api/stats").bearer(WATCHER)).await;
    assert_eq!((answer.status, answer.header("content-type")), (200, Some("application/json")));
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    answer.json()
}

/// Waits for the first sample that `holds` accepts.
async fn sample(server: &Server, what: &str, holds: impl Fn(&Value) -> bool) -> Value {
    soon(what, async {
        loop {
            let stats = stats(server).await;
            if let Some(found) = stats["samples"].as_array().unwrap().iter().find(|sample| holds(sample)) {
                return found.clone();
            }
        }
    })
    .await
}

fn names(value: &Value) -> Vec<&str> {
    let mut names: Vec<_> = value.as_object().unwrap().keys().map(String::as_str).collect();
    names.sort_unstable();
    names
}

#[tokio::test]
async fn only_keys_with_the_scope_can_read_statistics_without_a_rate_limit() {
    let server = Server::start(KEYS).await;
    for (request, status) in [
        (Request::new("GET", "/api/stats"), 401),
        (Request::new("GET", "/api/stats").bearer(ALICE), 403),
        (Request::new("POST", "/api/stats").bearer(WATCHER), 405),
    ] {
        let refused = server.ask(&request).await;
        assert_eq!((refused.status, refused.header("content-type")), (status, Some("application/problem+json")));
    }
    for _ in 0..3 {
        let stats = stats(&server).await;
        let expected = [
            "configuration",
            "limits",
            "liveReplicas",
            "recent",
            "replica",
            "samples",
            "started",
            "subscribers",
            "time",
            "upstreams",
            "version",
        ];
        assert_eq!(names(&stats), expected);
        assert_eq!(stats["version"], env!("CARGO_PKG_VERSION"));
        assert_eq!((stats["replica"].as_str().unwrap().len(), &stats["liveReplicas"]), (16, &json!(1)));
        let [started, time] =
            ["started", "time"].map(|name| stats[name].as_str().unwrap().parse::<jiff::Timestamp>().unwrap());
        assert!(started <= time);
    }
    // Without Redis, this one is all.
    let request = Request::new("GET", "/api/stats?replicas=all").bearer(WATCHER);
    let all = server.ask(&request).await.json();
    let replicas = all["replicas"].as_array().unwrap();
    assert_eq!(replicas.len(), 1);
    assert_eq!(names(&replicas[0]), ["replica", "sample", "started", "subscribers", "version"]);
    assert_eq!((&replicas[0]["replica"], &replicas[0]["started"]), (&all["replica"], &all["started"]));
    server.stop().await;
}

#[tokio::test]
async fn recent_requests_are_listed_newest_first_without_content() {
    let server = Server::start(KEYS).await;
    let question = json!({"messages": [{"role": "user", "content": "Where is the treasure?"}]});
    let asked = server.ask(&chat("petstore-ai", &question).bearer(ALICE)).await;
    let refused =
        server.ask(&chat("petstore-ai", &json!({"n": 1, "stop": ["a", "b", "c", "d", "e"]})).bearer(ALICE)).await;
    assert_eq!((asked.status, refused.status), (200, 400));
    assert_eq!(server.ask(&chat("petstore-ai", &question).bearer(ALICE)).await.status, 429);
    let stats = stats(&server).await;
    let recent = stats["recent"].as_array().unwrap();
    let newest = recent.last().unwrap();
    let expected = [
        "at",
        "attempts",
        "completionTokens",
        "durationMs",
        "firstTokenMs",
        "id",
        "key",
        "model",
        "operation",
        "promptTokens",
        "reason",
        "source",
        "status",
        "streamed",
        "target",
        "terminal",
    ];
    assert_eq!(names(newest), expected);
    assert_eq!(newest["id"].as_str(), asked.header("x-request-id"));
    let usage = &asked.json()["usage"];
    for (name, value) in [
        ("key", json!("alice")),
        ("operation", json!("chat")),
        ("model", json!("petstore-ai")),
        ("target", json!("petstore-ai")),
        ("streamed", json!(false)),
        ("status", json!(200)),
        ("terminal", json!("completed")),
        ("reason", Value::Null),
        ("promptTokens", usage["prompt_tokens"].clone()),
        ("completionTokens", usage["completion_tokens"].clone()),
        ("source", json!("exact")),
    ] {
        assert_eq!(newest[name], value, "{name}");
    }
    assert!(newest["durationMs"].as_f64() >= newest["firstTokenMs"].as_f64() && newest["firstTokenMs"].is_number());
    assert_eq!(stats["limits"], json!([{"limit": "requests", "whose": "key", "refused": 1}]));
    assert!(!stats.to_string().contains("treasure") && !stats.to_string().contains("sk-"));
    let sample =
        sample(&server, "the completion in a sample", |sample| sample["completionTokens"].as_u64() > Some(0)).await;
    assert_eq!(sample["completionTokens"], usage["completion_tokens"]);
    assert_eq!(sample["promptTokens"], usage["prompt_tokens"]);
    assert!(sample["firstToken"]["p50"].as_f64() > Some(0.0), "{sample}");
    server.stop().await;
}

/// Waits for so many further samples; one is taken each second.
async fn seconds(server: &Server, count: usize) {
    let taken = async || stats(server).await["samples"].as_array().unwrap().len();
    let before = taken().await;
    soon("samples", async { while taken().await < before + count {} }).await;
}

#[tokio::test]
async fn a_running_stream_shows_its_progress() {
    let gate = Gate::new();
    let words = (0..2).fold(Script::stream().frame(&first()), |script, _| script.wait(&gate).frame(&text("word ")));
    let rest = Script::new().frame(&last("stop")).frame(&usage(9, 40)).frame("[DONE]").end();
    let upstream = Upstream::start([words.wait(&gate).then(rest)]).await;
    let server = Server::start(&one_model(&upstream, "")).await;
    let mut connection = server.connect().await;
    let mut answer = connection.ask(&chat("m", &json!({"stream": true}))).await;
    assert!(matches!(answer.piece().await, Piece::Data(_)));
    for _ in 0..2 {
        gate.open();
        assert!(matches!(answer.piece().await, Piece::Data(_)));
        // A stream reports its progress at the first chunk of each second.
        seconds(&server, 2).await;
    }
    let flowing = sample(&server, "tokens of a running stream", |sample| sample["completionTokens"] != 0).await;
    assert_eq!(
        (&flowing["completionTokens"], &flowing["streams"], &flowing["requests"]),
        (&json!(1), &json!(1), &json!(0))
    );
    assert!(flowing["gap"]["p99"].as_f64() > Some(1_000.0), "{flowing}");
    let now = stats(&server).await;
    assert_eq!((&now["upstreams"][0]["inFlight"], &now["recent"]), (&json!(1), &json!([])));
    gate.open();
    answer.body().await;
    sample(&server, "its end", |sample| sample["requests"] == 1).await;
    let samples = stats(&server).await["samples"].clone();
    let all = |name: &str| samples.as_array().unwrap().iter().map(|sample| sample[name].as_u64().unwrap()).sum::<u64>();
    assert_eq!((all("requests"), all("promptTokens"), all("completionTokens")), (1, 9, 40), "{samples}");
    server.stop().await;
}

#[tokio::test]
async fn a_paced_stream_of_the_local_model_shows_its_progress() {
    let server = Server::start("auth: none\nresponder: {tokens_per_second: 10}\n").await;
    let mut connection = server.connect().await;
    let question = json!({"stream": true, "messages": [{"role": "user", "content": "List all pets"}]});
    let mut answer = connection.ask(&chat("petstore-ai", &question)).await;
    let reading = async { while let Piece::Data(_) = answer.piece().await {} };
    let watching = sample(&server, "tokens of a running stream", |sample| sample["completionTokens"] != 0);
    tokio::select! {
        () = reading => panic!("the stream ended before anything of it was seen"),
        flowing = watching => {
            assert_eq!((&flowing["streams"], &flowing["requests"]), (&json!(1), &json!(0)));
            assert!(flowing["completionTokens"].as_u64() <= Some(30), "{flowing}");
        }
    }
    drop(connection);
    server.stop().await;
}

#[tokio::test]
async fn metrics_show_healthy_and_ejected_upstreams() {
    let upstreams = [Upstream::start([]).await, Upstream::start([]).await];
    let [bad, good] = &upstreams;
    bad.answer(Script::json(500, "{}"));
    good.answer(Script::sse([first(), text("a"), last("stop"), "[DONE]".to_owned()]));
    let yaml = model(&[(bad, "priority: 0"), (good, "priority: 1")], &["ejection: {failures: 1, base: 1h, max: 1h}"]);
    let server = Server::start(&yaml).await;
    let expected = |name: &str, state: &str, failures: u32| json!({"model": "m", "target": name, "state": state, "inFlight": 0, "failuresInARow": failures});
    let seen = async || {
        let mut upstreams = stats(&server).await["upstreams"].take();
        let idle: Vec<_> = upstreams
            .as_array_mut()
            .unwrap()
            .iter_mut()
            .map(|upstream| {
                let upstream = upstream.as_object_mut().unwrap();
                (upstream.remove("idleConnections").unwrap(), upstream.remove("outUntil").unwrap())
            })
            .collect();
        (upstreams, idle)
    };
    let (before, _) = seen().await;
    assert_eq!(before, json!([expected(&bad.name(), "in", 0), expected(&good.name(), "in", 0)]));
    assert_eq!(server.ask(&chat("m", &json!({"stream": true}))).await.status, 200);
    let (after, rest) = seen().await;
    assert_eq!(after, json!([expected(&bad.name(), "out", 1), expected(&good.name(), "in", 0)]));
    assert_eq!(rest[1], (json!(1), Value::Null), "its connection is kept");
    let until: jiff::Timestamp = rest[0].1.as_str().unwrap().parse().unwrap();
    let left = until.duration_since(jiff::Timestamp::now());
    assert!(left > jiff::SignedDuration::from_mins(59) && left <= jiff::SignedDuration::from_hours(1), "{left}");
    server.stop().await;
}
