//! Wrong endings of streams: missing, repeated, early; and which of them are corrected.

use serde_json::json;

use super::{fails, one_at_a_time, read, stream};
use crate::server::Server;
use test_support::frames::{first, frame, last, text};
use test_support::upstream::{Gate, Script, Upstream};

#[tokio::test]
async fn an_end_without_a_finish_reason() {
    fails(|script| script.frame(&text("a")).end().close(), "", "")
        .await
        .assert(&[first(), text("a")], "upstream_closed");
    fails(|script| script.half_close(), "", "").await.assert(&[first()], "upstream_closed");
}

#[tokio::test]
async fn an_end_within_a_frame_or_a_character() {
    let half = |script: Script| script.chunk("data: {\"choices\":[{\"index\":0").end().close();
    fails(half, "", "").await.assert(&[first()], "upstream_closed");
    let within =
        |script: Script| script.chunk(b"data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"\xf0\x9f").close();
    fails(within, "", "").await.assert(&[first()], "upstream_closed");
}

#[tokio::test]
async fn a_reset() {
    fails(Script::reset, "", "").await.assert(&[first()], "upstream_closed");
}

#[tokio::test]
async fn a_body_that_is_cut_within_an_http_chunk() {
    fails(|script| script.write("ff\r\ndata: {").close(), "", "").await.assert(&[first()], "upstream_closed");
}

#[tokio::test]
async fn chunked_framing_that_is_broken() {
    let broken = |script: Script| script.frame(&text("a")).write("zz\r\ndata: {}\n\n\r\n");
    fails(broken, "", "").await.assert(&[first(), text("a")], "upstream_malformed");
    let too_long = |script: Script| script.write("2\r\ndata: {}\n\n\r\n");
    fails(too_long, "", "").await.assert(&[first()], "upstream_malformed");
}

#[tokio::test]
async fn chunks_that_arrive_with_a_failure_are_sent() {
    let script = |script: Script| script.chunk(frame(&text("a")) + &frame(&text("b"))).close();
    fails(script, "", "").await.assert(&[first(), text("a"), text("b")], "upstream_closed");
}

#[tokio::test]
async fn a_finish_reason_of_one_choice_is_not_the_end_of_two() {
    let other = first().replace("\"index\":0", "\"index\":1");
    // The other choice has begun, or has not.
    for before in [vec![first(), other], vec![first(), text("a")]] {
        let upstream = Upstream::start([Script::sse(before.into_iter().chain([last("stop")]))]).await;
        let server = Server::in_front_of(&upstream).await;
        let ask = test_support::frames::request(&json!({"stream": true, "n": 2}));
        let transcript = server.ask(&test_support::http::Request::chat(&ask)).await.transcript();
        let test_support::completion_stream::Ending::Failed(error) = &transcript.ending else {
            panic!("{transcript:#?}")
        };
        assert_eq!(error["code"], "upstream_closed");
        server.stop().await;
    }
}

#[tokio::test]
async fn bad_utf_8() {
    let bad =
        |script: Script| script.chunk(b"data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"\xff\"}}]}\n\n");
    fails(bad, "", "").await.assert(&[first()], "upstream_malformed");
}

#[tokio::test]
async fn frames_that_are_not_a_json_object() {
    for data in ["{\"choices\":[", "hello", "[1]", "{} {}", "[DONE", "null"] {
        fails(|script| script.frame(data), "", "").await.assert(&[first()], "upstream_malformed");
    }
}

#[tokio::test]
async fn a_frame_over_the_limit() {
    // An upstream that ends, and one that never does.
    let long = text(&"x".repeat(3000));
    fails(|script| script.frame(&long), "", "frame: 2KiB").await.assert(&[first()], "upstream_malformed");
    let endless = |script: Script| script.chunk(format!("data: {}", "x".repeat(4096)));
    fails(endless, "", "frame: 2KiB").await.assert(&[first()], "upstream_malformed");
    let many_lines = |script: Script| script.chunk("data: xxxxxxxxxxxxxxx\n".repeat(300));
    fails(many_lines, "", "frame: 2KiB").await.assert(&[first()], "upstream_malformed");
}

#[tokio::test]
async fn an_error_of_the_upstreams_own() {
    let cases = [
        (json!({"error": {"message": "Gone.", "type": "x", "param": null, "code": "gone"}}), "gone"),
        (json!({"error": {"message": "Gone.", "type": "x", "param": "n", "code": 500}}), "upstream_error"),
        (json!({"error": {"message": "Gone."}}), "upstream_error"),
        (json!({"error": "Gone."}), "upstream_error"),
        (json!({"error": {"message": "Gone.", "code": 429}, "choices": []}), "rate_limit_exceeded"),
        (
            json!({"choices": [{"index": 0, "delta": {}, "finish_reason": "error"}], "error": {"message": "Gone."}}),
            "upstream_error",
        ),
        (json!({"choices": [{"index": 0, "delta": {}, "error": {"message": "Gone.", "code": "gone"}}]}), "gone"),
        (json!({"object": "error", "message": "Gone.", "code": "gone"}), "gone"),
    ];
    for (error, code) in cases {
        let failed = fails(|script| script.frame(&error.to_string()), "", "").await;
        assert_eq!(failed.assert(&[first()], code)["message"], "Gone.", "{error}");
    }
}

#[tokio::test]
async fn a_finish_reason_of_error_is_not_a_complete_answer() {
    let failed = fails(|script| script.frame(&text("a")).frame(&last("error")).frame("[DONE]"), "", "").await;
    failed.assert(&[first(), text("a")], "upstream_error");
}

#[tokio::test]
async fn ping_events_are_skipped() {
    let pings = |script: Script| {
        let named = "event: ping\ndata: {\"type\":\"ping\"}\n\nevent: ping\ndata: hello\n\ndata: {\"ping\":1}\n\ndata: : wait\n\n";
        script.chunk(named).frame(&text("a")).chunk(named)
    };
    fails(|script| pings(script).close(), "", "").await.assert(&[first(), text("a")], "upstream_closed");
    // Data that is not a chunk is an error, whatever the event is named.
    let broken = |script: Script| script.chunk("event: chunk\ndata: {\"choices\":[{\"index\":0,\n\n");
    fails(broken, "", "").await.assert(&[first()], "upstream_malformed");
}

#[tokio::test]
async fn an_end_before_the_first_token_is_no_answer() {
    fails(|script| script.frame("[DONE]").end(), "", "").await.assert(&[first()], "upstream_malformed");
}

#[tokio::test]
async fn all_members_of_an_upstream_error_are_passed_on() {
    let error = r#"{"error":{"message":"Gone.","type":"x","param":"n","code":"content_filter"}}"#;
    let failed = fails(|script| script.frame(error), "", "").await;
    let shown = failed.assert(&[first()], "content_filter");
    assert_eq!(*shown, serde_json::from_str::<serde_json::Value>(error).unwrap()["error"]);
}

#[tokio::test]
async fn an_event_named_error() {
    let event = |script: Script| script.chunk("event: error\ndata: {\"message\":\"Gone.\"}\n\n");
    let failed = fails(event, "", "").await;
    let test_support::completion_stream::Ending::Failed(error) = &failed.transcript.ending else { panic!("a failure") };
    assert_eq!(error["message"], "Gone.");
}

/// A complete stream whose ending is written as `end`; the client must always get the same.
async fn succeeds(end: impl FnOnce(Script) -> Script) {
    let gate = Gate::new();
    let script = end(Script::stream().frame(&first()).wait(&gate).frame(&text("a")).frame(&last("stop")));
    let upstream = Upstream::start([script]).await;
    let server = one_at_a_time(&upstream, "", "frame: 2MiB").await;
    let mut connection = server.connect().await;
    let body = read(&mut connection, &gate).await;
    let expected: String =
        [first(), text("a"), last("stop"), "[DONE]".to_owned()].iter().map(|data| frame(data)).collect();
    assert_eq!(body, expected);
    assert_eq!(connection.ask(&test_support::http::Request::new("GET", "/healthz")).await.whole().await.status, 200);
    drop(connection);
    server.stop().await;
}

#[tokio::test]
async fn a_repeated_done() {
    succeeds(|script| script.frame("[DONE]").frame("[DONE]").end()).await;
    succeeds(|script| script.chunk(frame("[DONE]").repeat(3)).end()).await;
}

#[tokio::test]
async fn done_without_its_newline() {
    succeeds(|script| script.chunk("data: [DONE]").end()).await;
    succeeds(|script| script.chunk("data: [DONE]\n").end()).await;
    succeeds(|script| script.chunk("data:[DONE]").close()).await;
}

#[tokio::test]
async fn no_done() {
    succeeds(Script::end).await;
    succeeds(|script| script.end().close()).await;
}

#[tokio::test]
async fn frames_after_done() {
    succeeds(|script| script.frame("[DONE]").frame(&text("late")).end()).await;
    succeeds(|script| script.chunk(format!("{}{}", frame("[DONE]"), frame("{\"error\":\"late\"}"))).close()).await;
    succeeds(|script| script.frame("[DONE]").chunk("garbage").reset()).await;
}

#[tokio::test]
async fn an_upstream_that_continues_after_done() {
    let never = Gate::new();
    succeeds(|script| script.frame("[DONE]").wait(&never)).await;
}

#[tokio::test]
async fn a_finish_reason_and_a_connection_that_dies_is_complete() {
    // All content was there; only the end of the body is missing.
    succeeds(|script| script.frame("[DONE]").close()).await;
}

#[tokio::test]
async fn a_body_of_a_mebibyte_passes_under_a_larger_limit() {
    let big = text(&"x".repeat(1 << 20));
    let upstream = Upstream::start([Script::sse([first(), big.clone(), last("stop"), "[DONE]".to_owned()])]).await;
    let server = one_at_a_time(&upstream, "", "frame: 2MiB").await;
    let answer = server.ask(&stream()).await;
    let expected: String = [first(), big, last("stop"), "[DONE]".to_owned()].iter().map(|data| frame(data)).collect();
    assert!(answer.text() == expected, "the frame has changed");
    server.stop().await;
}
