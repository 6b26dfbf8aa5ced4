//! OpenAI's responses API: requests, answers, streams, and their translation to chat completions.
//!
//! Source of shapes: OpenAI's API reference, "Responses", the types of its SDKs, and the Open Responses specification.
//! <https://platform.openai.com/docs/api-reference/responses>
//!
//! | a client's request for a response | code |
//! |---|---|
//! | is parsed | [`parse`] |
//! | goes to an upstream that speaks responses | [`InferenceRequest::forward`]; its stream: [`EventScanner`] |
//! | goes to one that speaks chat | [`to_chat`], then [`ResponseStream`] or [`response`] |
//!
//! [`InferenceRequest::forward`]: super::request::InferenceRequest::forward
//!
//! ```
//! use petstream::wire::request::{RequestRules, UnknownMembers};
//! use petstream::wire::responses::{self, ResponseStream};
//!
//! let rules = RequestRules { json_depth: 128, unknown: UnknownMembers::Pass, local_model: None };
//! let body = r#"{"model":"m","instructions":"Be brief.","input":"Hi","max_output_tokens":9}"#;
//! let request = responses::parse(body.into(), &rules).expect("a valid request");
//! let chat = responses::to_chat(&request).expect("a request that can be translated");
//! assert_eq!(chat, concat!(
//!     r#"{"model":"m","messages":[{"role":"system","content":"Be brief."},{"role":"user","content":"Hi"}],"#,
//!     r#""max_completion_tokens":9}"#,
//! ));
//!
//! // The upstream's chunks become events as they arrive.
//! let mut stream = ResponseStream::new(responses::head(&request, "m", 0).expect("a request that can be translated"), 1 << 20);
//! let mut out = bytes::BytesMut::new();
//! stream.chunk(r#"{"choices":[{"index":0,"delta":{"content":"Hello"}}]}"#, &mut out).expect("a chunk");
//! assert!(out.starts_with(b"event: response.created\ndata: {\"type\":\"response.created\",\"sequence_number\":0,"));
//! ```
//!
//! # What is translated, and what is not
//!
//! A member that has no counterpart is a 400 that names it: `previous_response_id`, `conversation`, `background: true`,
//! `truncation: auto`, tools other than functions and namespaces of functions, items other than messages, calls of functions with their outputs, and
//! reasoning. These are left out instead, since the request asks the same of the model without them: `store` (nothing
//! is stored; the answer says `false`), `metadata` (returned with the answer), `client_metadata`, `include` of encrypted reasoning,
//! `reasoning.summary`, `max_tool_calls` (it limits tools of the server, which there are none of), `stream_options`,
//! the `id`, `status` and `phase` of items, and reasoning items that have a summary only. Reasoning items with text go
//! to the upstream as `reasoning_content` of the assistant's message behind them.
//!
//! A function `f` of a namespace `n` is the function `n__f` in chat; its calls have `namespace` and its own name. Two
//! functions that would have the same name are refused.
//!
//! `developer` becomes `system`: it is the same to OpenAI's models, and chat templates of others do not know it. Several
//! texts of a system message or of a function's output are joined by line ends. Images in a function's output become
//! parts of a user message behind it: a tool message of chat has text only.

mod answer;
mod chat_messages;
mod events;
mod frames;
mod head;
mod items;
mod prompt;
mod request;
mod stream;
mod stream_calls;
mod to_chat;
mod tools;
mod whole;
mod written;

pub use answer::response;
pub use events::EventScanner;
pub use head::ResponseHead;
pub use request::{head, parse};
pub use stream::ResponseStream;
pub use to_chat::to_chat;
pub use whole::parse_response;

#[cfg(test)]
mod tests;
