//! What the codecs of [`messages`](super::messages) and [`responses`](super::responses) share: reading chat
//! completions and their chunks, and writing JSON from slices of other JSON.
//!
//! No JSON tree is built. A generated text stays as it is written in the upstream's JSON, escapes included, and is
//! copied into the client's JSON without being decoded.

mod arguments;
mod calls;
mod chat_answer;
mod error;
mod frame;
mod json;
mod native;
mod text_template;
mod tools;
mod untranslatable;
mod usage;
mod whole;

pub use chat_answer::{ChatDelta, FinishReason, ReasoningMember, ToolCallDelta, read_chunk, read_completion};
pub use error::TranslationError;
pub use native::NativeEvent;
pub use usage::TokenCounts;

pub(super) use arguments::ArgumentsEnd;
pub(super) use calls::{CallNumbers, MAX_CALLS};
pub(super) use frame::push_event;
pub(super) use json::{Array, EMPTY, JoinedText, Object, inside, quoted_json};
pub(super) use text_template::{ParsedDelta, TextTemplate};
pub(super) use tools::models_of_tools;
pub(super) use untranslatable::{refuse_others, refuse_untranslatable};
pub(super) use usage::usage_of;
pub(super) use whole::{WholeAnswer, parse_whole};

#[cfg(test)]
pub(super) mod accumulate;
#[cfg(test)]
pub(super) mod chat_streams;
#[cfg(test)]
pub(super) mod request_fixtures;
#[cfg(test)]
pub(super) mod stream_fixtures;
