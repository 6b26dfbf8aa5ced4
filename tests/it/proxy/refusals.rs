//! Upstream failures before the first byte: the status and error object that the client gets.

use serde_json::{Value, json};

use crate::server::Server;
use test_support::bound_socket::{ANY_PORT, bound_socket};
use test_support::config::one_model;
use test_support::frames::{answer, first, request};
use test_support::http::{Request, Whole};
use test_support::upstream::{Script, Upstream};

/// The answers to a streaming and a non-streaming request, for this script.
async fn both(script: &Script) -> [Whole; 2] {
    let upstream = Upstream::start([script.clone(), script.clone()]).await;
    let server = Server::in_front_of(&upstream).await;
    let ask = |stream: bool| Request::chat(&request(&json!({ "stream": stream })));
    let answers = [server.ask(&ask(true)).await, server.ask(&ask(false)).await];
    server.stop().await;
    answers
}

#[track_caller]
fn assert_error(answer: &Whole, status: u16, kind: &str, code: Option<&str>) -> Value {
    let error = answer.error(status);
    assert_eq!((error["type"].as_str(), error["code"].as_str()), (Some(kind), code), "{error}");
    error
}

#[tokio::test]
async fn request_errors_keep_status_code_and_param() {
    for status in [400, 404, 409, 413, 422, 429] {
        let body = json!({"error": {"message": "No.", "type": "some_error", "param": "messages", "code": "some_code"}});
        for answer in both(&Script::json(status, &body.to_string())).await {
            let error = assert_error(&answer, status, "some_error", Some("some_code"));
            assert_eq!((error["message"].as_str(), error["param"].as_str()), (Some("No."), Some("messages")));
        }
    }
}

#[tokio::test]
async fn other_forms_are_normalised() {
    let cases = [
        (
            json!({"error": {"message": "No.", "type": "some_error", "code": 400}}).to_string(),
            "No.",
            "some_error",
            None,
        ),
        (json!({"error": "No."}).to_string(), "No.", "invalid_request_error", None),
        (json!({"message": "No."}).to_string(), "No.", "invalid_request_error", None),
        (json!({"detail": "No."}).to_string(), "No.", "invalid_request_error", None),
        ("<html>No.</html>".to_owned(), "", "invalid_request_error", None),
        (String::new(), "", "invalid_request_error", None),
        ("[1]".to_owned(), "", "invalid_request_error", None),
    ];
    for (body, message, kind, code) in cases {
        for answer in both(&Script::json(400, &body)).await {
            let error = assert_error(&answer, 400, kind, code);
            let said = error["message"].as_str().unwrap();
            assert!(!said.is_empty() && said.contains(message) && !said.contains("<html>"), "{body}: {said}");
        }
    }
}

#[tokio::test]
async fn a_refused_credential_is_not_the_clients() {
    // 402 concerns the account of the operator, 407 a proxy between.
    for status in [401, 402, 403, 407] {
        let body =
            json!({"error": {"message": "Incorrect API key", "type": "t", "param": null, "code": "invalid_api_key"}});
        for answer in both(&Script::json(status, &body.to_string())).await {
            assert_error(&answer, 502, "server_error", Some("upstream_auth"));
            assert!(!answer.text().contains("Incorrect API key"));
        }
    }
}

#[tokio::test]
async fn wrong_upstream_credentials_are_not_a_client_error() {
    let page = "<html>nginx at 10.0.0.7</html>";
    for (status, body) in [
        (404, page),
        (404, r#"{"detail":"Not Found"}"#),
        (404, ""),
        (405, page),
        (410, page),
        (421, r#"{"error":{"message":"10.0.0.7","type":"t"}}"#),
        (425, page),
        (451, page),
    ] {
        for answer in both(&Script::json(status, body)).await {
            assert_error(&answer, 502, "server_error", Some("upstream_error"));
            assert!(!answer.text().contains("10.0.0.7") && !answer.text().contains("Not Found"), "{}", answer.text());
        }
    }
}

#[tokio::test]
async fn a_rate_limit_comes_with_its_retry_after() {
    let body =
        json!({"error": {"message": "Slow down.", "type": "requests", "param": null, "code": "rate_limit_exceeded"}});
    let script = Script::whole(429, "content-type: application/json\r\nretry-after: 7\r\n", &body.to_string());
    for answer in both(&script).await {
        assert_error(&answer, 429, "requests", Some("rate_limit_exceeded"));
        assert_eq!((answer.header("retry-after"), answer.header("x-should-retry")), (Some("7"), None));
    }
}

#[tokio::test]
async fn an_exhausted_quota_is_not_retried() {
    let body = json!({"error": {"message": "Pay.", "type": "insufficient_quota", "param": null, "code": "insufficient_quota"}});
    for answer in both(&Script::json(429, &body.to_string())).await {
        assert_error(&answer, 429, "insufficient_quota", Some("insufficient_quota"));
        assert_eq!(answer.header("x-should-retry"), Some("false"));
    }
}

#[tokio::test]
async fn a_server_error() {
    for body in [r#"{"error":{"message":"Oops.","type":"x","param":null,"code":null}}"#, "<html>", ""] {
        for answer in both(&Script::json(500, body)).await {
            let error = answer.error(502);
            assert_eq!(error["type"], "server_error");
            assert!(error["code"].as_str().unwrap().starts_with("upstream_"), "{error}");
        }
    }
    for answer in both(&Script::json(503, "{}")).await {
        assert_error(&answer, 503, "service_unavailable_error", Some("server_is_overloaded"));
    }
    for answer in both(&Script::json(504, "{}")).await {
        assert_error(&answer, 504, "server_error", Some("upstream_timeout"));
    }
}

#[tokio::test]
async fn a_redirect_is_never_followed() {
    let elsewhere = Upstream::start([]).await;
    for status in [301, 302, 307, 308] {
        let headers = format!("location: {}/chat/completions\r\n", elsewhere.url());
        for answer in both(&Script::whole(status, &headers, "")).await {
            assert_error(&answer, 502, "server_error", Some("upstream_malformed"));
            assert_eq!(answer.header("location"), None);
        }
    }
    assert_eq!(elsewhere.accepted(), 0);
}

#[tokio::test]
async fn an_html_page_is_not_an_answer() {
    for answer in both(&Script::whole(200, "content-type: text/html\r\n", "<html>Log in</html>")).await {
        assert_error(&answer, 502, "server_error", Some("upstream_malformed"));
        assert!(!answer.text().contains("<html>"));
    }
}

#[tokio::test]
async fn an_encoding_that_was_not_requested() {
    for kind in ["text/event-stream", "application/json"] {
        let headers = format!("content-type: {kind}\r\ncontent-encoding: gzip\r\n");
        for answer in both(&Script::whole(200, &headers, "\u{1f}")).await {
            assert_error(&answer, 502, "server_error", Some("upstream_malformed"));
        }
    }
}

#[tokio::test]
async fn a_whole_answer_although_a_stream_was_asked_for() {
    let [stream, whole] = both(&Script::json(200, &answer("hi"))).await;
    assert_error(&stream, 502, "server_error", Some("upstream_malformed"));
    assert_eq!(whole.status, 200);
}

#[tokio::test]
async fn an_error_with_a_status_of_success() {
    let body = json!({"error": {"message": "No such model", "type": "x", "param": null, "code": 404}}).to_string();
    for answer in both(&Script::json(200, &body)).await {
        assert_eq!(answer.error(404)["message"], "No such model");
    }
}

#[tokio::test]
async fn an_error_beside_an_answer_is_an_error() {
    let message = json!({"role": "assistant", "content": "a"});
    for body in [
        json!({"choices": [{"index": 0, "message": message, "finish_reason": "stop"}], "error": {"message": "No.", "code": 502}}),
        json!({"choices": [{"index": 0, "message": message, "finish_reason": "error"}], "error": "No."}),
        json!({"choices": [{"index": 0, "message": message, "error": {"message": "No.", "code": 502}}]}),
        json!({"choices": [], "error": {"message": "No."}}),
        json!({"choices": null, "error": {"message": "No."}, "usage": {"prompt_tokens": 9, "completion_tokens": 9}}),
    ] {
        for answer in both(&Script::json(200, &body.to_string())).await {
            let error = assert_error(&answer, 502, "server_error", Some("upstream_error"));
            assert_eq!(error["message"], "No.", "{body}");
        }
    }
}

#[tokio::test]
async fn an_error_as_the_first_frame_becomes_a_status() {
    for (error, status) in [
        (json!({"error": {"message": "No.", "type": "x", "param": null, "code": 400}}), 400),
        (json!({"error": {"message": "No.", "type": "x", "param": null, "code": "429"}}), 429),
        (json!({"error": {"message": "No.", "type": "x"}}), 502),
        (json!({"error": "No."}), 502),
    ] {
        let upstream = Upstream::start([Script::stream().chunk(": hello\n\n").frame(&error.to_string()).end()]).await;
        let server = Server::in_front_of(&upstream).await;
        let answer = server.ask(&Request::chat(&request(&json!({"stream": true})))).await;
        assert_eq!(answer.error(status)["message"], "No.");
        server.stop().await;
    }
}

#[tokio::test]
async fn malformed_plain_answers() {
    let cut = Script::new().write("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{\"choices\":[]}").close();
    let chunked = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
    let cases = [
        (Script::json(200, "{}"), "upstream_malformed"),
        (Script::json(200, "{\"choices\":[]}"), "upstream_malformed"),
        (Script::json(200, "{\"choices\":null}"), "upstream_malformed"),
        (Script::json(200, "{\"choices\":{\"index\":0}}"), "upstream_malformed"),
        (Script::json(200, "{\"choices\":[],\"usage\":{\"prompt_tokens\":1}}"), "upstream_malformed"),
        (Script::json(200, "{\"choices\":["), "upstream_malformed"),
        (Script::json(200, ""), "upstream_malformed"),
        (Script::json(200, "[]"), "upstream_malformed"),
        (cut, "upstream_closed"),
        (Script::new().write(chunked).chunk("{\"choices\":[]}").close(), "upstream_closed"),
        (Script::new().write(chunked).write("zz\r\n{\"choices\":[]}\r\n0\r\n\r\n").close(), "upstream_malformed"),
        (Script::new().write("HTTP/1.1 200 OK\r\n").close(), "upstream_closed"),
        (Script::new().write("SSH-2.0-OpenSSH\r\n\r\n").close(), "upstream_malformed"),
    ];
    for (at, (script, code)) in cases.into_iter().enumerate() {
        let upstream = Upstream::start([script]).await;
        let server = Server::in_front_of(&upstream).await;
        let answer = server.ask(&Request::chat(&request(&json!({})))).await;
        assert_eq!(answer.error(502)["code"], code, "case {at}");
        server.stop().await;
    }
}

#[tokio::test]
async fn a_plain_answer_or_a_head_that_is_too_long() {
    let long = format!(r#"{{"choices":[],"x":"{}"}}"#, "x".repeat(2000));
    let head = format!("content-type: application/json\r\nx-long: {}\r\n", "x".repeat(1 << 20));
    for script in [Script::json(200, &long), Script::whole(200, &head, &answer("hi"))] {
        let upstream = Upstream::start([script]).await;
        let yaml = format!("{}limits: {{answer: 1KiB}}\n", one_model(&upstream, ""));
        let server = Server::start(&yaml).await;
        let answer = server.ask(&Request::chat(&request(&json!({})))).await;
        assert_error(&answer, 502, "server_error", Some("upstream_malformed"));
        upstream.await_closed().await;
        server.stop().await;
    }
}

#[tokio::test]
async fn streams_that_never_begin() {
    let cases = [
        (Script::stream().end().close(), "upstream_closed"),
        (Script::stream().chunk(": only\n\n: comments\n\n").close(), "upstream_closed"),
        (Script::stream().frame("hello"), "upstream_malformed"),
        (Script::stream().chunk("data: {\"choices\":[{\"delta\"").close(), "upstream_closed"),
        (Script::new().close(), "upstream_closed"),
        (Script::stream().frame(&first()).close(), "upstream_closed"),
    ];
    for (at, (script, code)) in cases.into_iter().enumerate() {
        let upstream = Upstream::start([script]).await;
        let server = Server::in_front_of(&upstream).await;
        let answer = server.ask(&Request::chat(&request(&json!({"stream": true})))).await;
        assert_eq!(answer.error(502)["code"], code, "case {at}");
        upstream.await_closed().await;
        server.stop().await;
    }
}

#[tokio::test]
async fn nothing_listens() {
    let gone = bound_socket(ANY_PORT);
    let address = gone.local_addr().unwrap();
    let yaml = format!("auth: none\nmodels: [{{name: m, upstreams: [{{base_url: 'http://{address}/v1'}}]}}]\n");
    let server = Server::start(&yaml).await;
    for stream in [true, false] {
        let answer = server.ask(&Request::chat(&request(&json!({ "stream": stream })))).await;
        assert_error(&answer, 502, "server_error", Some("upstream_unreachable"));
        assert!(!answer.text().contains(&address.to_string()), "no internals: {}", answer.text());
    }
    server.stop().await;
}
