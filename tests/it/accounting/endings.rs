//! The terminal state of each request in its record.

use serde_json::json;

use super::{PROMPT, ask, only, read_words, recording, stream, words};
use crate::server::Server;
use test_support::completion_stream::{self, Ending};
use test_support::config::one_model;
use test_support::frames::{answer, first, last, text, usage};
use test_support::http::{Connection, Piece, Request};
use test_support::upstream::{Gate, Script, Upstream};

#[tokio::test]
async fn completed() {
    let upstream =
        Upstream::start([Script::sse([first(), text("a"), last("stop"), usage(70, 30), "[DONE]".to_owned()])]).await;
    let yaml = format!(
        "keys: [{{name: alice, key: sk-alice-0123456789}}]\nmodels: [{{name: '*', upstreams: [{{base_url: '{}'}}]}}]\n",
        upstream.url()
    );
    let server = Server::start_on_disk(&yaml).await;
    let whole = server.ask(&ask(&json!({"stream": true, "model": "any"})).bearer("sk-alice-0123456789")).await;
    whole.transcript().assert_contract(1, false);
    let record = only(server).await;
    assert_eq!(record.request_id.as_deref(), whole.header("x-request-id"));
    assert_eq!((record.key_name.as_str(), record.model.as_str()), ("alice", "any"));
    assert_eq!(record.target.as_deref(), Some(upstream.name_of("").as_str()));
    assert_eq!((record.attempts, record.streamed), (1, true));
    assert_eq!(record.counts(), (70, 30, Some("exact")), "although the client never saw the chunk with the counts");
    assert_eq!(record.ending(), ("completed", None, 200));
    assert!(record.first_token_us.unwrap() <= record.duration_us);
}

#[tokio::test]
async fn a_plain_answer_that_completed() {
    let upstream = Upstream::start([Script::json(200, &answer("a"))]).await;
    let server = recording(&upstream, "").await;
    let whole = server.ask(&ask(&json!({}))).await;
    assert_eq!(whole.status, 200);
    let record = only(server).await;
    assert_eq!(record.request_id.as_deref(), whole.header("x-request-id"));
    assert_eq!((record.attempts, record.streamed), (1, false));
    assert_eq!(record.counts(), (3, 2, Some("exact")));
    assert_eq!(record.ending(), ("completed", None, 200));
}

#[tokio::test]
async fn failed_in_the_middle() {
    let upstream = Upstream::start([words(5).close()]).await;
    let server = recording(&upstream, "").await;
    assert!(matches!(server.ask(&stream()).await.transcript().ending, Ending::Failed(_)));
    let record = only(server).await;
    assert_eq!(record.counts(), (PROMPT, 5, Some("counted")));
    assert_eq!(record.ending(), ("failed", Some("upstream_closed"), 200));
}

#[tokio::test]
async fn failed_before_anything_came() {
    let cases = [
        (Script::json(500, "{}"), "upstream_error", 502),
        (Script::json(401, "{}"), "upstream_auth", 502),
        (Script::new().close(), "upstream_closed", 502),
        (Script::json(200, "[]"), "upstream_malformed", 502),
    ];
    for (script, code, status) in cases {
        for streaming in [true, false] {
            let upstream = Upstream::start([script.clone()]).await;
            let server = recording(&upstream, "").await;
            assert_eq!(server.ask(&ask(&json!({ "stream": streaming }))).await.error(status)["code"], code);
            let record = only(server).await;
            assert_eq!(record.ending(), ("failed", Some(code), status));
            assert_eq!((record.completion_tokens, record.first_token_us), (0, None));
        }
    }
}

#[tokio::test]
async fn a_request_that_reached_no_upstream_is_free() {
    let mut upstream = Upstream::start([]).await;
    upstream.unlisten().await;
    let server = recording(&upstream, "").await;
    assert_eq!(server.ask(&stream()).await.error(502)["code"], "upstream_unreachable");
    let record = only(server).await;
    assert_eq!(record.ending(), ("failed", Some("upstream_unreachable"), 502));
    assert_eq!((record.prompt_tokens, record.completion_tokens), (0, 0));
}

#[tokio::test]
async fn refused_by_the_upstream() {
    let no = r#"{"error":{"message":"No.","type":"invalid_request_error","param":null,"code":"no"}}"#;
    for streaming in [true, false] {
        for status in [400, 404, 422, 429] {
            let upstream = Upstream::start([Script::json(status, no)]).await;
            let server = recording(&upstream, "").await;
            assert_eq!(server.ask(&ask(&json!({ "stream": streaming }))).await.status, status);
            let record = only(server).await;
            assert_eq!(record.ending(), ("refused", Some("no"), status));
            assert_eq!((record.prompt_tokens, record.completion_tokens, record.first_token_us), (0, 0, None));
            assert_eq!((record.attempts, record.streamed), (1, streaming));
        }
    }
}

#[tokio::test]
async fn refused_by_the_local_model() {
    let server = Server::start_on_disk("auth: none\n").await;
    let request = ask(&json!({"model": "petstore-ai", "logprobs": true, "top_logprobs": 3}));
    let code = server.ask(&request).await.error(400)["code"].as_str().unwrap().to_owned();
    let record = only(server).await;
    assert_eq!(record.ending(), ("refused", Some(code.as_str()), 400));
    assert_eq!((record.prompt_tokens, record.completion_tokens), (0, 0));
}

#[tokio::test]
async fn refused_requests_leave_no_record() {
    let upstream = Upstream::start([]).await;
    let yaml = one_model(&upstream, "") + "limits: {per_key: {tokens_per_minute: 100}}\n";
    let server = Server::start_on_disk(&yaml).await;
    assert_eq!(server.ask(&ask(&json!({"messages": []}))).await.status, 400);
    assert_eq!(server.ask(&ask(&json!({"max_tokens": 1000}))).await.status, 429);
    assert_eq!(server.ask(&Request::new("GET", "/v1/models")).await.status, 200);
    assert_eq!(server.records().await, []);
}

#[tokio::test]
async fn records_without_tokens_have_no_source() {
    let mut upstream = Upstream::start([Script::json(400, "{}")]).await;
    let server = recording(&upstream, "").await;
    assert_eq!(server.ask(&stream()).await.status, 400);
    upstream.close_idle().await;
    upstream.unlisten().await;
    assert_eq!(server.ask(&stream()).await.status, 502);
    let sources: Vec<_> = server.records().await.into_iter().map(|record| record.source).collect();
    assert_eq!(sources, [None, None], "there was nothing to count");
}

/// Closes or resets the connection.
fn leave(connection: Connection, reset: bool) {
    if reset {
        connection.reset();
    } else {
        drop(connection);
    }
}

#[tokio::test]
async fn the_client_left_before_the_head() {
    let never = Gate::new();
    for (streaming, reset) in [(true, true), (true, false), (false, true), (false, false)] {
        let upstream = Upstream::start([Script::new().wait(&never)]).await;
        let server = recording(&upstream, "").await;
        let mut connection = server.connect().await;
        connection.send(&ask(&json!({ "stream": streaming }))).await;
        upstream.request(1).await;
        leave(connection, reset);
        upstream.await_closed().await;
        let record = only(server).await;
        assert_eq!(record.ending(), ("client_gone", None, 499));
        let source = if streaming { "counted" } else { "estimated" };
        assert_eq!(record.counts(), (PROMPT, 0, Some(source)), "the upstream has read the prompt");
        assert_eq!(record.target, Some(upstream.name()));
    }
}

#[tokio::test]
async fn an_attempt_whose_client_left_counts() {
    let never = Gate::new();
    for streaming in [true, false] {
        let upstream = Upstream::start([Script::new().wait(&never)]).await;
        let server = recording(&upstream, "").await;
        let mut connection = server.connect().await;
        connection.send(&ask(&json!({ "stream": streaming }))).await;
        upstream.request(1).await;
        connection.reset();
        upstream.await_closed().await;
        assert_eq!(only(server).await.attempts, 1);
    }
}

#[tokio::test]
async fn the_client_left_in_the_middle() {
    let never = Gate::new();
    for reset in [true, false] {
        let upstream = Upstream::start([words(4).wait(&never)]).await;
        let server = recording(&upstream, "").await;
        let mut connection = server.connect().await;
        let mut answer = connection.ask(&stream()).await;
        assert_eq!(answer.status(), 200);
        read_words(&mut answer, 4).await;
        leave(connection, reset);
        upstream.await_closed().await;
        let record = only(server).await;
        assert_eq!(record.counts(), (PROMPT, 4, Some("counted")));
        assert_eq!((record.terminal.as_str(), record.reason.as_deref()), ("client_gone", None));
        assert!(record.first_token_us.is_some());
    }
}

#[tokio::test]
async fn the_status_of_a_client_that_left_is_that_of_the_log() {
    let never = Gate::new();
    let upstream = Upstream::start([words(1).wait(&never)]).await;
    let server = recording(&upstream, "").await;
    let mut connection = server.connect().await;
    read_words(&mut connection.ask(&stream()).await, 1).await;
    connection.reset();
    upstream.await_closed().await;
    assert_eq!(only(server).await.ending(), ("client_gone", None, 499));
}

#[tokio::test]
async fn a_client_that_leaves_at_done_has_its_answer() {
    let gate = Gate::new();
    let script = words(1).frame(&last("stop")).frame("[DONE]").wait(&gate).end();
    let upstream = Upstream::start([script]).await;
    let server = recording(&upstream, "").await;
    let mut connection = server.connect().await;
    let mut answer = connection.ask(&stream()).await;
    let mut read = Vec::new();
    while !read.ends_with(b"data: [DONE]\n\n") {
        let Piece::Data(data) = answer.piece().await else { panic!("an end before the end") };
        read.extend_from_slice(&data);
    }
    connection.reset();
    gate.open();
    assert_eq!(only(server).await.ending(), ("completed", None, 200));
}

#[tokio::test]
async fn the_client_took_nothing_for_too_long() {
    let flood = (0..400).fold(Script::stream().frame(&first()), |script, _| script.frame(&text(&"x".repeat(64 << 10))));
    let upstream = Upstream::start([flood]).await;
    let server = Server::start_on_disk(&(one_model(&upstream, "") + "limits: {write_idle: 200ms}\n")).await;
    let mut connection = Connection::open_narrow(server.address, 4096).await;
    connection.send(&stream()).await;
    upstream.await_closed().await;
    let record = only(server).await;
    drop(connection);
    assert_eq!(record.terminal, "client_stalled");
    assert!((1..400).contains(&record.completion_tokens), "{record:?}");
}

#[tokio::test]
async fn the_server_stopped_in_the_middle() {
    let never = Gate::new();
    let upstream = Upstream::start([words(3).wait(&never)]).await;
    let server = Server::start_on_disk(&(one_model(&upstream, "") + "drain: 0s\n")).await;
    let mut connection = server.connect().await;
    let mut answer = connection.ask(&stream()).await;
    read_words(&mut answer, 3).await;
    server.begin_stop();
    let rest = answer.body().await;
    let Ending::Failed(error) = completion_stream::read(&rest).ending else {
        panic!("{:?}", String::from_utf8_lossy(&rest))
    };
    assert_eq!(error["code"], "server_shutdown");
    upstream.await_closed().await;
    let record = only(server).await;
    assert_eq!(record.ending(), ("shutdown", Some("server_shutdown"), 200));
    assert_eq!(record.counts(), (PROMPT, 3, Some("counted")));
}

#[tokio::test]
async fn the_server_stopped_before_the_answer_began() {
    let never = Gate::new();
    for streaming in [true, false] {
        let upstream = Upstream::start([Script::new().wait(&never)]).await;
        let server = Server::start_on_disk(&(one_model(&upstream, "") + "drain: 0s\n")).await;
        let mut connection = server.connect().await;
        connection.send(&ask(&json!({ "stream": streaming }))).await;
        upstream.request(1).await;
        server.begin_stop();
        assert_eq!(connection.answer().await.whole().await.error(503)["code"], "server_shutdown");
        upstream.await_closed().await;
        let record = only(server).await;
        assert_eq!(record.ending(), ("shutdown", Some("server_shutdown"), 503), "streaming: {streaming}");
    }
}
