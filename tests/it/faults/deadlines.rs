//! Timeouts, configured short: each with a message of its own; a 504 while nothing was sent, an error frame later.

use std::time::{Duration, Instant};

use serde_json::json;

use super::{fails, one_at_a_time, stream};
use crate::server::Server;
use tokio::time::timeout;

use test_support::becomes;
use test_support::completion_stream::Ending;
use test_support::frames::{first, frame, last, request, text};
use test_support::full_backlog::Full;
use test_support::http::{Connection, Piece, Request};
use test_support::upstream::{Gate, Script, Upstream};

/// Sends a request that must end in a 504; returns its message.
async fn times_out(script: Script, streaming: bool, timeouts: &str) -> String {
    let upstream = Upstream::start([script]).await;
    let server = one_at_a_time(&upstream, &format!("timeouts: {{{timeouts}}}"), "").await;
    let answer = server.ask(&Request::chat(&request(&json!({ "stream": streaming })))).await;
    let error = answer.error(504);
    assert_eq!((error["type"].as_str(), error["code"].as_str()), (Some("server_error"), Some("upstream_timeout")));
    upstream.await_closed().await;
    let local = Request::chat(&request(&json!({"stream": true, "model": "petstore-ai"})));
    // The permit is free.
    becomes(&200, async || server.ask(&local).await.status).await;
    server.stop().await;
    error["message"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn no_first_token() {
    let never = Gate::new();
    let scripts = [
        Script::new().wait(&never),
        Script::stream().wait(&never),
        // Comments, but no event.
        Script::stream().chunk(": comment\n\n").wait(&never),
        Script::stream().chunk("data: {\"choices\"").wait(&never),
    ];
    let mut said = Vec::new();
    for script in scripts {
        said.push(times_out(script, true, "first_token: 100ms").await);
    }
    said.push(times_out(Script::new().wait(&never), false, "first_token: 100ms").await);
    said.dedup();
    assert_eq!(said.len(), 1, "one deadline, one message: {said:?}");
}

#[tokio::test]
async fn silence_in_a_plain_answer() {
    let never = Gate::new();
    let half = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n{\"choices\":";
    times_out(Script::new().write(half).wait(&never), false, "idle: 100ms").await;
}

#[tokio::test]
async fn a_plain_answer_beyond_the_total() {
    let never = Gate::new();
    let half =
        |status: &str| format!("HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n{{");
    times_out(Script::new().wait(&never), false, "total: 100ms").await;
    times_out(Script::new().write(half("200 OK")).wait(&never), false, "total: 300ms").await;
    times_out(Script::new().write(half("500 No")).wait(&never), false, "total: 300ms").await;
}

#[tokio::test]
async fn a_stream_that_does_not_begin_within_the_total() {
    let never = Gate::new();
    times_out(Script::stream().wait(&never), true, "total: 100ms").await;
}

#[tokio::test]
async fn silence_in_a_stream() {
    let never = Gate::new();
    let failed = fails(|script| script.frame(&text("a")).wait(&never), "timeouts: {idle: 100ms}", "").await;
    failed.assert(&[first(), text("a")], "upstream_timeout");
}

#[tokio::test]
async fn silence_after_the_end_of_a_choice_without_text() {
    let never = Gate::new();
    let end = r#"{"id":"c","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{},"finish_reason":"content_filter"}]}"#;
    let failed = fails(|script| script.frame(end).wait(&never), "timeouts: {idle: 100ms}", "").await;
    failed.assert(&[first(), end.to_owned()], "upstream_timeout");
}

#[tokio::test]
async fn silence_in_the_middle_of_a_frame() {
    let never = Gate::new();
    let half = |script: Script| script.frame(&text("a")).chunk("data: {\"ch").wait(&never);
    let failed = fails(half, "timeouts: {idle: 100ms}", "").await;
    failed.assert(&[first(), text("a")], "upstream_timeout");
}

#[tokio::test]
async fn a_stream_beyond_the_total() {
    let never = Gate::new();
    let failed = fails(|script| script.wait(&never), "timeouts: {total: 300ms}", "").await;
    failed.assert(&[first()], "upstream_timeout");
}

#[tokio::test]
async fn each_timeout_has_its_own_message() {
    let never = Gate::new();
    let idle = fails(|script| script.frame(&text("a")).wait(&never), "timeouts: {idle: 100ms}", "").await;
    let total = fails(|script| script.wait(&never), "timeouts: {total: 300ms}", "").await;
    let first_token = times_out(Script::stream().wait(&never), true, "first_token: 100ms").await;
    let message = |failed: &super::Failed| match &failed.transcript.ending {
        Ending::Failed(error) => error["message"].as_str().unwrap().to_owned(),
        other => panic!("{other:?}"),
    };
    let mut all = vec![message(&idle), message(&total), first_token];
    all.sort();
    all.dedup();
    assert_eq!(all.len(), 3, "{all:?}");
}

#[tokio::test]
async fn comments_reset_the_idle_timeout() {
    // Each pause is much shorter than the timeout, all of them together are longer.
    let gates: Vec<_> = (0..8).map(|_| Gate::new()).collect();
    let script = gates.iter().fold(Script::stream().frame(&first()), |script, gate| script.wait(gate).chunk(": x\n\n"));
    let upstream = Upstream::start([script.frame(&last("stop")).frame("[DONE]").end()]).await;
    let server = one_at_a_time(&upstream, "timeouts: {idle: 2s}", "").await;
    let began = Instant::now();
    let pace = async {
        for gate in &gates {
            let closed = timeout(Duration::from_millis(300), upstream.await_closed()).await;
            assert!(closed.is_err(), "the pause is shorter than the timeout");
            gate.open();
        }
    };
    let request = stream();
    let (answer, ()) = tokio::join!(server.ask(&request), pace);
    answer.transcript().assert_contract(1, false);
    assert!(began.elapsed() >= Duration::from_millis(2400));
    server.stop().await;
}

#[tokio::test]
async fn a_slow_client_does_not_trigger_the_idle_timeout_of_the_upstream() {
    // More than all buffers hold: the upstream has to wait for this reader, which pauses for longer than the timeout.
    let (words, size) = (200, 64 << 10);
    let word = text(&"x".repeat(size));
    let flood = (0..words).fold(Script::stream().frame(&first()), |script, _| script.frame(&word));
    let upstream = Upstream::start([flood.frame(&last("stop")).frame("[DONE]").end()]).await;
    let server = one_at_a_time(&upstream, "timeouts: {idle: 200ms}", "").await;
    let mut connection = Connection::open_narrow(server.address, 4096).await;
    let mut answer = connection.ask(&stream()).await;
    let Piece::Data(begin) = answer.piece().await else { panic!("a first piece") };
    let closed = timeout(Duration::from_millis(600), upstream.await_closed()).await;
    assert!(closed.is_err(), "the upstream is silent for longer than its timeout, but the client is the cause");
    let mut body = begin.to_vec();
    body.extend(answer.body().await);
    let expected =
        frame(&first()).len() + words * frame(&word).len() + frame(&last("stop")).len() + frame("[DONE]").len();
    assert_eq!(body.len(), expected);
    assert!(body.ends_with(b"data: [DONE]\n\n") && !body.windows(8).any(|window| window == b"\"error\":"));
    server.stop().await;
}

#[tokio::test]
async fn no_connection_in_time() {
    let full = Full::open().await;
    let yaml = format!(
        "auth: none\nmodels: [{{name: m, upstreams: [{{base_url: '{}', timeouts: {{connect: 100ms}}}}]}}]\n",
        full.url()
    );
    let server = Server::start(&yaml).await;
    for stream in [true, false] {
        let error = server.ask(&Request::chat(&request(&json!({ "stream": stream })))).await.error(504);
        assert_eq!(error["code"], "upstream_timeout");
    }
    server.stop().await;
}
