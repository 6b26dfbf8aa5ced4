//! Limits of each key and of all keys together, with a clock that only the test moves.

use std::time::Duration;

use serde_json::{Value, json};

use crate::server::Server;
use test_support::frames::{first, last, text, usage};
use test_support::http::{Piece, Request, Whole};
use test_support::upstream::{Gate, Script, Upstream};
use test_support::{becomes, soon};

const MINUTE: Duration = Duration::from_secs(60);

/// Two keys, these limits, and the model `m` at `upstream`.
async fn limited(limits: &str, upstream: &Upstream) -> Server {
    let yaml = format!(
        r"
keys:
  - {{name: alice, key: sk-alice-0123456789}}
  - {{name: bob, key: sk-bob-0123456789, limits: {{requests_per_minute: 5, tokens_per_minute: 500}}}}
limits: {limits}
models: [{{name: m, retries: {{same_target: 0}}, upstreams: [{{base_url: '{}'}}]}}]
",
        upstream.url()
    );
    Server::start(&yaml).await
}

fn alice(more: &Value) -> Request {
    ask("sk-alice-0123456789", more)
}

fn bob(more: &Value) -> Request {
    ask("sk-bob-0123456789", more)
}

fn ask(key: &str, more: &Value) -> Request {
    Request::chat(&test_support::frames::request(more)).bearer(key)
}

/// A stream of one token whose upstream reports this usage.
fn costs(prompt: u64, completion: u64) -> Script {
    Script::sse([first(), text("a"), last("stop"), usage(prompt, completion), "[DONE]".to_owned()])
}

#[track_caller]
fn assert_429(answer: &Whole, kind: &str, message: &str) {
    let error = answer.error(429);
    assert_eq!(
        (error["type"].as_str(), error["code"].as_str(), error["param"].as_str()),
        (Some(kind), Some("rate_limit_exceeded"), None),
        "{error}"
    );
    assert_eq!(error["message"], message);
}

#[track_caller]
fn assert_quota(answer: &Whole, what: &str, limit: &str, remaining: &str, reset: &str) {
    let header = |name: &str| answer.header(&format!("x-ratelimit-{name}-{what}"));
    assert_eq!((header("limit"), header("remaining"), header("reset")), (Some(limit), Some(remaining), Some(reset)));
}

#[tokio::test]
async fn requests_a_minute() {
    let upstream = Upstream::start([]).await;
    let server = limited("{per_key: {requests_per_minute: 3}}", &upstream).await;
    let models = Request::new("GET", "/v1/models").bearer("sk-alice-0123456789");
    for (remaining, reset) in [("2", "20s"), ("1", "40s"), ("0", "1m0s")] {
        assert_quota(&server.ask(&models).await, "requests", "3", remaining, reset);
    }
    let refused = server.ask(&models).await;
    let message = "Rate limit reached for your API key on requests per min (RPM): Limit 3, Used 3, Requested 1. \
                   Please try again in 20s.";
    assert_429(&refused, "requests", message);
    assert_eq!((refused.header("retry-after"), refused.header("retry-after-ms")), (Some("20"), Some("20000")));
    assert_eq!(refused.header("x-should-retry"), None);
    assert_quota(&refused, "requests", "3", "0", "1m0s");

    let own = server.ask(&Request::new("GET", "/v1/models").bearer("sk-bob-0123456789")).await;
    assert_quota(&own, "requests", "5", "4", "12s");

    server.advance(Duration::from_millis(19_500));
    let refused = server.ask(&models).await;
    assert_eq!((refused.header("retry-after"), refused.header("retry-after-ms")), (Some("1"), Some("500")));
    server.advance(Duration::from_millis(500));
    assert_eq!(server.ask(&models).await.status, 200, "one more a third of a minute later");
    assert_eq!(server.ask(&models).await.status, 429);
    server.advance(MINUTE);
    assert_quota(&server.ask(&models).await, "requests", "3", "2", "20s");
    server.stop().await;
}

#[tokio::test]
async fn rejected_bodies_count_and_have_ratelimit_headers() {
    let upstream = Upstream::start([]).await;
    let server = limited("{per_key: {requests_per_minute: 2, tokens_per_minute: 1000}}", &upstream).await;
    let bad = server.ask(&alice(&json!({"messages": []}))).await;
    assert_eq!(bad.status, 400);
    assert_quota(&bad, "requests", "2", "1", "30s");
    assert_quota(&bad, "tokens", "1000", "1000", "0s");
    server.stop().await;
}

#[tokio::test]
async fn unlimited_keys_get_no_rate_limit_headers() {
    let upstream = Upstream::start([]).await;
    let server = limited("{}", &upstream).await;
    let models = Request::new("GET", "/v1/models").bearer("sk-alice-0123456789");
    for _ in 0..50 {
        let answer = server.ask(&models).await;
        assert_eq!((answer.status, answer.header("x-ratelimit-limit-requests")), (200, None));
    }
    server.stop().await;
}

#[tokio::test]
async fn all_keys_together() {
    let upstream = Upstream::start([]).await;
    let server = limited("{total: {requests_per_minute: 2}}", &upstream).await;
    for key in ["sk-alice-0123456789", "sk-bob-0123456789"] {
        assert_eq!(server.ask(&Request::new("GET", "/v1/models").bearer(key)).await.status, 200);
    }
    let refused = server.ask(&Request::new("GET", "/v1/models").bearer("sk-bob-0123456789")).await;
    let message = "Rate limit reached for this server on requests per min (RPM): Limit 2, Used 2, Requested 1. \
                   Please try again in 30s.";
    assert_429(&refused, "requests", message);
    server.stop().await;
}

#[tokio::test]
async fn the_store_reports_limits_as_problem_details() {
    let upstream = Upstream::start([]).await;
    let server = limited("{total: {requests_per_minute: 1}}", &upstream).await;
    let pets = Request::new("GET", "/api/pets?limit=1").bearer("sk-alice-0123456789");
    assert_eq!(server.ask(&pets).await.status, 200);
    let refused = server.ask(&pets).await;
    assert_eq!((refused.status, refused.header("content-type")), (429, Some("application/problem+json")));
    assert_eq!(refused.header("retry-after"), Some("60"));
    server.stop().await;
}

#[tokio::test]
async fn reserved_tokens_are_settled_to_the_used_ones() {
    let upstream = Upstream::start([costs(30, 70), costs(600, 500)]).await;
    let server = limited("{per_key: {tokens_per_minute: 1000}}", &upstream).await;
    // Far more is reserved than is used.
    let stream = server.ask(&alice(&json!({"stream": true, "max_tokens": 900}))).await;
    assert_eq!(stream.transcript().text(0), "a");
    let peek = alice(&json!({"messages": []}));
    assert_quota(&server.ask(&peek).await, "tokens", "1000", "900", "6s");
    // Here less is reserved than is used: the excess is charged.
    server.ask(&alice(&json!({"stream": true}))).await.transcript();
    assert_quota(&server.ask(&peek).await, "tokens", "1000", "0", "1m12s");
    let refused = server.ask(&alice(&json!({"max_tokens": 100, "stream": true}))).await;
    let error = refused.error(429);
    assert_eq!((error["type"].as_str(), error["code"].as_str()), (Some("tokens"), Some("rate_limit_exceeded")));
    let said = error["message"].as_str().unwrap();
    assert!(said.starts_with("Rate limit reached for your API key on tokens per min (TPM): Limit 1000, Used 1200, "));
    assert!(refused.header("retry-after").unwrap().parse::<u64>().unwrap() >= 18, "{said}");
    server.advance(MINUTE * 2);
    assert_quota(&server.ask(&peek).await, "tokens", "1000", "1000", "0s");
    server.stop().await;
}

#[tokio::test]
async fn tokens_of_the_local_model_and_of_plain_answers_count_too() {
    let upstream = Upstream::start([Script::json(200, &test_support::frames::answer("a"))]).await;
    let server = limited("{total: {tokens_per_minute: 1000}}", &upstream).await;
    let peek = alice(&json!({"messages": []}));
    server.ask(&alice(&json!({}))).await.json();
    assert_quota(&server.ask(&peek).await, "tokens", "1000", "995", "300ms");
    let local = server.ask(&alice(&json!({"model": "petstore-ai"}))).await.json();
    let left = 995 - local["usage"]["total_tokens"].as_u64().unwrap();
    let answer = server.ask(&peek).await;
    assert_eq!(answer.header("x-ratelimit-remaining-tokens"), Some(left.to_string().as_str()));
    server.stop().await;
}

#[tokio::test]
async fn a_request_that_failed_before_it_began_costs_nothing() {
    let upstream = Upstream::start([Script::json(500, "{}")]).await;
    let server = limited("{per_key: {tokens_per_minute: 1000}}", &upstream).await;
    assert_eq!(server.ask(&alice(&json!({"max_tokens": 900}))).await.status, 502);
    assert_quota(&server.ask(&alice(&json!({"messages": []}))).await, "tokens", "1000", "1000", "0s");
    server.stop().await;
}

#[tokio::test]
async fn a_cut_stream_is_charged() {
    let never = Gate::new();
    let words = |script: Script| (0..20).fold(script.frame(&first()), |script, _| script.frame(&text("a")));
    let upstream = Upstream::start([words(Script::stream()).close(), words(Script::stream()).wait(&never)]).await;
    let server = limited("{per_key: {tokens_per_minute: 1000}}", &upstream).await;
    let left = async || {
        let answer = server.ask(&alice(&json!({"messages": []}))).await;
        answer.header("x-ratelimit-remaining-tokens").unwrap().parse::<u64>().unwrap()
    };
    // No usage is reported: tokens are counted, the prompt is estimated. The rest of the reservation is returned.
    server.ask(&alice(&json!({"stream": true, "max_tokens": 500}))).await.transcript();
    let after_failure = left().await;
    assert!((900..=980).contains(&after_failure), "{after_failure} left after the upstream failed");

    let mut connection = server.connect().await;
    let mut answer = connection.ask(&alice(&json!({"stream": true, "max_tokens": 500}))).await;
    let mut read = Vec::new();
    while read.windows(9).filter(|window| window == b"\"content\"").count() < 21 {
        let Piece::Data(data) = answer.piece().await else { panic!("the stream ended") };
        read.extend_from_slice(&data);
    }
    connection.reset();
    upstream.await_closed().await;
    // The reservation is returned except for what arrived, when the upstream's connection ends.
    let enough = 800..=after_failure - 20;
    becomes(&true, async || enough.contains(&left().await)).await;
    server.stop().await;
}

#[tokio::test]
async fn a_request_larger_than_the_whole_limit_is_refused_without_retry_after() {
    let upstream = Upstream::start([]).await;
    let server = limited("{per_key: {tokens_per_minute: 1000}}", &upstream).await;
    for (request, limit) in [(alice(&json!({"max_tokens": 1000})), 1000), (bob(&json!({"max_tokens": 600})), 500)] {
        let refused = server.ask(&request).await;
        let error = refused.error(429);
        assert_eq!((error["type"].as_str(), error["code"].as_str()), (Some("tokens"), Some("rate_limit_exceeded")));
        let begin = format!("Request too large for your API key on tokens per min (TPM): Limit {limit}, Requested ");
        assert!(error["message"].as_str().unwrap().starts_with(&begin), "{error}");
        assert_eq!((refused.header("x-should-retry"), refused.header("retry-after")), (Some("false"), None));
    }
    server.stop().await;
}

/// A stream that stays open until `gate` is opened.
fn held(gate: &Gate) -> Script {
    Script::stream().frame(&first()).wait(gate).frame(&text("a")).frame(&last("stop")).frame("[DONE]").end()
}

/// Repeats a request until a permit is free: the server notices a closed connection a moment later.
async fn admitted(server: &Server, request: &Request) -> Whole {
    let ask = async {
        loop {
            let answer = server.ask(request).await;
            if answer.status != 429 {
                return answer;
            }
        }
    };
    soon("a place for another stream", ask).await
}

#[tokio::test]
async fn streams_at_once_are_freed_by_their_end() {
    let gate = Gate::new();
    let upstream = Upstream::start([held(&gate)]).await;
    let server = limited("{per_key: {concurrent_streams: 1}}", &upstream).await;
    let streaming = json!({"stream": true});
    let mut connection = server.connect().await;
    let mut answer = connection.ask(&alice(&streaming)).await;
    assert!(matches!(answer.piece().await, Piece::Data(_)));

    let refused = server.ask(&alice(&streaming)).await;
    let message = "Rate limit reached for your API key on concurrent streams: Limit 1, Used 1, Requested 1. Please try \
                   again when another stream has ended.";
    assert_429(&refused, "requests", message);
    assert_eq!(refused.header("retry-after"), Some("1"));
    // Other keys and non-streaming requests do not count.
    upstream.answer(costs(1, 1));
    assert_eq!(server.ask(&bob(&streaming)).await.status, 200);
    upstream.answer(Script::json(200, &test_support::frames::answer("a")));
    assert_eq!(server.ask(&alice(&json!({}))).await.status, 200);

    gate.open();
    answer.body().await;
    // The permit is free before the last byte is read, or the next request of a sequence would be refused.
    upstream.answer(costs(1, 1));
    assert_eq!(server.ask(&alice(&streaming)).await.status, 200);
    server.stop().await;
}

#[tokio::test]
async fn streams_at_once_are_freed_by_a_client_that_leaves() {
    for reset in [true, false] {
        let gate = Gate::new();
        let upstream = Upstream::start([held(&gate)]).await;
        let server = limited("{total: {concurrent_streams: 1}}", &upstream).await;
        let mut connection = server.connect().await;
        let mut answer = connection.ask(&alice(&json!({"stream": true}))).await;
        assert!(matches!(answer.piece().await, Piece::Data(_)));
        let refused = server.ask(&bob(&json!({"stream": true}))).await;
        let message = refused.error(429)["message"].as_str().unwrap().to_owned();
        assert!(message.starts_with("Rate limit reached for this server on concurrent streams: Limit 1"), "{message}");

        if reset {
            connection.reset();
        } else {
            drop(connection);
        }
        upstream.await_closed().await;
        let local = ask("sk-alice-0123456789", &json!({"stream": true, "model": "petstore-ai"}));
        assert_eq!(admitted(&server, &local).await.status, 200);
        server.stop().await;
    }
}

#[tokio::test]
async fn a_refused_stream_holds_no_permit() {
    let upstream = Upstream::start([Script::json(400, "{}"), Script::json(500, "{}")]).await;
    let server = limited("{per_key: {concurrent_streams: 1, tokens_per_minute: 1000}}", &upstream).await;
    let streaming = json!({"stream": true});
    assert_eq!(server.ask(&alice(&json!({"stream": true, "max_tokens": 5000}))).await.status, 429);
    assert_eq!(server.ask(&alice(&streaming)).await.status, 400);
    assert_eq!(server.ask(&alice(&streaming)).await.status, 502);
    upstream.answer(costs(1, 1));
    assert_eq!(server.ask(&alice(&streaming)).await.status, 200);
    server.stop().await;
}
