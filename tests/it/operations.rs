//! Operations beside chat: embeddings and completions of a prompt; and which target a request of an operation goes to.

mod completions;
mod embeddings;
mod faults;
mod routing;

use serde_json::{Value, json};

use test_support::http::Request;

/// Settings of an upstream that serves every operation.
const EVERY: &str = "apis: [chat, completions, embeddings]";

/// `POST /v1/completions` for the model `m`; `more` is merged into the body.
fn completion(more: &Value) -> Request {
    post("completions", json!({"model": "m", "prompt": "Say hi."}), more)
}

/// `POST /v1/embeddings` for the model `m`; `more` is merged into the body.
fn embeddings(more: &Value) -> Request {
    post("embeddings", json!({"model": "m", "input": "hello, world"}), more)
}

fn post(path: &str, mut body: Value, more: &Value) -> Request {
    for (key, value) in more.as_object().into_iter().flatten() {
        body[key] = value.clone();
    }
    Request::post(&format!("/v1/{path}"), &body)
}

/// A chunk of a stream of completions.
fn chunk(text: &str, finish_reason: Option<&str>) -> String {
    json!({
        "id": "cmpl-up", "object": "text_completion", "created": 1, "model": "up",
        "choices": [{"text": text, "index": 0, "logprobs": null, "finish_reason": finish_reason}],
    })
    .to_string()
}

/// The usage chunk of a stream of completions.
fn usage(prompt: u64, completion: u64) -> String {
    json!({
        "id": "cmpl-up", "object": "text_completion", "created": 1, "model": "up", "choices": [],
        "usage": {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion},
    })
    .to_string()
}
