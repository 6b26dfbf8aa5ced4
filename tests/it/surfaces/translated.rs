//! Upstreams that speak chat only.

use serde_json::{Value, json};

use super::{Messages, Responses, Surface};
use crate::server::Server;
use test_support::config::one_model;
use test_support::frames::{answer, first, last, text, usage};
use test_support::http::{Piece, Request};
use test_support::surface_stream::SurfaceEnding;
use test_support::upstream::{Gate, Script, Upstream};

#[tokio::test]
async fn a_stream_is_translated_and_its_tokens_are_those_of_the_upstream() {
    for surface in Surface::ALL {
        let frames = [first(), text("a\n\""), text("b"), last("stop"), usage(4, 9), "[DONE]".to_owned()];
        let upstream = Upstream::start([Script::sse(&frames)]).await;
        let server = Server::start_on_disk(&one_model(&upstream, "")).await;
        let transcript = surface.read(&server.ask(&surface.stream()).await);
        assert_eq!((&*transcript.text, &transcript.ending), ("a\n\"b", &SurfaceEnding::Complete));
        let counts = transcript.usage.unwrap();
        assert_eq!((&counts["input_tokens"], &counts["output_tokens"]), (&4.into(), &9.into()));
        let asked = upstream.request(1).await;
        assert_eq!(asked.line(), "POST /v1/chat/completions HTTP/1.1");
        let asked: Value = serde_json::from_str(asked.text()).unwrap();
        assert_eq!(asked["stream_options"], json!({"include_usage": true}));
        assert_eq!(asked["messages"], json!([{"role": "user", "content": "hi"}]));
        let record = server.records().await.remove(0);
        assert_eq!((&*record.operation, record.streamed, &*record.terminal), (surface.name(), true, "completed"));
        assert_eq!((record.prompt_tokens, record.completion_tokens, record.source.as_deref()), (4, 9, Some("exact")));
        assert_eq!(record.answered_model.as_deref(), Some("up"));
    }
}

#[tokio::test]
async fn a_whole_answer_is_translated() {
    for (surface, path) in [(Responses, "/output/0/content/0/text"), (Messages, "/content/0/text")] {
        let upstream = Upstream::start([Script::json(200, &answer("It is."))]).await;
        let server = Server::start_on_disk(&one_model(&upstream, "model: up")).await;
        let whole = server.ask(&surface.request(&json!({}))).await;
        assert_eq!(whole.header("content-type"), Some("application/json"));
        let whole = whole.json();
        assert_eq!((whole.pointer(path), &whole["model"]), (Some(&"It is.".into()), &"m".into()));
        assert_eq!((&whole["usage"]["input_tokens"], &whole["usage"]["output_tokens"]), (&3.into(), &2.into()));
        assert!(upstream.request(1).await.text().contains(r#""model":"up""#));
        let record = server.records().await.remove(0);
        assert_eq!(
            (&*record.operation, record.streamed, record.source.as_deref()),
            (surface.name(), false, Some("exact"))
        );
        assert_eq!((record.prompt_tokens, record.completion_tokens), (3, 2));
    }
}

#[tokio::test]
async fn parallel_tool_calls_are_translated_one_by_one() {
    let call = |index: u64, more: &Value| {
        let mut call = json!({"index": index});
        for (key, value) in more.as_object().unwrap() {
            call[key] = value.clone();
        }
        json!({"choices": [{"index": 0, "delta": {"tool_calls": [call]}}]}).to_string()
    };
    let named =
        |id: &str, name: &str| json!({"id": id, "type": "function", "function": {"name": name, "arguments": ""}});
    let arguments = |text: &str| json!({"function": {"arguments": text}});
    for surface in Surface::ALL {
        let frames = [
            first(),
            call(0, &named("call_a", "find")),
            call(0, &arguments("{\"a\":")),
            call(1, &named("call_b", "sell")),
            call(1, &arguments("{\"b\":2}")),
            call(0, &arguments("1}")),
            last("tool_calls"),
            "[DONE]".to_owned(),
        ];
        let upstream = Upstream::start([Script::sse(&frames)]).await;
        let server = Server::start(&one_model(&upstream, "")).await;
        let transcript = surface.read(&server.ask(&surface.stream()).await);
        assert_eq!(
            (transcript.calls, transcript.ending),
            (vec!["{\"a\":1}".to_owned(), "{\"b\":2}".to_owned()], SurfaceEnding::Complete)
        );
        server.stop().await;
    }
}

#[tokio::test]
async fn what_codex_always_sends_is_accepted_and_its_namespaces_come_back() {
    let function =
        |name: &str| json!({"type": "function", "name": name, "parameters": {"type": "object"}, "strict": false});
    let tools = json!([
        function("run"),
        {"type": "namespace", "name": "agents", "description": "Helpers.", "tools": [function("spawn")]},
    ]);
    let asked = json!({"stream": true, "tools": tools, "store": false, "include": ["reasoning.encrypted_content"],
        "client_metadata": {"turn_id": "1"}, "prompt_cache_key": "k", "reasoning": {"summary": "auto"}});
    let call = json!({"choices": [{"index": 0, "delta": {"tool_calls": [{"index": 0, "id": "call_a", "type": "function",
        "function": {"name": "agents__spawn", "arguments": "{}"}}]}}]});
    let frames = [first(), call.to_string(), last("tool_calls"), "[DONE]".to_owned()];
    let upstream = Upstream::start([Script::sse(&frames)]).await;
    let server = Server::start(&one_model(&upstream, "")).await;
    let transcript = Responses.read(&server.ask(&Responses.request(&asked)).await);
    let item = &transcript.last("response.output_item.done")["item"];
    assert_eq!((&item["namespace"], &item["name"]), (&"agents".into(), &"spawn".into()));
    let body: Value = serde_json::from_str(upstream.request(1).await.text()).unwrap();
    assert_eq!(body["tools"][1]["function"]["name"], "agents__spawn");
    assert_eq!(body.get("client_metadata"), None);
    let mut local = asked;
    local["model"] = "petstore-ai".into();
    assert_eq!(Responses.read(&server.ask(&Responses.request(&local)).await).ending, SurfaceEnding::Complete);
    server.stop().await;
}

#[tokio::test]
async fn tokens_that_the_upstream_does_not_report_are_counted() {
    for surface in Surface::ALL {
        let upstream = Upstream::start([Script::sse([first(), text("a"), text("b"), last("length")])]).await;
        let server = Server::start_on_disk(&one_model(&upstream, "usage: never")).await;
        let transcript = surface.read(&server.ask(&surface.stream()).await);
        assert_eq!(transcript.ending, SurfaceEnding::Complete);
        match surface {
            Responses => {
                assert_eq!(
                    transcript.last("response.incomplete")["response"]["incomplete_details"]["reason"],
                    "max_output_tokens"
                );
            }
            Messages => {
                assert_eq!(transcript.last("message_delta")["delta"]["stop_reason"], "max_tokens");
                assert_eq!(transcript.usage.unwrap()["output_tokens"], 2);
            }
        }
        assert!(!upstream.request(1).await.text().contains("stream_options"));
        let record = server.records().await.remove(0);
        assert_eq!((record.completion_tokens, record.source.as_deref()), (2, Some("counted")));
    }
}

#[tokio::test]
async fn usage_is_not_asked_of_a_target_that_refuses_it() {
    let refusal = r#"{"error":{"message":"Unrecognized request argument supplied: stream_options"}}"#;
    let whole = || Script::sse([first(), text("a"), last("stop"), "[DONE]".to_owned()]);
    for surface in Surface::ALL {
        let upstream = Upstream::start([Script::json(400, refusal), whole(), whole()]).await;
        let server = Server::start(&one_model(&upstream, "")).await;
        for _ in 0..2 {
            assert_eq!(surface.read(&server.ask(&surface.stream()).await).ending, SurfaceEnding::Complete);
        }
        assert!(upstream.requests()[1..].iter().all(|request| !request.text().contains("stream_options")));
        server.stop().await;
    }
}

#[tokio::test]
async fn what_has_no_counterpart_is_refused_by_name() {
    let upstream = Upstream::start([]).await;
    let server = Server::start_on_disk(&one_model(&upstream, "")).await;
    for (surface, more, param) in [
        (Responses, json!({"previous_response_id": "resp_1"}), "previous_response_id"),
        (Responses, json!({"tools": [{"type": "web_search"}]}), "tools[0].type"),
        (Responses, json!({"background": true}), "background"),
        (Messages, json!({"top_k": 3}), "top_k"),
        (Messages, json!({"tools": [{"type": "web_search_20250305", "name": "web_search"}]}), "tools[0].type"),
    ] {
        let error = surface.error(&server.ask(&surface.request(&more)).await, 400);
        match surface {
            Responses => {
                assert_eq!((&error["param"], &error["code"]), (&param.into(), &"unsupported_parameter".into()))
            }
            Messages => {
                assert_eq!(error["type"], "invalid_request_error");
                assert!(error["message"].as_str().unwrap().contains(&format!("'{param}'")), "{error}");
            }
        }
    }
    for record in server.records().await {
        assert_eq!((&*record.terminal, record.prompt_tokens, record.completion_tokens), ("refused", 0, 0));
    }
}

#[tokio::test]
async fn a_silent_stream_is_kept_alive_in_its_own_words() {
    for (surface, heartbeat) in
        [(Responses, ": keep-alive\n\n"), (Messages, "event: ping\ndata: {\"type\":\"ping\"}\n\n")]
    {
        let gate = Gate::new();
        let script = Script::stream().frame(&text("a")).wait(&gate).frame(&last("stop")).frame("[DONE]");
        let upstream = Upstream::start([script.end()]).await;
        let server = Server::start(&format!("{}heartbeat: 1s\n", one_model(&upstream, ""))).await;
        let mut connection = server.connect().await;
        let mut answer = connection.ask(&surface.stream()).await;
        assert!(matches!(answer.piece().await, Piece::Data(_)));
        assert_eq!(answer.piece().await, Piece::Data(heartbeat.into()));
        gate.open();
        assert!(matches!(answer.piece().await, Piece::Data(_)));
        drop(connection);
        server.stop().await;
    }
}

#[tokio::test]
async fn a_large_request_is_translated() {
    let long = "x".repeat(600 * 1024);
    for surface in Surface::ALL {
        let upstream = Upstream::start([Script::json(200, &answer("Yes."))]).await;
        let server = Server::start(&one_model(&upstream, "")).await;
        let more = match surface {
            Responses => json!({ "input": long }),
            Messages => json!({"messages": [{"role": "user", "content": long}]}),
        };
        assert_eq!(server.ask(&surface.request(&more)).await.status, 200);
        let asked: Value = serde_json::from_str(upstream.request(1).await.text()).unwrap();
        assert_eq!(asked["messages"][0]["content"].as_str(), Some(&*long));
        server.stop().await;
    }
}

#[tokio::test]
async fn the_answer_of_a_model_that_speaks_another_language_is_refused_by_name() {
    let upstream = Upstream::start([]).await;
    let server = Server::start(&one_model(&upstream, "apis: [embeddings]")).await;
    for surface in Surface::ALL {
        let error = surface.error(&server.ask(&surface.request(&json!({}))).await, 400);
        let message = error["message"].as_str().unwrap();
        assert!(message.contains(surface.name()) && message.contains("`petstore-ai`"), "{message}");
    }
    let apis = |name: &str| Request::new("GET", &format!("/v1/models/{name}"));
    assert_eq!(server.ask(&apis("m")).await.json()["apis"], json!(["embeddings"]));
    assert_eq!(server.ask(&apis("petstore-ai")).await.json()["apis"], json!(["chat", "responses", "messages"]));
    server.stop().await;
}
