//! Streams of completions whose upstream fails in the middle: what was received, one error frame and `[DONE]`, as for
//! chat.

use serde_json::json;

use super::{EVERY, chunk, completion};
use crate::server::Server;
use test_support::completion_stream::{self, Ending};
use test_support::config::one_model;
use test_support::frames::frame;
use test_support::http::Piece;
use test_support::upstream::{Gate, Script, Upstream};

/// Streams from an upstream that sends one token and, once the client has it, plays `rest`. Checks that the client gets
/// `received` behind the token, then one error of this code and `[DONE]`, that the upstream's connection is closed, and
/// that the stream's permit is free.
async fn fails(rest: impl FnOnce(Script) -> Script, received: &[String], code: &str) {
    let gate = Gate::new();
    let script = rest(Script::stream().frame(&chunk("a", None)).wait(&gate));
    let upstream = Upstream::start([script]).await;
    let yaml = one_model(&upstream, &format!("{EVERY}, timeouts: {{idle: 500ms}}"));
    let server =
        Server::start_on_disk(&format!("{yaml}limits: {{total: {{concurrent_streams: 1}}, frame: 2KiB}}\n")).await;
    let mut connection = server.connect().await;
    let stream = completion(&json!({"stream": true}));
    let mut answer = connection.ask(&stream).await;
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.piece().await, Piece::Data(frame(&chunk("a", None)).into()));
    gate.open();
    let body = String::from_utf8(answer.body().await).unwrap();
    let Ending::Failed(error) = completion_stream::read(body.as_bytes()).ending else { panic!("no failure: {body}") };
    assert_eq!(error["code"], code, "{error}");
    let expected: String = received.iter().map(|data| frame(data)).collect();
    assert_eq!(body, format!("{expected}data: {{\"error\":{error}}}\n\ndata: [DONE]\n\n"));
    upstream.await_closed().await;
    // On the same connection: a failed stream ends its body cleanly.
    upstream.answer(Script::sse([chunk("b", Some("stop")), "[DONE]".to_owned()]));
    let next = connection.ask(&stream).await.whole().await;
    assert_eq!(next.transcript().ending, Ending::Complete);
    drop(connection);
    let records = server.records().await;
    let outcomes: Vec<_> = records.iter().map(|record| (&*record.operation, &*record.terminal)).collect();
    assert_eq!(outcomes, [("completions", "failed"), ("completions", "completed")]);
    assert_eq!((records[0].reason.as_deref(), records[0].source.as_deref()), (Some(code), Some("counted")));
}

#[tokio::test]
async fn an_end_without_a_finish_reason() {
    fails(|script| script.frame(&chunk("b", None)).end().close(), &[chunk("b", None)], "upstream_closed").await;
    fails(Script::half_close, &[], "upstream_closed").await;
}

#[tokio::test]
async fn an_end_within_a_frame() {
    let half = |script: Script| script.chunk("data: {\"choices\":[{\"text\":\"x\",\"index\":0").end().close();
    fails(half, &[], "upstream_closed").await;
}

#[tokio::test]
async fn a_reset() {
    fails(Script::reset, &[], "upstream_closed").await;
}

#[tokio::test]
async fn broken_framing() {
    let broken = |script: Script| script.frame(&chunk("b", None)).write("zz\r\ndata: {}\n\n\r\n");
    fails(broken, &[chunk("b", None)], "upstream_malformed").await;
}

#[tokio::test]
async fn a_stall() {
    fails(|script| script.frame(&chunk("b", None)).wait(&Gate::new()), &[chunk("b", None)], "upstream_timeout").await;
}

#[tokio::test]
async fn an_error_of_the_upstreams_own() {
    let error = |script: Script| script.frame(r#"{"error":{"message":"Gone.","type":"x","param":null,"code":"gone"}}"#);
    fails(error, &[], "gone").await;
    let named = |script: Script| script.chunk("event: error\ndata: {\"message\":\"Gone.\",\"code\":\"gone\"}\n\n");
    fails(named, &[], "gone").await;
}

#[tokio::test]
async fn malformed_and_overlong_frames() {
    fails(|script| script.frame("{\"choices\":["), &[], "upstream_malformed").await;
    fails(|script| script.chunk(b"data: {\"choices\":[{\"text\":\"\xff\"}]}\n\n"), &[], "upstream_malformed").await;
    fails(|script| script.frame(&chunk(&"x".repeat(3000), None)), &[], "upstream_malformed").await;
}
