//! Scenarios by which gateways are compared: a primary that fails in each of the usual ways, a healthy fallback, and a
//! client that should be affected as little as possible. Times are scaled down; an outage of a minute is a unit test
//! of target selection, with a simulated clock.

use serde_json::{Value, json};

use super::{answerer, answerers, asked, refuses, says, stream, targets, until_asked};
use crate::server::Server;
use test_support::completion_stream::{self, Ending};
use test_support::config::model;
use test_support::frames::{answer, first, last, request, text, usage};
use test_support::http::{Piece, Request};
use test_support::upstream::{Gate, Script, Upstream};

/// A primary and its fallback. All settings have their defaults, except for those given for the primary's entry and
/// for the model.
async fn pair(a: &Upstream, b: &Upstream, entry: &str, more: &str) -> Server {
    Server::start(&model(&[(a, &format!("priority: 0, {entry}")), (b, "priority: 1")], &["retries: {}", more])).await
}

fn limited(headers: &str) -> Script {
    let error = r#"{"error":{"message":"Slow down.","type":"requests","param":null,"code":"rate_limit_exceeded"}}"#;
    Script::whole(429, &format!("content-type: application/json\r\n{headers}"), error)
}

fn plain() -> Request {
    Request::chat(&request(&json!({})))
}

/// The client gets the fallback's answer, and the primary gets no request until its `retry-after`.
#[tokio::test]
async fn a_429_with_retry_after() {
    let [a, b] = targets().await;
    a.answer(limited("retry-after: 1\r\n"));
    let server = pair(&a, &b, "", "").await;
    assert_eq!(answerers(&server, 4).await, "bbbb");
    assert_eq!(asked(&[&a, &b]), [1, 4]);
    assert_eq!(until_asked(&server, &a, 2).await, "a");
    server.stop().await;
}

/// As above. Without a time, the primary is skipped for a period that doubles: a lasting limit costs few detours, a
/// short one little capacity.
#[tokio::test]
async fn a_429_without_retry_after() {
    let [a, b] = targets().await;
    a.answer(limited(""));
    let server = pair(&a, &b, "", "").await;
    assert_eq!(answerers(&server, 4).await, "bbbb");
    assert_eq!(asked(&[&a, &b]), [1, 4]);
    assert_eq!(until_asked(&server, &a, 2).await, "a");
    server.stop().await;
}

/// One failure is retried elsewhere at once, and does not affect the next request.
#[tokio::test]
async fn one_500() {
    for streamed in [true, false] {
        let good = |who: &str| if streamed { says(who) } else { Script::json(200, &answer(who)) };
        let a = Upstream::start([refuses(500), good("a")]).await;
        let b = Upstream::start([good("b")]).await;
        let server = pair(&a, &b, "", "").await;
        let ask = Request::chat(&request(&json!({ "stream": streamed })));
        for _ in 0..2 {
            assert_eq!(server.ask(&ask).await.status, 200);
        }
        assert_eq!(asked(&[&a, &b]), [2, 1]);
        server.stop().await;
    }
}

/// No client gets a 503 while the fallback is healthy; after five failures in a row the primary is ejected.
#[tokio::test]
async fn a_lasting_503() {
    let [a, b] = targets().await;
    a.answer_otherwise(refuses(503));
    let server = pair(&a, &b, "", "").await;
    assert_eq!(answerers(&server, 12).await, "b".repeat(12));
    assert_eq!(asked(&[&a, &b]), [5, 12]);
    server.stop().await;
}

/// No byte was sent to the client, so another target may answer.
#[tokio::test]
async fn a_reset_before_the_head() {
    let [a, b] = targets().await;
    a.answer(Script::new().reset());
    let server = pair(&a, &b, "", "").await;
    assert_eq!(answerers(&server, 2).await, "ba");
    server.stop().await;
}

/// The `first_token` timeout ends the silence (default 90 s where another target exists); then the fallback is tried.
#[tokio::test]
async fn silence() {
    let never = Gate::new();
    let [a, b] = targets().await;
    a.answer(Script::new().wait(&never));
    a.answer(Script::stream().wait(&never));
    let server = pair(&a, &b, "timeouts: {first_token: 200ms}", "").await;
    assert_eq!(answerers(&server, 3).await, "bba");
    assert_eq!(asked(&[&a, &b]), [3, 2]);
    server.stop().await;
}

/// A slow first token is not a failure: 20 s are within the default timeout, comments keep the client connected, and
/// no second generation is started.
#[tokio::test]
async fn a_first_token_that_takes_long() {
    let gate = Gate::new();
    let (a, b) = (Upstream::start([]).await, Upstream::start([]).await);
    a.answer(Script::stream().wait(&gate).frame(&first()).frame(&text("a")).frame(&last("stop")).frame("[DONE]").end());
    let yaml = model(&[(&a, "priority: 0"), (&b, "priority: 1")], &["retries: {}"]) + "hold: 100ms\nheartbeat: 1s\n";
    let server = Server::start(&yaml).await;
    let mut connection = server.connect().await;
    let mut whole = connection.ask(&stream()).await;
    assert_eq!(whole.status(), 200);
    let Piece::Data(comment) = whole.piece().await else { panic!("a comment") };
    assert!(comment.starts_with(b":"));
    gate.open();
    let body = [comment.to_vec(), whole.body().await].concat();
    let transcript = completion_stream::read(&body);
    transcript.assert_contract(1, false);
    assert_eq!((transcript.text(0).as_str(), asked(&[&a, &b])), ("a", [1, 0]));
    server.stop().await;
}

/// Requests a stream that the primary cuts after its first tokens; returns what the client received.
async fn breaks(end: impl FnOnce(Script) -> Script) -> (String, Value) {
    let a = Upstream::start([end(Script::stream().frame(&first()).frame(&text("half")))]).await;
    let b = Upstream::start([]).await;
    let server = pair(&a, &b, "timeouts: {idle: 200ms}", "").await;
    let transcript = server.ask(&stream()).await.transcript();
    let Ending::Failed(error) = &transcript.ending else { panic!("{transcript:#?}") };
    assert_eq!(asked(&[&a, &b]), [1, 0], "two answers can't be one");
    let seen = (transcript.text(0), error["code"].clone());
    server.stop().await;
    seen
}

/// Tokens that the client has can't be revoked, and another model would continue differently: the client gets an
/// error frame, which SDKs raise.
#[tokio::test]
async fn a_stream_that_is_cut() {
    assert_eq!(breaks(Script::close).await, ("half".to_owned(), json!("upstream_closed")));
    assert_eq!(breaks(|script| script.end()).await, ("half".to_owned(), json!("upstream_closed")));
}

/// As for a cut stream, after the `idle` timeout.
#[tokio::test]
async fn a_stream_that_stalls() {
    let never = Gate::new();
    assert_eq!(breaks(|script| script.wait(&never)).await, ("half".to_owned(), json!("upstream_timeout")));
}

/// In the middle it ends the stream with an error; as the first event it is retried, since nothing was sent.
#[tokio::test]
async fn a_malformed_chunk() {
    let seen = breaks(|script| script.frame("{\"choices\":[{").end()).await;
    assert_eq!(seen, ("half".to_owned(), json!("upstream_malformed")));
    let [a, b] = targets().await;
    a.answer(Script::sse(["{\"choices\":[{", "[DONE]"]));
    let server = pair(&a, &b, "", "").await;
    assert_eq!(answerers(&server, 2).await, "ba");
    server.stop().await;
}

/// An answer whose choices have all finished is complete; `[DONE]` is added, and no failure is counted.
#[tokio::test]
async fn no_done() {
    let [a, b] = targets().await;
    for _ in 0..6 {
        a.answer(Script::stream().frame(&first()).frame(&text("a")).frame(&last("stop")).end());
    }
    let server = pair(&a, &b, "", "").await;
    assert_eq!(answerers(&server, 7).await, "aaaaaaa", "six of these eject nobody");
    server.stop().await;
}

/// A client error: it is passed on as it is, and no second target is tried, since the same model has the same context
/// length.
#[tokio::test]
async fn a_400_for_the_context_length() {
    let error = json!({"error": {"message": "This model's maximum context length is 8192 tokens.",
        "type": "invalid_request_error", "param": "messages", "code": "context_length_exceeded"}});
    let (a, b) = (Upstream::start([]).await, Upstream::start([]).await);
    a.answer_otherwise(Script::json(400, &error.to_string()));
    let server = pair(&a, &b, "", "ejection: {failures: 1}").await;
    for ask in [stream(), plain(), stream()] {
        assert_eq!(server.ask(&ask).await.error(400), error["error"]);
    }
    assert_eq!(asked(&[&a, &b]), [3, 0]);
    server.stop().await;
}

/// A content filter must not be circumvented by another target: as a finish reason it is part of a complete answer,
/// as a refusal it is passed on.
#[tokio::test]
async fn a_content_filter() {
    let error = json!({"error": {"message": "The response was filtered.", "type": "invalid_request_error",
        "param": "prompt", "code": "content_filter"}});
    let a = Upstream::start([]).await;
    a.answer(Script::sse([first(), text("a"), last("content_filter"), "[DONE]".to_owned()]));
    a.answer(Script::json(400, &error.to_string()));
    a.answer_otherwise(says("a"));
    let b = Upstream::start([]).await;
    let server = pair(&a, &b, "", "ejection: {failures: 1}").await;
    let transcript = server.ask(&stream()).await.transcript();
    transcript.assert_contract(1, false);
    assert_eq!((transcript.text(0).as_str(), transcript.finish_reason(0)), ("a", Some("content_filter")));
    assert_eq!(server.ask(&stream()).await.error(400)["code"], "content_filter");
    assert_eq!(answerer(&server).await, "a");
    assert_eq!(asked(&[&a, &b]), [3, 0]);
    server.stop().await;
}

/// During the outage the fallback serves all clients, and few requests probe the primary; afterwards the primary
/// serves again without intervention.
#[tokio::test]
async fn an_outage_and_the_return() {
    let [a, b] = targets().await;
    a.answer_otherwise(Script::new().reset());
    let server = pair(&a, &b, "", "ejection: {base: 100ms, max: 200ms}").await;
    // Five that eject, and three probes that fail.
    let mut during = String::new();
    while a.requests().len() < 8 {
        during.push_str(&answerer(&server).await);
    }
    assert!(during.len() > 8 && during.chars().all(|who| who == 'b'), "{during}");
    a.answer_otherwise(says("a"));
    assert_eq!(until_asked(&server, &a, 9).await, "a");
    assert_eq!(answerers(&server, 3).await, "aaa");
    server.stop().await;
}

/// The client sees the model and usage of the target that answered; the record names the target with the requested
/// upstream model, and the model that the answer names.
#[tokio::test]
async fn the_fallbacks_model_and_usage() {
    let named = |data: String| data.replace("\"model\":\"up\"", "\"model\":\"llama-3.1-8b-q4\"");
    for streamed in [true, false] {
        let frames = [first(), text("b"), last("stop"), usage(7, 3)].map(named);
        let good = if streamed {
            Script::sse(frames.iter().map(String::as_str).chain(["[DONE]"]))
        } else {
            Script::json(200, &named(answer("b")))
        };
        let (a, b) = (Upstream::start([refuses(500)]).await, Upstream::start([good]).await);
        let yaml = model(&[(&a, "priority: 0"), (&b, "priority: 1, model: llama-3.1-8b")], &["retries: {}"]);
        let server = Server::start_on_disk(&yaml).await;
        let options =
            if streamed { json!({"stream": true, "stream_options": {"include_usage": true}}) } else { json!({}) };
        let whole = server.ask(&Request::chat(&request(&options))).await;
        let counts = if streamed {
            assert_eq!((whole.transcript().text(0).as_str(), whole.status), ("b", 200));
            assert!(whole.text().contains(r#""model":"llama-3.1-8b-q4""#) && !whole.text().contains(r#""up""#));
            (7, 3, Some("exact"))
        } else {
            assert_eq!((whole.status, whole.text()), (200, named(answer("b")).as_str()));
            (3, 2, Some("exact"))
        };
        let record = server.records().await.remove(0);
        assert_eq!(record.counts(), counts);
        assert_eq!((record.model.as_str(), record.attempts), ("m", 2));
        assert_eq!(record.target, Some(b.name_of("llama-3.1-8b")));
        assert_eq!(record.answered_model.as_deref(), Some("llama-3.1-8b-q4"));
    }
}
