//! Usage: requested from every upstream, shown to clients that requested it.

use serde_json::{Value, json};

use crate::server::Server;
use test_support::config::one_model;
use test_support::frames::{first, frame, last, request, text, usage};
use test_support::http::Request;
use test_support::upstream::{Script, Upstream};

const MESSAGES: &str = r#""messages":[{"role":"user","content":"hi"}]"#;

fn post(body: &str) -> Request {
    Request::new("POST", "/v1/chat/completions").body(body)
}

/// `data` with `"usage":null` at its end, as the real API sends it where usage was requested.
fn with_null(data: &str) -> String {
    format!("{},\"usage\":null}}", data.strip_suffix('}').unwrap())
}

fn asked_for() -> Script {
    let frames =
        [with_null(&first()), with_null(&text("a")), with_null(&last("stop")), usage(3, 1), "[DONE]".to_owned()];
    Script::sse(frames)
}

#[tokio::test]
async fn usage_is_requested_and_the_rest_of_the_body_is_unchanged() {
    let cases = [
        (
            format!(r#"{{"model":"m",{MESSAGES},"stream":true}}"#),
            format!(r#"{{"stream_options":{{"include_usage":true}},"model":"m",{MESSAGES},"stream":true}}"#),
        ),
        (
            format!(r#"{{"model":"m",{MESSAGES},"stream":true,"stream_options":{{"x":1}}}}"#),
            format!(r#"{{"model":"m",{MESSAGES},"stream":true,"stream_options":{{"include_usage":true,"x":1}}}}"#),
        ),
        (
            format!(r#"{{"model":"m",{MESSAGES},"stream":true,"stream_options":{{}}}}"#),
            format!(r#"{{"model":"m",{MESSAGES},"stream":true,"stream_options":{{"include_usage":true}}}}"#),
        ),
        (
            format!(r#"{{"model":"m",{MESSAGES},"stream":true,"stream_options":null}}"#),
            format!(r#"{{"model":"m",{MESSAGES},"stream":true,"stream_options":{{"include_usage":true}}}}"#),
        ),
        (
            format!(r#"{{"model":"m",{MESSAGES},"stream":true,"stream_options":{{"include_usage":false}}}}"#),
            format!(r#"{{"model":"m",{MESSAGES},"stream":true,"stream_options":{{"include_usage":true}}}}"#),
        ),
    ];
    let upstream = Upstream::start(cases.iter().map(|_| asked_for())).await;
    let server = Server::in_front_of(&upstream).await;
    for (at, (sent, forwarded)) in cases.iter().enumerate() {
        let answer = server.ask(&post(sent)).await;
        assert_eq!(upstream.request(at + 1).await.text(), forwarded);
        // The client did not request usage: it gets what the upstream would have sent to it.
        let expected: String =
            [first(), text("a"), last("stop"), "[DONE]".to_owned()].iter().map(|data| frame(data)).collect();
        assert_eq!(answer.text(), expected);
    }
    server.stop().await;
}

#[tokio::test]
async fn a_client_that_requests_usage_gets_it_unchanged() {
    let upstream = Upstream::start([asked_for()]).await;
    let server = Server::in_front_of(&upstream).await;
    let body = format!(r#"{{"model":"m",{MESSAGES},"stream":true,"stream_options":{{"include_usage":true}}}}"#);
    let answer = server.ask(&post(&body)).await;
    assert_eq!(upstream.request(1).await.text(), body);
    let frames =
        [with_null(&first()), with_null(&text("a")), with_null(&last("stop")), usage(3, 1), "[DONE]".to_owned()];
    assert_eq!(answer.text(), frames.iter().map(|data| frame(data)).collect::<String>());
    answer.transcript().assert_contract(1, true);
    server.stop().await;
}

#[tokio::test]
async fn usage_is_not_requested_where_disabled_nor_without_a_stream() {
    let plain = format!(r#"{{"model":"m",{MESSAGES}}}"#);
    let streaming = format!(r#"{{"model":"m",{MESSAGES},"stream":true}}"#);
    let upstream = Upstream::start([
        Script::json(200, &test_support::frames::answer("hi")),
        Script::sse([first(), last("stop"), "[DONE]".to_owned()]),
    ])
    .await;
    let server = Server::start(&one_model(&upstream, "usage: never")).await;
    for (at, body) in [plain, streaming].iter().enumerate() {
        assert_eq!(server.ask(&post(body)).await.status, 200);
        assert_eq!(upstream.request(at + 1).await.text(), body);
    }
    server.stop().await;
}

#[tokio::test]
async fn a_chunk_that_is_all_usage_is_hidden_and_of_others_the_usage() {
    // Azure begins with a chunk without choices; other providers put the usage on the last choice.
    let filter =
        r#"{"choices":[],"created":0,"id":"","model":"","object":"","prompt_filter_results":[{"prompt_index":0}]}"#;
    let both =
        last("stop").replace("\"choices\"", "\"usage\":{\"prompt_tokens\":1,\"completion_tokens\":1},\"choices\"");
    let upstream =
        Upstream::start([Script::sse([filter.to_owned(), first(), text("a"), both, "[DONE]".to_owned()])]).await;
    let server = Server::in_front_of(&upstream).await;
    let answer = server.ask(&Request::chat(&request(&json!({"stream": true})))).await;
    let frames = [filter.to_owned(), first(), text("a"), last("stop"), "[DONE]".to_owned()];
    assert_eq!(answer.text(), frames.iter().map(|data| frame(data)).collect::<String>());
    server.stop().await;
}

#[tokio::test]
async fn an_error_of_null_is_cut_out() {
    let with_error = text("a").replace("\"model\"", "\"error\":null,\"model\"");
    let upstream = Upstream::start([Script::sse([first(), with_error, last("stop"), "[DONE]".to_owned()])]).await;
    let server = Server::in_front_of(&upstream).await;
    let answer = server.ask(&Request::chat(&request(&json!({"stream": true})))).await;
    assert!(!answer.text().contains("\"error\""), "{}", answer.text());
    assert_eq!(answer.transcript().text(0), "a");
    server.stop().await;
}

#[tokio::test]
async fn an_error_and_a_usage_of_null_are_both_cut_out() {
    // In every order, next to each other and apart, at either end.
    let members = [
        |chunk: &str| chunk.replacen('{', r#"{"error":null,"usage":null,"#, 1),
        |chunk: &str| chunk.replacen('{', r#"{ "usage" : null , "error" : null , "#, 1),
        |chunk: &str| chunk.replace(r#""choices""#, r#""error":null,"choices""#).replacen('{', r#"{"usage":null,"#, 1),
        |chunk: &str| format!(r#"{},"error":null,"usage":null}}"#, chunk.strip_suffix('}').unwrap()),
        |chunk: &str| format!(r#"{},"usage":null,"error":null}}"#, chunk.strip_suffix('}').unwrap()),
    ];
    let bare = [first(), text("a"), last("stop")];
    for (at, with) in members.iter().enumerate() {
        let frames = bare.iter().map(|chunk| with(chunk)).chain(["[DONE]".to_owned()]);
        let upstream = Upstream::start([Script::sse(frames)]).await;
        let server = Server::in_front_of(&upstream).await;
        let answer = server.ask(&Request::chat(&request(&json!({"stream": true})))).await;
        let transcript = answer.transcript();
        transcript.assert_contract(1, false);
        let expected: Vec<Value> = bare.iter().map(|chunk| serde_json::from_str(chunk).unwrap()).collect();
        assert_eq!(transcript.json().cloned().collect::<Vec<_>>(), expected, "case {at}: {}", answer.text());
        server.stop().await;
    }
}
