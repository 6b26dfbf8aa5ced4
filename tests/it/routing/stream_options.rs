//! Targets that reject `stream_options`, targets configured without, and targets that report usage on every chunk.

use serde_json::{Value, json};

use super::{answerer, asked, refuses, says, stream};
use crate::server::Server;
use test_support::completion_stream::Ending;
use test_support::config::{model, one_model};
use test_support::frames::{first, last, request, text, usage};
use test_support::http::Request;
use test_support::upstream::{Script, Upstream};

fn unknown(status: u16, message: &str, param: Option<&str>) -> Script {
    let error = json!({"message": message, "type": "invalid_request_error", "param": param, "code": null});
    Script::json(status, &json!({ "error": error }).to_string())
}

/// The `stream_options` of each request so far.
fn options(upstream: &Upstream) -> Vec<Option<Value>> {
    let body = |body: &[u8]| serde_json::from_slice::<Value>(body).unwrap();
    upstream.requests().iter().map(|request| body(&request.body).get("stream_options").cloned()).collect()
}

fn asks() -> Option<Value> {
    Some(json!({"include_usage": true}))
}

#[tokio::test]
async fn a_refusal_that_names_them_is_tried_without_and_remembered() {
    let cases = [
        unknown(400, "Unrecognized request argument supplied: stream_options", None),
        unknown(400, "Extra inputs are not permitted", Some("stream_options")),
        unknown(422, "body.stream_options: extra fields not permitted", None),
        unknown(422, "Unknown field.", Some("stream_options.include_usage")),
        Script::json(422, r#"{"detail":"stream_options: Extra inputs are not permitted"}"#),
    ];
    for refusal in cases {
        let a = Upstream::start([refusal, says("a"), says("b"), says("c")]).await;
        // This is not a retry of a failure: neither the limit of attempts nor the retry budget applies.
        let yaml = model(&[(&a, "")], &["retries: {attempts: 1, budget: 0%, reserve: 0}"]);
        let server = Server::start_on_disk(&yaml).await;
        for who in ["a", "b", "c"] {
            assert_eq!(answerer(&server).await, who);
        }
        assert_eq!(options(&a), [asks(), None, None, None]);
        let records = server.records().await;
        assert_eq!(records.iter().map(|record| record.attempts).collect::<Vec<_>>(), [1, 1, 1]);
        assert_eq!(records[2].source.as_deref(), Some("counted"), "nobody says how many any more");
    }
}

#[tokio::test]
async fn a_refusal_of_something_else_is_passed_on() {
    for refusal in [unknown(400, "Unknown model.", Some("model")), refuses(422), unknown(404, "stream_options", None)] {
        let a = Upstream::start([refusal, says("a")]).await;
        let server = Server::start(&one_model(&a, "")).await;
        let status = server.ask(&stream()).await.status;
        assert!((400..500).contains(&status), "{status}");
        assert_eq!(answerer(&server).await, "a");
        assert_eq!(options(&a), [asks(), asks()]);
        server.stop().await;
    }
}

#[tokio::test]
async fn a_client_that_requests_usage_gets_it() {
    let a = Upstream::start([unknown(400, "Unknown: stream_options", None), says("a")]).await;
    let server = Server::start(&one_model(&a, "")).await;
    let own = Request::chat(&request(&json!({"stream": true, "stream_options": {"include_usage": true}})));
    assert_eq!(server.ask(&own).await.error(400)["message"], "Unknown: stream_options");
    assert_eq!(answerer(&server).await, "a");
    assert_eq!(options(&a), [asks(), asks()]);
    server.stop().await;
}

#[tokio::test]
async fn a_second_refusal_is_the_answer() {
    let a = Upstream::start([unknown(400, "stream_options", None), unknown(400, "stream_options", None)]).await;
    let server = Server::start(&one_model(&a, "")).await;
    assert_eq!(server.ask(&stream()).await.status, 400);
    assert_eq!(options(&a), [asks(), None]);
    server.stop().await;
}

#[tokio::test]
async fn each_target_has_its_own_memory() {
    let a = Upstream::start([unknown(400, "stream_options", None), says("a"), refuses(500)]).await;
    let b = Upstream::start([says("b")]).await;
    let yaml = model(&[(&a, "priority: 0"), (&b, "priority: 1")], &[]);
    let server = Server::start(&yaml).await;
    assert_eq!(answerer(&server).await, "a");
    assert_eq!(answerer(&server).await, "b");
    assert_eq!(asked(&[&a, &b]), [3, 1]);
    assert_eq!((options(&a), options(&b)), (vec![asks(), None, None], vec![asks()]));
    server.stop().await;
}

#[tokio::test]
async fn never_forwards_what_the_client_sent() {
    let a = Upstream::start([says("a"), says("b")]).await;
    let server = Server::start(&one_model(&a, "usage: never")).await;
    assert_eq!(answerer(&server).await, "a");
    let own = Request::chat(&request(&json!({"stream": true, "stream_options": {"include_usage": true}})));
    assert_eq!(server.ask(&own).await.transcript().text(0), "b");
    assert_eq!(options(&a), [None, asks()]);
    server.stop().await;
}

/// `data` with running usage.
fn counted(data: &str, completion: u64) -> String {
    let usage = json!({"prompt_tokens": 5, "completion_tokens": completion, "total_tokens": 5 + completion});
    format!("{},\"usage\":{usage}}}", data.strip_suffix('}').unwrap())
}

#[tokio::test]
async fn running_usage_is_requested_on_every_chunk_and_hidden() {
    let frames = [counted(&first(), 0), counted(&text("a"), 1), counted(&last("stop"), 1), usage(5, 1)];
    let a = Upstream::start([Script::sse(frames.iter().map(String::as_str).chain(["[DONE]"]))]).await;
    let server = Server::start_on_disk(&one_model(&a, "usage: running")).await;
    let whole = server.ask(&stream()).await;
    assert_eq!(options(&a), [Some(json!({"include_usage": true, "continuous_usage_stats": true}))]);
    assert!(!whole.text().contains("usage"), "nobody asked for it: {}", whole.text());
    whole.transcript().assert_contract(1, false);
    assert_eq!(server.records().await[0].counts(), (5, 1, Some("exact")));
}

#[tokio::test]
async fn running_usage_counts_for_a_cut_stream() {
    let script = Script::stream()
        .frame(&counted(&first(), 0))
        .frame(&counted(&text("a few words at once"), 4))
        .frame(&counted(&text("and more"), 6));
    let a = Upstream::start([script.close()]).await;
    let server = Server::start_on_disk(&one_model(&a, "usage: running")).await;
    assert!(matches!(server.ask(&stream()).await.transcript().ending, Ending::Failed(_)));
    let records = server.records().await;
    assert_eq!(records[0].counts(), (5, 6, Some("running")));
    assert_eq!(records[0].ending(), ("failed", Some("upstream_closed"), 200));
}
