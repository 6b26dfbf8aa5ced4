//! `POST /v1/messages/count_tokens`.

use serde_json::{Value, json};

use super::Messages;
use crate::server::Server;
use test_support::config::one_model;
use test_support::http::{Request, Whole};
use test_support::upstream::{Script, Upstream};

fn count(body: &Value) -> Request {
    Request::post("/v1/messages/count_tokens?beta=true", body)
}

fn body(model: &str) -> Value {
    json!({"model": model, "system": "Be brief.", "messages": [{"role": "user", "content": "How many dogs?"}]})
}

fn counted(answer: &Whole) -> Value {
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()
}

#[tokio::test]
async fn the_local_model_counts_as_it_bills() {
    let server = Server::start_on_disk("auth: none\n").await;
    let found = counted(&server.ask(&count(&body("petstore-ai"))).await);
    let mut asked = body("petstore-ai");
    asked["max_tokens"] = 9.into();
    let message = server.ask(&Request::post("/v1/messages", &asked)).await.json();
    assert_eq!(found, json!({"input_tokens": message["usage"]["input_tokens"]}));
    assert_eq!(server.records().await.len(), 1, "a count generates nothing");
}

#[tokio::test]
async fn an_upstream_that_speaks_messages_counts() {
    let answer = r#"{"input_tokens":41, "x":1}"#;
    let upstream = Upstream::start([Script::json(200, answer), Script::json(200, "{}")]).await;
    let server = Server::start(&one_model(&upstream, "apis: [messages]")).await;
    assert_eq!(server.ask(&count(&body("m"))).await.text(), answer);
    let asked = upstream.request(1).await;
    assert_eq!(asked.line(), "POST /v1/messages/count_tokens HTTP/1.1");
    assert_eq!((asked.text(), asked.header("anthropic-version")), (&*body("m").to_string(), Some("2023-06-01")));
    assert_eq!(Messages.error(&server.ask(&count(&body("m"))).await, 502)["type"], "api_error");
    server.stop().await;
}

#[tokio::test]
async fn for_an_upstream_that_speaks_chat_the_count_is_an_estimate_and_says_so() {
    let upstream = Upstream::start([]).await;
    let server = Server::start(&one_model(&upstream, "")).await;
    let found = counted(&server.ask(&count(&body("m"))).await);
    assert_eq!(found["estimated"], true);
    assert!((5..20).contains(&found["input_tokens"].as_u64().unwrap()), "{found}");
    let mut wrong = body("m");
    wrong["top_k"] = 3.into();
    assert!(Messages.error(&server.ask(&count(&wrong)).await, 400)["message"].as_str().unwrap().contains("top_k"));
    server.stop().await;
}
