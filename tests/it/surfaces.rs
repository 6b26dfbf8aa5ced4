//! Responses and messages: answered by the local model, translated for upstreams that speak chat, and passed on to those
//! that speak them.

mod access;
mod chat_from_messages;
mod count_tokens;
mod faults;
mod models;
mod native;
mod petstore_ai;
mod translated;

use serde_json::{Value, json};

use test_support::http::{Request, Whole};
use test_support::surface_stream::{self, SurfaceTranscript};
use test_support::upstream::Script;

/// An API beside chat.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Surface {
    Responses,
    Messages,
}
use Surface::{Messages, Responses};

impl Surface {
    const ALL: [Self; 2] = [Responses, Messages];

    /// Its name, which is that of its operation and of its path.
    const fn name(self) -> &'static str {
        match self {
            Responses => "responses",
            Messages => "messages",
        }
    }

    fn target(self) -> String {
        format!("/v1/{}", self.name())
    }

    /// The body of a request of the model `m`; `more` is merged into it.
    fn body(self, more: &Value) -> Value {
        let mut body = match self {
            Responses => json!({"model": "m", "input": "hi"}),
            Messages => json!({"model": "m", "max_tokens": 50, "messages": [{"role": "user", "content": "hi"}]}),
        };
        for (key, value) in more.as_object().into_iter().flatten() {
            body[key] = value.clone();
        }
        body
    }

    fn request(self, more: &Value) -> Request {
        Request::post(&self.target(), &self.body(more))
    }

    fn stream(self) -> Request {
        self.request(&json!({"stream": true}))
    }

    #[track_caller]
    fn read(self, answer: &Whole) -> SurfaceTranscript {
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert_eq!(answer.header("content-type"), Some("text/event-stream; charset=utf-8"));
        self.read_body(answer.text().as_bytes())
    }

    fn read_body(self, body: &[u8]) -> SurfaceTranscript {
        match self {
            Responses => surface_stream::response(body),
            Messages => surface_stream::message(body),
        }
    }

    /// The error of an answer with this status, in the surface's format.
    #[track_caller]
    fn error(self, answer: &Whole, status: u16) -> Value {
        match self {
            Responses => answer.error(status),
            Messages => {
                assert_eq!(answer.status, status, "{}", answer.text());
                let body = answer.json();
                assert_eq!((&body["type"], body.as_object().map(serde_json::Map::len)), (&"error".into(), Some(2)));
                assert!(answer.header("request-id").is_some_and(|id| answer.header("x-request-id") == Some(id)));
                body["error"].clone()
            }
        }
    }
}

/// An event of another API than chat.
fn event(data: &Value) -> String {
    format!("event: {}\ndata: {data}\n\n", data["type"].as_str().unwrap())
}

/// A stream of events, without an end.
fn events<'a>(all: impl IntoIterator<Item = &'a Value>) -> Script {
    all.into_iter().fold(Script::stream(), |script, data| script.chunk(event(data)))
}

/// The events of a native answer that says `a` and `b`: all but the last one, and that.
fn native(surface: Surface) -> (Vec<Value>, Value) {
    match surface {
        Responses => {
            let response = |status: &str, usage: &Value| {
                json!({"id": "resp_up", "object": "response", "status": status, "error": null, "model": "up",
                    "output": [], "usage": usage})
            };
            let delta = |number: u64, text: &str| {
                json!({"type": "response.output_text.delta", "sequence_number": number, "item_id": "msg_up",
                    "output_index": 0, "content_index": 0, "delta": text, "logprobs": []})
            };
            let begin = vec![
                json!({"type": "response.created", "sequence_number": 0, "response": response("in_progress", &Value::Null)}),
                delta(1, "a"),
                delta(2, "b"),
            ];
            let usage = json!({"input_tokens": 7, "input_tokens_details": {"cached_tokens": 2}, "output_tokens": 5,
                "output_tokens_details": {"reasoning_tokens": 1}, "total_tokens": 12});
            let end =
                json!({"type": "response.completed", "sequence_number": 3, "response": response("completed", &usage)});
            (begin, end)
        }
        Messages => {
            let delta = |text: &str| json!({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": text}});
            let begin = vec![
                json!({"type": "message_start", "message": {"id": "msg_up", "type": "message", "role": "assistant",
                    "model": "up", "content": [], "stop_reason": null, "stop_sequence": null,
                    "usage": {"input_tokens": 5, "cache_read_input_tokens": 2, "output_tokens": 1}}}),
                json!({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}),
                json!({"type": "ping"}),
                delta("a"),
                delta("b"),
                json!({"type": "content_block_stop", "index": 0}),
                json!({"type": "message_delta", "delta": {"stop_reason": "end_turn", "stop_sequence": null},
                    "usage": {"output_tokens": 5}}),
            ];
            (begin, json!({"type": "message_stop"}))
        }
    }
}
