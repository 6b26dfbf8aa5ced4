//! The target of a request by its operation, and what is told of operations.

use serde_json::{Value, json};

use super::{EVERY, chunk, completion, embeddings};
use crate::server::Server;
use test_support::config::{model, one_model};
use test_support::frames::{answer, request};
use test_support::http::Request;
use test_support::upstream::{Script, Upstream};

const LIST: &str =
    r#"{"object":"list","data":[{"index":0,"embedding":[1]}],"usage":{"prompt_tokens":7,"total_tokens":7}}"#;

async fn models(server: &Server) -> Vec<(String, Value)> {
    let list = server.ask(&Request::new("GET", "/v1/models")).await.json();
    let all = list["data"].as_array().unwrap().iter();
    all.map(|model| (model["id"].as_str().unwrap().to_owned(), model["apis"].clone())).collect()
}

#[tokio::test]
async fn a_request_goes_to_a_target_that_serves_its_operation() {
    let chat = Upstream::start([]).await;
    let other = Upstream::start([]).await;
    let yaml = model(&[(&chat, ""), (&other, "apis: [embeddings, completions]")], &[]);
    let server = Server::start(&yaml).await;
    for _ in 0..2 {
        chat.answer(Script::json(200, &answer("hi")));
        assert_eq!(server.ask(&Request::chat(&request(&json!({})))).await.status, 200);
        other.answer(Script::json(200, LIST));
        assert_eq!(server.ask(&embeddings(&json!({}))).await.status, 200);
        other.answer(Script::sse([chunk("a", Some("stop")), "[DONE]".to_owned()]));
        assert_eq!(server.ask(&completion(&json!({"stream": true}))).await.status, 200);
    }
    let lines = |upstream: &Upstream| upstream.requests().iter().map(|one| one.line().to_owned()).collect::<Vec<_>>();
    assert!(lines(&chat).iter().all(|line| line.contains("/v1/chat/completions ")));
    assert!(lines(&other).iter().all(|line| !line.contains("chat")));
    // Responses and messages are translated to chat.
    let apis = json!(["chat", "completions", "embeddings", "responses", "messages"]);
    let local = json!(["chat", "responses", "messages"]);
    assert_eq!(models(&server).await, [("petstore-ai".to_owned(), local), ("m".to_owned(), apis.clone())]);
    let one = server.ask(&Request::new("GET", "/v1/models/m")).await.json();
    assert_eq!(one["apis"], apis);
    server.stop().await;
}

#[tokio::test]
async fn failures_of_one_operation_do_not_go_to_targets_of_another() {
    let chat = Upstream::start([]).await;
    let other = Upstream::start([Script::json(503, "{}")]).await;
    let yaml = model(&[(&chat, "apis: [chat]"), (&other, "apis: [embeddings]")], &[]);
    let server = Server::start(&yaml).await;
    server.ask(&embeddings(&json!({}))).await.error(503);
    assert!(chat.requests().is_empty());
    server.stop().await;
}

#[tokio::test]
async fn a_model_that_does_not_serve_an_operation_is_a_400_that_names_models_that_do() {
    let upstream = Upstream::start([]).await;
    let yaml = format!(
        "models:\n  - {{name: talk, upstreams: [{{base_url: '{0}'}}]}}\n  \
         - {{name: embed, upstreams: [{{base_url: '{0}', apis: [embeddings]}}]}}\n  \
         - {{name: secret-embed, upstreams: [{{base_url: '{0}', apis: [embeddings]}}]}}\n\
         keys: [{{name: k, key: sk-k-0123456789abc, models: [talk, embed, petstore-ai]}}]\n",
        upstream.url()
    );
    let server = Server::start(&yaml).await;
    let ask = |request: Request| request.bearer("sk-k-0123456789abc");
    for model in ["petstore-ai", "talk"] {
        let error = server.ask(&ask(embeddings(&json!({ "model": model })))).await.error(400);
        assert_eq!((&error["param"], &error["code"]), (&json!("model"), &json!("unsupported_api")));
        let expected =
            format!("The model `{model}` does not serve embeddings (/v1/embeddings). These models do: `embed`.");
        assert_eq!(error["message"], expected);
        let error = server.ask(&ask(completion(&json!({ "model": model })))).await.error(400);
        assert_eq!(error["message"], format!("The model `{model}` does not serve completions (/v1/completions)."));
    }
    let error = server.ask(&ask(Request::chat(&request(&json!({"model": "embed"}))))).await.error(400);
    let expected =
        "The model `embed` does not serve chat (/v1/chat/completions). These models do: `talk`, `petstore-ai`.";
    assert_eq!(error["message"], expected);
    // A model that the key may not use is as unknown as any other.
    for model in ["secret-embed", "none"] {
        let error = server.ask(&ask(embeddings(&json!({ "model": model })))).await.error(404);
        assert_eq!(error["code"], "model_not_found");
    }
    server.stop().await;
}

#[tokio::test]
async fn metrics_and_statistics_tell_the_operation() {
    let upstream = Upstream::start([Script::json(200, LIST)]).await;
    let server = Server::start(&format!("{}metrics: {{listen: 127.0.0.1:0}}\n", one_model(&upstream, EVERY))).await;
    assert_eq!(server.ask(&embeddings(&json!({}))).await.status, 200);
    let metrics = test_support::http::ask(server.metrics.unwrap(), &Request::new("GET", "/metrics")).await;
    let series = "gen_ai_server_request_duration_seconds_count{gen_ai_request_model=\"m\",\
                  gen_ai_operation_name=\"embeddings\",gen_ai_provider_name=\"openai\",terminal=\"completed\"} 1\n";
    assert!(metrics.text().contains(series), "{}", metrics.text());
    let stats = server.ask(&Request::new("GET", "/api/stats")).await.json();
    assert_eq!(
        (&stats["recent"][0]["operation"], &stats["recent"][0]["promptTokens"]),
        (&json!("embeddings"), &json!(7))
    );
    server.stop().await;
}
