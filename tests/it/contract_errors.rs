//! Every error of the contract, as a client receives it.

use serde_json::{Value, json};

use crate::server::Server;
use test_support::http::{Piece, Request};

/// Status, type, code, param, and the beginning of the message.
type Expected<'a> = (u16, &'a str, Option<&'a str>, Option<&'a str>, &'a str);

#[track_caller]
pub(crate) fn assert_is(answer: &test_support::http::Whole, expected: Expected<'_>, what: &str) {
    let (status, kind, code, param, message) = expected;
    let error = answer.error(status);
    let found = (error["type"].as_str(), error["code"].as_str(), error["param"].as_str());
    assert_eq!(found, (Some(kind), code, param), "{what}: {error}");
    let text = error["message"].as_str().unwrap();
    assert!(text.starts_with(message), "{what}: {text}");
}

fn chat(body: impl Into<Vec<u8>>) -> Request {
    Request::new("POST", "/v1/chat/completions").header("content-type", "application/json").body(body)
}

/// A request that the local model answers, with some members replaced.
fn with(more: &Value) -> Request {
    let mut request = json!({"model": "petstore-ai", "messages": [{"role": "user", "content": "How many cats?"}]});
    for (key, value) in more.as_object().into_iter().flatten() {
        request[key] = value.clone();
    }
    Request::chat(&request)
}

pub(crate) const BAD: &str = "invalid_request_error";

#[tokio::test]
async fn bodies_that_are_not_a_request() {
    let server = Server::start("auth: none\n").await;
    let unreadable = "We could not parse the JSON body of your request.";
    let messages = r#""messages":[{"role":"user","content":"hi"}]"#;
    let deep = format!(r#"{{"model":"m",{messages},"x":{}{}}}"#, "[".repeat(128), "]".repeat(128));
    let cases: [(String, Option<&str>, Option<&str>, &str); 14] = [
        (String::new(), None, None, unreadable),
        ("{".to_owned(), None, None, unreadable),
        ("[]".to_owned(), None, None, unreadable),
        ("model=m".to_owned(), None, None, unreadable),
        (format!(r#"{{"model":"m",{messages}}} x"#), None, None, unreadable),
        (deep, None, None, "We could not parse the JSON body of your request: it nests deeper than 128 levels."),
        (format!("{{{messages}}}"), None, None, "you must provide a model parameter"),
        (format!(r#"{{"model":null,{messages}}}"#), None, None, "you must provide a model parameter"),
        (format!(r#"{{"model":"",{messages}}}"#), None, None, "you must provide a model parameter"),
        (
            r#"{"model":"m"}"#.to_owned(),
            Some("missing_required_parameter"),
            Some("messages"),
            "Missing required parameter: 'messages'.",
        ),
        (
            format!(r#"{{"model":"m","model":"n",{messages}}}"#),
            Some("duplicate_parameter"),
            Some("model"),
            "Duplicate parameter: 'model'",
        ),
        (
            format!(r#"{{"model":"m",{messages},{messages}}}"#),
            Some("duplicate_parameter"),
            Some("messages"),
            "Duplicate parameter: 'messages'",
        ),
        (
            format!(r#"{{"model":"m",{messages},"stream":false,"stream":true}}"#),
            Some("duplicate_parameter"),
            Some("stream"),
            "Duplicate parameter: 'stream'",
        ),
        (
            format!(r#"{{"model":"m",{messages},"stream":true,"stream_options":{{}},"stream_\u006fptions":{{}}}}"#),
            Some("duplicate_parameter"),
            Some("stream_options"),
            "Duplicate parameter: 'stream_options'",
        ),
    ];
    for (body, code, param, message) in cases {
        assert_is(&server.ask(&chat(body.as_str())).await, (400, BAD, code, param, message), &body);
    }
    let not_utf8 = chat(&b"{\"model\":\"m\xff\",\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]}"[..]);
    assert_is(&server.ask(&not_utf8).await, (400, BAD, None, None, unreadable), "not UTF-8");
    server.stop().await;
}

#[tokio::test]
async fn invalid_messages() {
    let server = Server::start("auth: none\n").await;
    let cases = [
        (
            json!({"messages": "x"}),
            "invalid_type",
            "messages",
            "Invalid type for 'messages': expected an array of objects, but got a string instead.",
        ),
        (
            json!({"messages": []}),
            "empty_array",
            "messages",
            "Invalid 'messages': empty array. Expected an array with minimum length 1, but got an empty array instead.",
        ),
        (
            json!({"messages": [{"content": "x"}]}),
            "missing_required_parameter",
            "messages[0].role",
            "Missing required parameter: 'messages[0].role'.",
        ),
        (
            json!({"messages": [{"role": "user", "content": "x"}, {"role": "user"}]}),
            "missing_required_parameter",
            "messages[1].content",
            "Missing required parameter: 'messages[1].content'.",
        ),
        (
            json!({"messages": [{"role": "test", "content": "x"}]}),
            "invalid_value",
            "messages[0].role",
            "Invalid value: 'test'. Supported values are: ",
        ),
    ];
    for (more, code, param, message) in cases {
        let answer = server.ask(&with(&more)).await;
        assert_is(&answer, (400, BAD, Some(code), Some(param), message), &more.to_string());
    }
    server.stop().await;
}

#[tokio::test]
async fn parameters_of_a_wrong_type_or_out_of_range() {
    let server = Server::start("auth: none\n").await;
    let cases = [
        (
            json!({"model": 1}),
            "invalid_type",
            "model",
            "Invalid type for 'model': expected a string, but got an integer",
        ),
        (json!({"stream": "yes"}), "invalid_type", "stream", "Invalid type for 'stream'"),
        (
            json!({"temperature": 99.0}),
            "decimal_above_max_value",
            "temperature",
            "Invalid 'temperature': decimal above maximum value. Expected a value <= 2, but got 99.0 instead.",
        ),
        (json!({"top_p": -0.5}), "decimal_below_min_value", "top_p", "Invalid 'top_p': decimal below minimum value."),
        (
            json!({"n": 0}),
            "integer_below_min_value",
            "n",
            "Invalid 'n': integer below minimum value. Expected a value >= 1, but got 0 instead.",
        ),
        (json!({"n": 129}), "integer_above_max_value", "n", "Invalid 'n': integer above maximum value."),
        (json!({"n": 1.5}), "invalid_type", "n", "Invalid type for 'n': expected an integer"),
        (json!({"stop": []}), "empty_array", "stop", "Invalid 'stop': empty array."),
    ];
    for (more, code, param, message) in cases {
        let answer = server.ask(&with(&more)).await;
        assert_is(&answer, (400, BAD, Some(code), Some(param), message), &more.to_string());
    }
    server.stop().await;
}

#[tokio::test]
async fn what_the_local_model_cannot_do() {
    let server = Server::start("auth: none\n").await;
    let cases = [
        (json!({"logprobs": true}), "unsupported_value", "logprobs", "Unsupported value: 'logprobs'"),
        (json!({"logit_bias": {"5": 1}}), "unsupported_parameter", "logit_bias", "Unsupported parameter: 'logit_bias'"),
        (
            json!({"tools": [{"type": "function", "function": {"name": "f"}}], "tool_choice": "required"}),
            "unsupported_value",
            "tool_choice",
            "Unsupported value: 'tool_choice'",
        ),
        (json!({"audio": {"voice": "alloy"}}), "unsupported_parameter", "audio", "Unsupported parameter: 'audio'"),
        (
            json!({"response_format": {"type": "json_schema", "json_schema": {"name": "x"}}}),
            "unsupported_value",
            "response_format",
            "Unsupported value: 'response_format'",
        ),
    ];
    for (more, code, param, message) in cases {
        let answer = server.ask(&with(&more)).await;
        assert_is(&answer, (400, BAD, Some(code), Some(param), message), &more.to_string());
    }
    // The same for a streaming request: nothing is sent before it is validated.
    let answer = server.ask(&with(&json!({"stream": true, "logprobs": true}))).await;
    assert_is(&answer, (400, BAD, Some("unsupported_value"), Some("logprobs"), "Unsupported value"), "a stream");
    let answer = server.ask(&with(&json!({"stream_options": {"include_usage": true}}))).await;
    assert_is(&answer, (400, BAD, None, Some("stream_options"), "The 'stream_options' parameter"), "no stream");
    server.stop().await;
}

#[tokio::test]
async fn unknown_parameters_pass_unless_configured_otherwise() {
    let server = Server::start("auth: none\n").await;
    assert_eq!(server.ask(&with(&json!({"top_k": 4}))).await.status, 200);
    server.stop().await;
    let server = Server::start("auth: none\nunknown_parameters: refuse\n").await;
    let expected = (400, BAD, Some("unknown_parameter"), Some("top_k"), "Unknown parameter: 'top_k'.");
    assert_is(&server.ask(&with(&json!({"top_k": 4}))).await, expected, "top_k");
    server.stop().await;
}

#[tokio::test]
async fn an_unknown_model_is_404() {
    let server = Server::start("auth: none\n").await;
    let message = "The model `gpt-9` does not exist or you do not have access to it.";
    let expected = (404, BAD, Some("model_not_found"), Some("model"), message);
    for stream in [true, false] {
        assert_is(&server.ask(&with(&json!({"model": "gpt-9", "stream": stream}))).await, expected, "chat");
    }
    assert_is(&server.ask(&Request::new("GET", "/v1/models/gpt-9")).await, expected, "models");
    server.stop().await;
}

#[tokio::test]
async fn the_form_content_type_of_curl_is_read_as_json() {
    let server = Server::start("auth: none\n").await;
    let body = r#"{"model":"petstore-ai","messages":[{"role":"user","content":"How many cats?"}]}"#;
    for kind in ["application/x-www-form-urlencoded", "text/plain"] {
        let request = Request::new("POST", "/v1/chat/completions").header("content-type", kind).body(body);
        assert_eq!(server.ask(&request).await.json()["object"], "chat.completion", "{kind}");
    }
    let without = Request::new("POST", "/v1/chat/completions").body(body);
    assert_eq!(server.ask(&without).await.status, 200);
    server.stop().await;
}

#[tokio::test]
async fn a_body_over_the_limit_is_refused_and_its_client_gets_the_error() {
    let server = Server::start("auth: none\nlimits: {body: 64KiB}\n").await;
    let expected = (413, BAD, Some("request_too_large"), None, "");
    // More than the socket buffers hold, so that a server that stops reading is noticed.
    let size = 8 << 20;

    let declared = chat(vec![b' '; size]);
    let answer = server.ask(&declared).await;
    assert_is(&answer, expected, "declared");

    let mut connection = server.connect().await;
    connection
        .send_raw(b"POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\n")
        .await;
    for _ in 0..size / 0x10000 {
        connection.send_raw(b"10000\r\n").await;
        connection.send_raw(&vec![b' '; 0x10000]).await;
        connection.send_raw(b"\r\n").await;
    }
    connection.send_raw(b"0\r\n\r\n").await;
    assert_is(&connection.answer().await.whole().await, expected, "chunked");

    // With `Expect: 100-continue`, the refusal arrives before the body is sent.
    let mut connection = server.connect().await;
    let head = "POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\nexpect: 100-continue\r\ncontent-length: 100000\r\n\r\n";
    connection.send_raw(head.as_bytes()).await;
    assert_is(&connection.answer().await.whole().await, expected, "asked first");
    server.stop().await;
}

#[tokio::test]
async fn a_body_of_exactly_the_limit_is_accepted() {
    let server = Server::start("auth: none\nlimits: {body: 64KiB}\n").await;
    let mut body = br#"{"model":"petstore-ai","messages":[{"role":"user","content":"How many cats?"}]}"#.to_vec();
    body.resize(64 << 10, b' ');
    assert_eq!(server.ask(&chat(body.clone())).await.status, 200);
    body.push(b' ');
    assert_eq!(server.ask(&chat(body)).await.status, 413);
    server.stop().await;
}

#[tokio::test]
async fn a_head_over_the_limit_is_refused() {
    let server = Server::start("auth: none\nlimits: {head: 8KiB}\n").await;
    let mut connection = server.connect().await;
    let request = Request::new("GET", "/healthz").header("x-long", &"x".repeat(9 << 10));
    // Written by the HTTP engine.
    assert_eq!(connection.ask(&request).await.whole().await.status, 431);
    assert!(connection.closed_cleanly().await);
    server.stop().await;
}

#[tokio::test]
async fn a_slow_request_head_is_answered_at_its_timeout() {
    let server = Server::start("auth: none\nlimits: {header_read: 50ms}\n").await;
    let mut connection = server.connect().await;
    connection.send_raw(b"GET /healthz HTTP/1.1\r\nhost: localhost\r\nx-slow: ").await;
    let answer = connection.answer().await.whole().await;
    assert_is(&answer, (408, BAD, Some("request_head_timeout"), None, ""), "a slow head");
    assert!(connection.closed_cleanly().await);
    server.stop().await;
}

#[tokio::test]
async fn a_body_that_stops_arriving_is_answered() {
    let server = Server::start("auth: none\nlimits: {body_read: 50ms}\n").await;
    let mut connection = server.connect().await;
    connection.send_raw(b"POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\ncontent-length: 100\r\n\r\n{").await;
    let answer = connection.answer().await.whole().await;
    assert_is(&answer, (408, BAD, Some("request_timeout"), None, ""), "a silent body");
    assert!(connection.closed_cleanly().await);
    server.stop().await;
}

#[tokio::test]
async fn nesting_is_bounded_where_configured() {
    let server = Server::start("auth: none\nlimits: {json_depth: 8}\n").await;
    let nested = |depth: usize| {
        let value = format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        let messages = r#""messages":[{"role":"user","content":"How many cats?"}]"#;
        chat(format!(r#"{{"model":"petstore-ai",{messages},"x":{value}}}"#))
    };
    // The enclosing object counts too.
    assert_eq!(server.ask(&nested(7)).await.status, 200);
    let expected = (400, BAD, None, None, "We could not parse the JSON body of your request");
    assert_is(&server.ask(&nested(8)).await, expected, "too deep");
    server.stop().await;
}

#[tokio::test]
async fn connections_beyond_the_limit_wait_their_turn() {
    let server = Server::start("auth: none\nlimits: {connections: 1}\n").await;
    let mut first = server.connect().await;
    assert_eq!(first.ask(&Request::new("GET", "/healthz")).await.whole().await.status, 200);
    let mut second = server.connect().await;
    second.send(&Request::new("GET", "/healthz")).await;
    // The first connection keeps its place: its answer arrives although the request of the second is there.
    assert_eq!(first.ask(&Request::new("GET", "/healthz")).await.whole().await.status, 200);
    drop(first);
    let mut answer = second.answer().await;
    assert!(matches!(answer.piece().await, Piece::Data(_)));
    drop(second);
    server.stop().await;
}
