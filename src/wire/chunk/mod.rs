//! Chunks of completions as upstreams send them, and whole answers: what the proxy must know of them, and repairs
//! for clients. One pass checks that a frame is well-formed JSON in UTF-8 and picks up the few members that matter; no
//! tree is built.
//!
//! Source: OpenAI's API reference, "The chat completion chunk object", "The chat completion object", "The
//! completion object" and "The embedding object"; what providers do otherwise is listed in [`super::quirks`].

mod choice_set;
mod decoded_chunk;
mod embeddings;
mod parser;
mod reader;
mod repair;
mod tool_calls;
mod usage;

pub use super::scan::Malformed;
pub use choice_set::ChoiceSet;
pub use decoded_chunk::{DecodedChunk, Usage};
pub use embeddings::parse_embeddings;
pub use parser::{ChunkParser, Completion, ParsedFrame, parse_completion};
pub use reader::ChoiceShape;
pub(crate) use repair::{Repair, last_chunk, push_repaired};
pub(crate) use tool_calls::ToolCallNumbering;

#[cfg(test)]
mod tests;
