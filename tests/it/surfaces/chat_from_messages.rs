//! Chat clients of an upstream that speaks messages only.

use serde_json::{Value, json};

use super::{Messages, events, native};
use crate::server::Server;
use test_support::completion_stream::Ending;
use test_support::config::{model, one_model};
use test_support::frames::{answer, request};
use test_support::http::Request;
use test_support::upstream::{Gate, Script, Upstream};

const MESSAGES: &str = "apis: [messages]";

fn chat(more: &Value) -> Request {
    Request::chat(&request(more))
}

fn script() -> Script {
    let (begin, end) = native(Messages);
    events(begin.iter().chain([&end])).end()
}

#[tokio::test]
async fn a_stream_becomes_chunks_and_its_tokens_are_those_of_the_upstream() {
    for include_usage in [false, true] {
        let upstream = Upstream::start([script()]).await;
        let server = Server::start_on_disk(&one_model(&upstream, MESSAGES)).await;
        let more = if include_usage {
            json!({"stream": true, "stream_options": {"include_usage": true}})
        } else {
            json!({"stream": true})
        };
        let transcript = server.ask(&chat(&more)).await.transcript();
        transcript.assert_contract(1, include_usage);
        assert_eq!((&*transcript.text(0), transcript.finish_reason(0)), ("ab", Some("stop")));
        if include_usage {
            assert_eq!(transcript.usage().unwrap()["prompt_tokens"], 7);
        }
        let asked = upstream.request(1).await;
        assert_eq!(asked.line(), "POST /v1/messages HTTP/1.1");
        let asked: Value = serde_json::from_str(asked.text()).unwrap();
        assert_eq!(
            (&asked["stream"], &asked["max_tokens"], &asked["model"]),
            (&true.into(), &32_000.into(), &"m".into())
        );
        let record = server.records().await.remove(0);
        assert_eq!((&*record.operation, record.streamed, &*record.terminal), ("chat", true, "completed"));
        assert_eq!((record.prompt_tokens, record.completion_tokens, record.source.as_deref()), (7, 5, Some("exact")));
        assert_eq!(record.answered_model.as_deref(), Some("up"));
    }
}

#[tokio::test]
async fn a_whole_answer_becomes_a_completion() {
    let body = json!({"id": "msg_1", "type": "message", "role": "assistant", "model": "claude", "stop_reason": "tool_use",
        "stop_sequence": null, "content": [{"type": "text", "text": "Well."}, {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {"a": 1}}],
        "usage": {"input_tokens": 3, "output_tokens": 2}});
    let upstream = Upstream::start([Script::json(200, &body.to_string())]).await;
    let server = Server::start_on_disk(&one_model(&upstream, "apis: [messages], model: claude, api_key: sk-up")).await;
    let whole = server.ask(&chat(&json!({}))).await.json();
    let choice = &whole["choices"][0];
    assert_eq!((&choice["message"]["content"], &choice["finish_reason"]), (&"Well.".into(), &"tool_calls".into()));
    assert_eq!(choice["message"]["tool_calls"][0]["function"], json!({"name": "f", "arguments": "{\"a\":1}"}));
    assert_eq!(whole["usage"]["total_tokens"], 5);
    let asked = upstream.request(1).await;
    assert!(asked.text().contains(r#""model":"claude""#));
    assert_eq!((asked.header("x-api-key"), asked.header("anthropic-version")), (Some("sk-up"), Some("2023-06-01")));
    let record = server.records().await.remove(0);
    assert_eq!(
        (record.prompt_tokens, record.completion_tokens, record.answered_model.as_deref()),
        (3, 2, Some("claude"))
    );
}

#[tokio::test]
async fn errors_are_in_the_words_of_chat() {
    let error = |kind: &str| json!({"type": "error", "error": {"type": kind, "message": "No."}}).to_string();
    for (status, kind, seen, code) in [
        (400, "invalid_request_error", 400, None),
        (401, "authentication_error", 502, Some("upstream_auth")),
        (429, "rate_limit_error", 429, Some("rate_limit_exceeded")),
        (529, "overloaded_error", 503, Some("server_is_overloaded")),
        (500, "api_error", 502, Some("upstream_error")),
    ] {
        let upstream = Upstream::start([Script::json(status, &error(kind))]).await;
        let server = Server::start(&one_model(&upstream, MESSAGES)).await;
        let found = server.ask(&chat(&json!({}))).await.error(seen);
        assert_eq!(found["code"].as_str(), code, "{kind} {found}");
        let kind = found["type"].as_str().unwrap();
        assert!(!matches!(kind, "rate_limit_error" | "overloaded_error" | "api_error"), "{kind} is Anthropic's word");
        server.stop().await;
    }
}

#[tokio::test]
async fn a_failure_in_the_middle_is_an_error_frame() {
    let (begin, _) = native(Messages);
    let overloaded = json!({"type": "error", "error": {"type": "overloaded_error", "message": "Busy."}});
    let begun = || events(&begin[..5]);
    for (script, code) in [
        (begun().close(), "upstream_closed"),
        (begun().end().close(), "upstream_closed"),
        (begun().frame("[DONE]").end(), "upstream_closed"),
        (begun().frame("{"), "upstream_malformed"),
        (begun().chunk(super::event(&overloaded)), "server_is_overloaded"),
        (begun().wait(&Gate::new()), "upstream_timeout"),
        // A block that was never begun.
        (
            begun().chunk(super::event(
                &json!({"type": "content_block_delta", "index": 7, "delta": {"type": "text_delta", "text": "x"}}),
            )),
            "upstream_malformed",
        ),
    ] {
        let upstream = Upstream::start([script]).await;
        let yaml = one_model(&upstream, "apis: [messages], timeouts: {idle: 300ms}");
        let server = Server::start_on_disk(&yaml).await;
        let transcript = server.ask(&chat(&json!({"stream": true}))).await.transcript();
        let Ending::Failed(error) = &transcript.ending else { panic!("{code} {transcript:#?}") };
        assert_eq!((&error["code"], &*transcript.text(0)), (&code.into(), "ab"));
        let record = server.records().await.remove(0);
        assert_eq!((&*record.terminal, record.reason.as_deref()), ("failed", Some(code)));
    }
}

#[tokio::test]
async fn a_target_that_speaks_chat_is_preferred() {
    let messages = Upstream::start([]).await;
    let speaks = Upstream::start([Script::json(200, &answer("chat"))]).await;
    let server = Server::start(&model(&[(&messages, MESSAGES), (&speaks, "priority: 9")], &[])).await;
    assert_eq!(server.ask(&chat(&json!({}))).await.json()["choices"][0]["message"]["content"], "chat");
    server.stop().await;
}

#[tokio::test]
async fn what_has_no_counterpart_is_refused_by_name() {
    let upstream = Upstream::start([]).await;
    let server = Server::start(&one_model(&upstream, MESSAGES)).await;
    for (more, param) in [(json!({"seed": 1}), "seed"), (json!({"n": 2}), "n"), (json!({"xyz": 1}), "xyz")] {
        let error = server.ask(&chat(&more)).await.error(400);
        assert_eq!(error["param"], param);
    }
    // A response would have to be translated twice.
    let response = server.ask(&Request::post("/v1/responses", &json!({"model": "m", "input": "hi"}))).await;
    assert_eq!(response.error(400)["code"], "unsupported_api");
    let apis = server.ask(&Request::new("GET", "/v1/models/m")).await.json()["apis"].clone();
    assert_eq!(apis, json!(["chat", "messages"]));
    server.stop().await;
}
