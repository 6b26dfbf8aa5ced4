//! Upstreams that speak responses or messages: requests and answers pass as they are.

use serde_json::json;

use super::{Messages, Responses, Surface, event, events, native};
use crate::server::Server;
use test_support::config::{model, one_model};
use test_support::frames;
use test_support::http::Request;
use test_support::surface_stream::SurfaceEnding;
use test_support::upstream::{Script, Upstream};

#[tokio::test]
async fn a_stream_passes_event_for_event_and_its_tokens_are_those_of_the_upstream() {
    for surface in Surface::ALL {
        let (begin, end) = native(surface);
        let upstream = Upstream::start([events(begin.iter().chain([&end])).end()]).await;
        let server = Server::start_on_disk(&one_model(&upstream, &format!("apis: [{}]", surface.name()))).await;
        let answer = server.ask(&surface.stream()).await;
        assert_eq!(surface.read(&answer).ending, SurfaceEnding::Complete);
        let mut expected: String = begin.iter().chain([&end]).map(event).collect();
        if surface == Responses {
            // Open Responses demands it.
            expected += &frames::frame("[DONE]");
        }
        assert_eq!(answer.text(), expected);
        let asked = upstream.request(1).await;
        assert_eq!(asked.line(), format!("POST /v1/{} HTTP/1.1", surface.name()));
        assert_eq!(asked.text(), surface.body(&json!({"stream": true})).to_string());
        let record = server.records().await.remove(0);
        assert_eq!((&*record.operation, record.streamed, &*record.terminal), (surface.name(), true, "completed"));
        assert_eq!((record.prompt_tokens, record.completion_tokens, record.source.as_deref()), (7, 5, Some("exact")));
        assert!(record.first_token_us.is_some());
    }
}

#[tokio::test]
async fn a_whole_answer_passes_byte_for_byte() {
    for (surface, body) in [
        (
            Responses,
            r#"{"id":"r", "object":"response","status":"completed","error":null,"output":[{"type":"x","n":1.50}],"model":"up","usage":{"input_tokens":7,"output_tokens":5}}"#,
        ),
        (
            Messages,
            r#"{"id":"m", "type":"message","content":[{"type":"x","n":1.50}],"model":"up","usage":{"input_tokens":4,"cache_creation_input_tokens":3,"output_tokens":5}}"#,
        ),
    ] {
        let upstream = Upstream::start([Script::json(200, body)]).await;
        let server =
            Server::start_on_disk(&one_model(&upstream, &format!("apis: [{}], model: up", surface.name()))).await;
        let answer = server.ask(&surface.request(&json!({}))).await;
        assert_eq!((answer.status, answer.text()), (200, body));
        assert_eq!(upstream.request(1).await.text(), surface.body(&json!({})).to_string().replace("\"m\"", "\"up\""));
        let record = server.records().await.remove(0);
        assert_eq!((&*record.operation, record.answered_model.as_deref()), (surface.name(), Some("up")));
        assert_eq!((record.prompt_tokens, record.completion_tokens, record.source.as_deref()), (7, 5, Some("exact")));
    }
}

#[tokio::test]
async fn a_target_that_speaks_the_api_is_preferred_to_one_that_speaks_chat() {
    for surface in Surface::ALL {
        let (begin, end) = native(surface);
        let chat = Upstream::start([Script::json(200, &frames::answer("chat"))]).await;
        let speaks = Upstream::start([events(begin.iter().chain([&end])).end()]).await;
        let own = format!("priority: 9, apis: [{}]", surface.name());
        let server = Server::start(&model(&[(&chat, ""), (&speaks, &own)], &[])).await;
        assert_eq!(surface.read(&server.ask(&surface.stream()).await).text, "ab");
        let request = Request::chat(&frames::request(&json!({})));
        assert_eq!(server.ask(&request).await.json()["choices"][0]["message"]["content"], "chat");
        server.stop().await;
    }
}

#[tokio::test]
async fn another_target_takes_over_before_the_first_token() {
    for surface in Surface::ALL {
        let (begin, end) = native(surface);
        let failing = Upstream::start([events(&begin[..1]).close()]).await;
        let upstream = Upstream::start([events(begin.iter().chain([&end])).end()]).await;
        let own = format!("apis: [{}]", surface.name());
        let yaml = model(&[(&failing, &own), (&upstream, &format!("priority: 1, {own}"))], &[]);
        let server = Server::start(&yaml).await;
        let transcript = surface.read(&server.ask(&surface.stream()).await);
        assert_eq!((&*transcript.text, transcript.ending), ("ab", SurfaceEnding::Complete));
        server.stop().await;
    }
}

#[tokio::test]
async fn version_and_features_of_anthropics_api_go_to_its_upstreams_alone() {
    let body = r#"{"id":"m","type":"message","content":[],"usage":{"input_tokens":1,"output_tokens":1}}"#;
    let upstream = Upstream::start([Script::json(200, body), Script::json(200, body)]).await;
    let chat = Upstream::start([Script::json(200, &frames::answer("a"))]).await;
    let yaml = one_model(&upstream, "apis: [messages], api_key: sk-up")
        + &model(&[(&chat, "")], &[]).split_once("models:\n").unwrap().1.replace("name: m", "name: c");
    let server = Server::start(&yaml).await;
    assert_eq!(server.ask(&Messages.request(&json!({}))).await.status, 200);
    let asked = upstream.request(1).await;
    assert_eq!((asked.header("anthropic-version"), asked.header("anthropic-beta")), (Some("2023-06-01"), None));
    assert_eq!((asked.header("x-api-key"), asked.header("authorization")), (Some("sk-up"), None));
    let own = |request: Request| request.header("anthropic-version", "2099-01-01").header("anthropic-beta", "a,b");
    assert_eq!(server.ask(&own(Messages.request(&json!({})))).await.status, 200);
    let asked = upstream.request(2).await;
    assert_eq!((asked.header("anthropic-version"), asked.header("anthropic-beta")), (Some("2099-01-01"), Some("a,b")));
    assert_eq!(server.ask(&own(Messages.request(&json!({"model": "c"})))).await.status, 200);
    let asked = chat.request(1).await;
    assert_eq!((asked.header("anthropic-version"), asked.header("anthropic-beta")), (None, None));
    server.stop().await;
}

#[tokio::test]
async fn what_only_the_upstream_knows_goes_to_it() {
    let upstream = Upstream::start([
        Script::json(200, r#"{"status":"completed","output":[],"usage":null}"#),
        Script::json(400, r#"{"error":{"message":"No such response.","type":"invalid_request_error","param":"previous_response_id","code":"previous_response_not_found"}}"#),
    ])
    .await;
    let server = Server::start(&one_model(&upstream, "apis: [responses]")).await;
    let continued = json!({"previous_response_id": "resp_1", "tools": [{"type": "web_search"}], "x": 1});
    assert_eq!(server.ask(&Responses.request(&continued)).await.status, 200);
    assert_eq!(upstream.request(1).await.text(), Responses.body(&continued).to_string());
    let refused = server.ask(&Responses.request(&continued)).await;
    assert_eq!(Responses.error(&refused, 400)["code"], "previous_response_not_found");
    server.stop().await;
}
