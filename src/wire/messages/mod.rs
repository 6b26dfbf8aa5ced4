//! Anthropic's messages API: requests, answers, streams, and their translation to chat completions and back.
//!
//! Source of shapes: Anthropic's API reference, "Messages" and "Streaming messages", and the types of its SDKs.
//! <https://platform.claude.com/docs/en/api/messages>
//!
//! | a client's request for messages | code |
//! |---|---|
//! | is parsed | [`parse`] |
//! | goes to an upstream that speaks messages | [`InferenceRequest::forward`]; its stream: [`EventScanner`] |
//! | goes to one that speaks chat | [`to_chat`], then [`MessageStream`] or [`message`] |
//!
//! [`InferenceRequest::forward`]: super::request::InferenceRequest::forward
//!
//! A request for a chat completion that goes to an upstream that speaks messages: [`from_chat`].
//!
//! ```
//! use petstream::wire::messages::{self, MessageHead, MessageStream};
//! use petstream::wire::request::{RequestRules, UnknownMembers};
//!
//! let rules = RequestRules { json_depth: 128, unknown: UnknownMembers::Pass, local_model: None };
//! let body = r#"{"model":"m","max_tokens":9,"system":"Be brief.","messages":[{"role":"user","content":"Hi"}]}"#;
//! let request = messages::parse(body.into(), &rules).expect("a valid request");
//! let chat = messages::to_chat(&request).expect("a request that can be translated");
//! assert_eq!(chat, concat!(
//!     r#"{"model":"m","messages":[{"role":"system","content":"Be brief."},{"role":"user","content":"Hi"}],"#,
//!     r#""max_completion_tokens":9}"#,
//! ));
//!
//! // The upstream's chunks become events as they arrive.
//! let mut stream = MessageStream::new(&MessageHead { id: "msg_1".into(), model: "m".into() }, 1 << 20);
//! let mut out = bytes::BytesMut::new();
//! stream.chunk(r#"{"choices":[{"index":0,"delta":{"content":"Hello"}}]}"#, &mut out).expect("a chunk");
//! assert!(out.ends_with(concat!(
//!     "event: content_block_delta\n",
//!     r#"data: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"Hello"}}"#, "\n\n",
//! ).as_bytes()));
//! ```
//!
//! # What is translated, and what is not
//!
//! A member that has no counterpart is a 400 that names it: `top_k`, for one. These are left out instead, since the
//! request asks the same of the model without them: `cache_control`, `eager_input_streaming`, `caller`,
//! `citations` that are not enabled, `thinking` (a chat model reasons as its server is set up), edits of
//! `context_management` that remove thinking, and thinking blocks that the upstream did not generate. Those that it did
//! generate, which their `signature` tells, are sent back in the member that they came in.
//!
//! Several texts of a system prompt or of a tool's result are joined by line ends, those of an assistant's message
//! without. A result with `is_error` begins with `Error: `. Images in a tool's result become parts of the user message
//! behind it: a tool message of chat has text only.

mod answer;
mod chat_messages;
mod events;
mod frames;
pub mod from_chat;
mod prompt;
mod request;
mod stream;
mod to_chat;
mod whole;

pub use answer::message;
pub use events::EventScanner;
pub use frames::{MessageHead, PING, push_error};
pub use request::{parse, parse_count};
pub use stream::MessageStream;
pub use to_chat::to_chat;
pub use whole::parse_message;

#[cfg(test)]
mod tests;
