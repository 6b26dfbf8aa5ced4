//! Bodies of upstreams in the form of the real API: chunks of a stream, and non-streaming answers.

use serde_json::{Value, json};

/// A chunk with this delta for choice 0.
fn chunk(delta: &Value, finish_reason: Option<&str>) -> String {
    json!({
        "id": "chatcmpl-up", "object": "chat.completion.chunk", "created": 1, "model": "up",
        "choices": [{"index": 0, "delta": delta, "logprobs": null, "finish_reason": finish_reason}],
    })
    .to_string()
}

/// The chunk that opens choice 0.
pub fn first() -> String {
    chunk(&json!({"role": "assistant", "content": "", "refusal": null}), None)
}

/// A chunk with text.
pub fn text(content: &str) -> String {
    chunk(&json!({ "content": content }), None)
}

/// The chunk that ends choice 0.
pub fn last(reason: &str) -> String {
    chunk(&json!({}), Some(reason))
}

/// The usage chunk.
pub fn usage(prompt: u64, completion: u64) -> String {
    json!({
        "id": "chatcmpl-up", "object": "chat.completion.chunk", "created": 1, "model": "up", "choices": [],
        "usage": {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion},
    })
    .to_string()
}

/// A non-streaming answer.
pub fn answer(content: &str) -> String {
    json!({
        "id": "chatcmpl-up", "object": "chat.completion", "created": 1, "model": "up",
        "choices": [{
            "index": 0, "message": {"role": "assistant", "content": content, "refusal": null}, "logprobs": null,
            "finish_reason": "stop",
        }],
        "usage": {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5},
    })
    .to_string()
}

/// `data` as an SSE frame in the canonical form, which every SDK reads.
pub fn frame(data: &str) -> String {
    format!("data: {data}\n\n")
}

/// A request for model `m` with one short message; `more` is merged into it.
pub fn request(more: &Value) -> Value {
    let mut request = json!({"model": "m", "messages": [{"role": "user", "content": "hi"}]});
    for (key, value) in more.as_object().into_iter().flatten() {
        request[key] = value.clone();
    }
    request
}
