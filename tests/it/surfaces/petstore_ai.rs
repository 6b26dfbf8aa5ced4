//! The local model on every surface.

use serde_json::{Value, json};

use super::{Messages, Responses, Surface};
use crate::server::Server;
use test_support::http::Request;
use test_support::surface_stream::SurfaceEnding;

const QUESTION: &str = "How many dogs are available?";

fn asking(surface: Surface, more: &Value) -> Request {
    let mut more = more.clone();
    more["model"] = "petstore-ai".into();
    match surface {
        Responses => more["input"] = QUESTION.into(),
        Messages => more["messages"] = json!([{"role": "user", "content": QUESTION}]),
    }
    surface.request(&more)
}

#[tokio::test]
async fn the_same_question_has_the_same_answer_and_the_same_tokens_everywhere() {
    let server = Server::start_on_disk("auth: none\n").await;
    let chat = json!({"model": "petstore-ai", "messages": [{"role": "user", "content": QUESTION}]});
    let chat = server.ask(&Request::chat(&chat)).await.json();
    let said = chat["choices"][0]["message"]["content"].as_str().unwrap();
    for (surface, path) in [(Responses, "/output/0/content/0/text"), (Messages, "/content/0/text")] {
        let whole = server.ask(&asking(surface, &json!({}))).await.json();
        assert_eq!(whole.pointer(path).and_then(Value::as_str), Some(said), "{whole}");
        let transcript = surface.read(&server.ask(&asking(surface, &json!({"stream": true}))).await);
        assert_eq!((&*transcript.text, transcript.ending), (said, SurfaceEnding::Complete));
        for usage in [&whole["usage"], &transcript.usage.unwrap()] {
            assert_eq!(usage["input_tokens"], chat["usage"]["prompt_tokens"]);
            assert_eq!(usage["output_tokens"], chat["usage"]["completion_tokens"]);
        }
    }
    let operations: Vec<_> = server.records().await.into_iter().map(|record| record.operation.to_string()).collect();
    assert_eq!(operations, ["chat", "responses", "responses", "messages", "messages"]);
}

#[tokio::test]
async fn a_limit_of_tokens_ends_the_answer_in_the_words_of_the_surface() {
    let server = Server::start("auth: none\n").await;
    let responses = server.ask(&asking(Responses, &json!({"max_output_tokens": 2, "stream": true}))).await;
    let transcript = Responses.read(&responses);
    assert_eq!(transcript.last("response.incomplete")["response"]["incomplete_details"]["reason"], "max_output_tokens");
    let messages = server.ask(&asking(Messages, &json!({"max_tokens": 2, "stream": true}))).await;
    assert_eq!(Messages.read(&messages).last("message_delta")["delta"]["stop_reason"], "max_tokens");
    server.stop().await;
}

#[tokio::test]
async fn what_the_local_model_does_not_know_is_refused() {
    let server = Server::start("auth: none\n").await;
    let unknown = server.ask(&asking(Responses, &json!({"num_ctx": 3}))).await;
    assert_eq!(Responses.error(&unknown, 400)["param"], "num_ctx");
    let error = Messages.error(&server.ask(&asking(Messages, &json!({"temperature": 3}))).await, 400);
    assert!(error["message"].as_str().unwrap().contains("temperature"), "{error}");
    server.stop().await;
}
