//! Heartbeats on silent streams, and the hold: how long the status waits for the first event.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::server::Server;
use test_support::completion_stream::{self, Ending, Frame};
use test_support::config::one_model;
use test_support::frames::{first, frame, last, request, text};
use test_support::http::{Piece, Request};
use test_support::upstream::{Gate, Script, Upstream};

/// The shortest heartbeat that can be configured.
const HEARTBEAT: Duration = Duration::from_secs(1);
const COMMENT: &str = ": keep-alive\n\n";

fn stream() -> Request {
    Request::chat(&request(&json!({"stream": true})))
}

async fn beating(upstream: &Upstream, hold: &str, more: &str) -> Server {
    Server::start_on_disk(&format!("{}heartbeat: 1s\nhold: {hold}\n", one_model(upstream, more))).await
}

#[tokio::test]
async fn a_silent_stream_is_kept_alive_by_comments() {
    let gate = Gate::new();
    let script = Script::stream().frame(&first()).wait(&gate).frame(&text("a")).frame(&last("stop")).frame("[DONE]");
    let upstream = Upstream::start([script.end()]).await;
    let server = beating(&upstream, "10s", "").await;
    let mut connection = server.connect().await;
    let mut answer = connection.ask(&stream()).await;
    assert_eq!(answer.piece().await, Piece::Data(frame(&first()).into()));
    let mut since = Instant::now();
    for _ in 0..2 {
        assert_eq!(answer.piece().await, Piece::Data(COMMENT.into()), "each in a piece of its own");
        // The first heartbeat counts from the last byte, which was sent a little before it was read.
        assert!(since.elapsed() >= HEARTBEAT * 9 / 10 && since.elapsed() < HEARTBEAT * 10);
        since = Instant::now();
    }
    gate.open();
    let rest = String::from_utf8(answer.body().await).unwrap();
    assert_eq!(rest, frame(&text("a")) + &frame(&last("stop")) + &frame("[DONE]"));
    drop(connection);
    server.stop().await;
}

#[tokio::test]
async fn heartbeats_do_not_reset_the_timeouts_of_the_upstream() {
    let never = Gate::new();
    let upstream = Upstream::start([Script::stream().frame(&first()).wait(&never)]).await;
    let server = beating(&upstream, "10s", "timeouts: {idle: 2500ms, first_token: 2500ms}").await;
    let transcript = server.ask(&stream()).await.transcript();
    let Ending::Failed(error) = &transcript.ending else { panic!("{transcript:#?}") };
    assert_eq!(error["code"], "upstream_timeout");
    let comments = transcript.frames.iter().filter(|frame| matches!(frame, Frame::Comment(_))).count();
    assert_eq!(comments, 2, "{transcript:#?}");
    assert_eq!(server.records().await[0].completion_tokens, 0, "and no tokens");
}

#[tokio::test]
async fn the_status_is_held_and_no_heartbeat_precedes_it() {
    // The status is known only after a heartbeat would have been due.
    let never = Gate::new();
    let upstream = Upstream::start([Script::stream().chunk(": x\n\n").wait(&never)]).await;
    let server = beating(&upstream, "10s", "timeouts: {first_token: 1500ms}").await;
    assert_eq!(server.ask(&stream()).await.error(504)["code"], "upstream_timeout");
    assert_eq!(server.records().await[0].ending(), ("failed", Some("upstream_timeout"), 504));
}

#[tokio::test]
async fn a_stream_that_begins_within_the_hold_has_no_heartbeat() {
    let gate = Gate::new();
    let script = Script::stream().wait(&gate).frame(&first()).frame(&last("stop")).frame("[DONE]").end();
    let upstream = Upstream::start([script]).await;
    let server = beating(&upstream, "10s", "").await;
    let mut connection = server.connect().await;
    connection.send(&stream()).await;
    upstream.request(1).await;
    gate.open();
    let whole = connection.answer().await.whole().await;
    assert_eq!(whole.text(), frame(&first()) + &frame(&last("stop")) + &frame("[DONE]"));
    drop(connection);
    server.stop().await;
}

#[tokio::test]
async fn after_the_hold_200_and_heartbeats_begin() {
    let gate = Gate::new();
    let script = Script::stream().wait(&gate).frame(&first()).frame(&text("a")).frame(&last("stop")).frame("[DONE]");
    let upstream = Upstream::start([script.end()]).await;
    let server = beating(&upstream, "100ms", "").await;
    let mut connection = server.connect().await;
    let began = Instant::now();
    let mut answer = connection.ask(&stream()).await;
    assert!(began.elapsed() >= Duration::from_millis(100));
    assert_eq!((answer.status(), answer.header("content-type")), (200, Some("text/event-stream; charset=utf-8")));
    assert_eq!(answer.piece().await, Piece::Data(COMMENT.into()));
    assert!(began.elapsed() >= HEARTBEAT);
    gate.open();
    let transcript = completion_stream::read(&answer.body().await);
    transcript.assert_contract(1, false);
    assert_eq!(transcript.text(0), "a");
    drop(connection);
    let records = server.records().await;
    assert_eq!(records[0].ending(), ("completed", None, 200));
    assert!(records[0].first_token_us.unwrap() >= 1_000_000, "heartbeats are no first token");
}

#[tokio::test]
async fn a_failure_after_the_hold_is_an_error_frame() {
    let refusal = r#"{"error":{"message":"Slow down.","type":"requests","param":null,"code":"slow_down"}}"#;
    let failures = [
        (Script::new().close(), "upstream_closed", "failed"),
        (Script::json(500, "{}"), "upstream_error", "failed"),
        (Script::json(429, refusal), "slow_down", "refused"),
    ];
    for (failure, code, terminal) in failures {
        let gate = Gate::new();
        let upstream = Upstream::start([Script::new().wait(&gate).then(failure)]).await;
        let server = beating(&upstream, "0s", "").await;
        let mut connection = server.connect().await;
        let mut answer = connection.ask(&stream()).await;
        assert_eq!(answer.status(), 200);
        gate.open();
        let transcript = completion_stream::read(&answer.body().await);
        let Ending::Failed(error) = &transcript.ending else { panic!("{transcript:#?}") };
        assert_eq!(error["code"], code);
        drop(connection);
        assert_eq!(server.records().await[0].ending(), (terminal, Some(code), 200));
    }
}

#[tokio::test]
async fn a_client_that_leaves_before_the_first_event_frees_the_upstream() {
    let never = Gate::new();
    let upstream = Upstream::start([Script::new().wait(&never)]).await;
    let server = beating(&upstream, "0s", "").await;
    let mut connection = server.connect().await;
    assert_eq!(connection.ask(&stream()).await.status(), 200);
    upstream.request(1).await;
    connection.reset();
    upstream.await_closed().await;
    let records = server.records().await;
    assert_eq!((records[0].terminal.as_str(), records[0].first_token_us), ("client_gone", None));
}

#[tokio::test]
async fn the_local_model_is_kept_alive_too() {
    let yaml = "auth: none\nheartbeat: 1s\nresponder: {tokens_per_second: 0.4}\n";
    let server = Server::start(yaml).await;
    let mut connection = server.connect().await;
    let mut answer = connection.ask(&Request::chat(&request(&json!({"stream": true, "model": "petstore-ai"})))).await;
    // The role arrives at once, the first token after 2.5 s: two heartbeats are due before it.
    let Piece::Data(role) = answer.piece().await else { panic!("a first piece") };
    assert!(role.starts_with(b"data: "));
    let Piece::Data(next) = answer.piece().await else { panic!("a second piece") };
    assert_eq!(String::from_utf8_lossy(&next), COMMENT);
    connection.reset();
    server.stop().await;
}
