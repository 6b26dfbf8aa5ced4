//! Chat completions from an upstream that speaks messages: the other direction of the translation.
//!
//! | a client's request for a chat completion | code |
//! |---|---|
//! | goes to an upstream that speaks messages | [`request`] |
//! | its whole answer | [`completion`] |
//! | its stream | [`CompletionStream`] |
//! | its error | [`error`] |
//!
//! ```
//! use petstream::wire::chat::CompletionHead;
//! use petstream::wire::messages::from_chat::{self, CompletionStream};
//! use petstream::wire::request::{InferenceRequest, RequestRules, UnknownMembers};
//!
//! let rules = RequestRules { json_depth: 128, unknown: UnknownMembers::Pass, local_model: None };
//! let body = r#"{"model":"m","max_tokens":9,"messages":[{"role":"system","content":"Be brief."},{"role":"user","content":"Hi"}]}"#;
//! let request = InferenceRequest::chat(body.into(), &rules).expect("a valid request");
//! let messages = from_chat::request(&request, Some("big-v2")).expect("a request that can be translated");
//! assert_eq!(messages, concat!(
//!     r#"{"model":"big-v2","max_tokens":9,"system":"Be brief.","#,
//!     r#""messages":[{"role":"user","content":[{"type":"text","text":"Hi"}]}]}"#,
//! ));
//!
//! // The upstream's events become chunks as they arrive.
//! let mut stream = CompletionStream::new(&CompletionHead { id: "chatcmpl-1".into(), created: 1, model: "m".into() }, false);
//! let mut out = bytes::BytesMut::new();
//! stream.event(r#"{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}"#, &mut out).expect("an event");
//! stream.event(r#"{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"Hello"}}"#, &mut out).expect("an event");
//! assert!(out.ends_with(concat!(
//!     r#"data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1,"model":"m","choices":["#,
//!     r#"{"index":0,"delta":{"content":"Hello"},"logprobs":null,"finish_reason":null}]}"#, "\n\n",
//! ).as_bytes()));
//! ```
//!
//! # What is translated, and what is not
//!
//! System and developer messages, wherever they are, are joined by line ends to `system`. Messages of the same role
//! that follow one another become one message, and a user's message begins with the results of tools, as the API
//! demands. Texts that are empty or white space are left out, since the API refuses them.
//!
//! `reasoning_effort` becomes `output_config.effort` of the same name with thinking of type `adaptive`, whose text is
//! asked for (`display`: `summarized`); `none` turns thinking off, and `minimal` has no counterpart. It never becomes a
//! budget of tokens: models since Claude Opus 4.7 refuse one, and with a budget the API demands that a turn with tool
//! calls is sent back with its thinking and signature, for which chat has no place. Adaptive thinking does not demand it;
//! the model then reads its calls without the thinking before them. For models that know budgets only, a client sends
//! `thinking` itself.
//!
//! `temperature`, `top_p` and `top_k` keep their values, except for 1, the default of the first two, which is left out:
//! models since Claude Opus 4.7 refuse others, and theirs is the error that the client gets.
//!
//! `cache_control` (of the request, a part or a tool), `thinking` and `top_k` are members of messages that some chat
//! clients send; they are passed on.
//!
//! A request without a limit of tokens gets [`DEFAULT_MAX_TOKENS`], since the API requires one.
//!
//! A member that has no counterpart is a 400 that names it: `seed`, `logit_bias`, `logprobs`, `n` above 1, penalties,
//! `prediction`, `verbosity`, a `temperature` above 1, `response_format` of type `json_object`, the `name` of a user, an
//! image's `detail` of `low`, audio, files by id, custom tools, `functions`, and every member that is not known. Values
//! that ask for nothing are accepted: a penalty of 0, `logprobs` of false, `n` of 1, `verbosity` of `medium`, a
//! `temperature` or `top_p` of 1.
//!
//! These are left out, since the request asks the same of the model without them: `stream_options`, `metadata`, `store`
//! if it is false, `prompt_cache_key`, `prompt_cache_options`, `prompt_cache_retention`, `prompt_cache_breakpoint` of a
//! part, `reasoning_content` and its kin of an assistant's message, its `annotations`, the `name` of a tool's message
//! (its id tells the call), `name` and `strict` of the answer's schema (it is always enforced), `strict` of a tool if it
//! is false, and `parallel_tool_calls` and a `tool_choice` of `auto` or `none` without tools.
//!
//! In answers, blocks of other types than text, thinking and tool calls are left out, and so are citations, signatures
//! and encrypted thinking: chat has no place for them.

mod answer;
mod blocks;
mod chunks;
mod error;
mod event;
mod finish;
mod request;
mod stream;
mod tools;
mod turns;

pub use answer::completion;
pub use error::error;
pub use request::{DEFAULT_MAX_TOKENS, request};
pub use stream::CompletionStream;

#[cfg(test)]
mod tests;
