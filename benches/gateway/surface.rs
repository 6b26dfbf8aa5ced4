//! The APIs in which a completion is asked for: path and body of the request, the upstream's events, and what tells a
//! token from the end.

use serde::{Deserialize, Serialize};

/// The name of the model whose upstream speaks chat.
pub(crate) const MODEL: &str = "bench";
/// The name of the model whose upstream speaks responses and messages.
pub(crate) const NATIVE_MODEL: &str = "bench-native";

const SYSTEM: &str = "You are the friendly voice of a pet shop. Answer in one paragraph, name prices in dollars, and never \
                      promise an animal that is not in stock.";
const QUESTION: &str = "We live in a small flat on the third floor and have two children. Which of your dogs would you \
                        give us, and why?";

/// An API. What is not native is translated to chat.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Surface {
    Chat,
    Responses { native: bool },
    Messages { native: bool },
}

impl Surface {
    /// The API that a request line asks for, at an upstream.
    pub(crate) fn of_request(head: &str) -> Self {
        match head {
            head if head.starts_with("post /v1/responses ") => Self::Responses { native: true },
            head if head.starts_with("post /v1/messages ") => Self::Messages { native: true },
            _ => Self::Chat,
        }
    }

    pub(crate) const fn path(self) -> &'static str {
        match self {
            Self::Chat => "/v1/chat/completions",
            Self::Responses { .. } => "/v1/responses",
            Self::Messages { .. } => "/v1/messages",
        }
    }

    /// A request of `tokens` tokens; `user` carries pace and batch size to the upstream.
    pub(crate) fn body(self, stream: bool, tokens: usize, user: &str) -> String {
        let stream = if stream { r#""stream":true,"# } else { "" };
        match self {
            Self::Chat => format!(
                r#"{{"model":"{MODEL}",{stream}"max_tokens":{tokens},"user":"{user}","temperature":0.7,"messages":[{{"role":"system","content":"{SYSTEM}"}},{{"role":"user","content":"{QUESTION}"}}]}}"#
            ),
            Self::Responses { native } => format!(
                r#"{{"model":"{}",{stream}"max_output_tokens":{tokens},"user":"{user}","temperature":0.7,"instructions":"{SYSTEM}","input":"{QUESTION}"}}"#,
                model(native)
            ),
            Self::Messages { native } => format!(
                r#"{{"model":"{}",{stream}"max_tokens":{tokens},"metadata":{{"user_id":"{user}"}},"temperature":0.7,"system":"{SYSTEM}","messages":[{{"role":"user","content":"{QUESTION}"}}]}}"#,
                model(native)
            ),
        }
    }

    /// The text in front of a token's number.
    pub(crate) const fn mark(self) -> &'static str {
        match self {
            Self::Chat => r#""content":" #"#,
            Self::Responses { .. } => r#""delta":" #"#,
            Self::Messages { .. } => r#""text":" #"#,
        }
    }

    /// What the data of the event that finishes the answer has in it, and the data that ends the stream, or its beginning.
    pub(crate) const fn ends(self) -> [&'static str; 2] {
        match self {
            Self::Chat => [r#""finish_reason":"stop""#, "[DONE]"],
            Self::Responses { .. } => [r#"{"type":"response.completed""#, "[DONE]"],
            Self::Messages { .. } => [r#""stop_reason":"end_turn""#, r#"{"type":"message_stop""#],
        }
    }

    /// The events of a native answer: those before the tokens, and those behind them.
    pub(crate) fn native_events(self) -> [String; 2] {
        let response = |status: &str, usage: &str| {
            format!(
                r#"{{"id":"resp_bench","object":"response","created_at":1700000000,"status":"{status}","error":null,"model":"{NATIVE_MODEL}","output":[],"usage":{usage}}}"#
            )
        };
        match self {
            Self::Chat => [String::new(), String::new()],
            Self::Responses { .. } => {
                let usage = r#"{"input_tokens":60,"output_tokens":0,"total_tokens":60}"#;
                [
                    event(&format!(
                        r#"{{"type":"response.created","sequence_number":0,"response":{}}}"#,
                        response("in_progress", "null")
                    )),
                    event(&format!(
                        r#"{{"type":"response.completed","sequence_number":1,"response":{}}}"#,
                        response("completed", usage)
                    )) + "data: [DONE]\n\n",
                ]
            }
            Self::Messages { .. } => [
                event(&format!(
                    r#"{{"type":"message_start","message":{{"id":"msg_bench","type":"message","role":"assistant","model":"{NATIVE_MODEL}","content":[],"stop_reason":null,"stop_sequence":null,"usage":{{"input_tokens":60,"output_tokens":1}}}}}}"#
                )) + &event(r#"{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}"#),
                event(r#"{"type":"content_block_stop","index":0}"#)
                    + &event(
                        r#"{"type":"message_delta","delta":{"stop_reason":"end_turn","stop_sequence":null},"usage":{"output_tokens":0}}"#,
                    )
                    + &event(r#"{"type":"message_stop"}"#),
            ],
        }
    }

    /// The event of a token of a native answer, with `text` in it.
    pub(crate) fn native_token(self, text: &str) -> String {
        match self {
            Self::Chat => String::new(),
            Self::Responses { .. } => event(&format!(
                r#"{{"type":"response.output_text.delta","sequence_number":1,"item_id":"msg_bench","output_index":0,"content_index":0,"delta":"{text}","logprobs":[],"obfuscation":"xxxxxxxx"}}"#
            )),
            Self::Messages { .. } => event(&format!(
                r#"{{"type":"content_block_delta","index":0,"delta":{{"type":"text_delta","text":"{text}"}}}}"#
            )),
        }
    }
}

const fn model(native: bool) -> &'static str {
    if native { NATIVE_MODEL } else { MODEL }
}

/// An event with its type as its name.
fn event(data: &str) -> String {
    let kind = data.split('"').nth(3).unwrap_or_default();
    format!("event: {kind}\ndata: {data}\n\n")
}
