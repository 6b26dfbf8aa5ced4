//! Data types and codecs of everything that petstream receives and sends: pure functions, no I/O, no clock.
//!
//! Depends on no other module. Input is untrusted: every decoder is linear in its input, and what it keeps is bounded.
//!
//! | module | contents |
//! |---|---|
//! | [`request`] | requests of chat completions, completions, embeddings: parsed, checked, forwarded |
//! | [`messages`] | Anthropic's messages: requests, answers, streams; to chat completions and back |
//! | [`responses`] | OpenAI's responses: requests, answers, streams; to chat completions |
//! | [`translation`] | what both translations share |
//! | [`operation`] | the operations on models; [`parse_request`] parses a request of any of them |
//! | [`chunk`] | chunks of a completion: parsed, repaired |
//! | [`chat`] | chunks and completions of the local model |
//! | [`quirks`] | where providers differ from OpenAI's API |
//! | [`envelope`] | error objects |
//! | [`sse`] | event streams: decoder, encoder |
//! | [`event`], [`event_frame`] | live events: topics and cursors; frames |
//! | [`resource`] | the pet store's resources |
//! | [`scan`], [`members`] | the JSON scanner; members and edits of JSON objects |
//! | [`api_key`], [`etag`], [`go_duration`], [`tokens`], [`byte_order_mark`] | small formats |

pub mod api_key;
pub mod byte_order_mark;
pub mod chat;
pub mod chunk;
pub mod envelope;
pub mod etag;
pub mod event;
pub mod event_frame;
pub mod forwarded;
mod frame_template;
pub mod go_duration;
pub mod members;
pub mod messages;
pub mod operation;
mod parse_request;
pub mod quirks;
pub mod request;
pub mod resource;
pub mod responses;
pub mod scan;
pub mod sse;
pub mod tokens;
pub mod translation;

pub use parse_request::parse_request;
