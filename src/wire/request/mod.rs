//! A request of a model: parsed once, checked, and forwarded with the bytes that the client sent.
//!
//! Source of shapes and ranges: OpenAI's API reference, "Create chat completion", "Create completion" and
//! "Create embeddings".
//! <https://platform.openai.com/docs/api-reference/chat/create>
//!
//! No JSON tree is built: values are slices of the body, and members that are not known are skipped. Time and memory
//! are linear in the body, about a millisecond a megabyte. [`parse_request`](super::parse_request) is the entry point.

mod chat;
mod check;
mod completions;
mod conversation;
mod embeddings;
mod forwarded_body;
mod inference_request;
mod invalid_request;
mod json_type;
mod known_members;
mod messages;
mod named_members;
mod param;
mod path;
mod prompt_size;
mod rules;
mod values;

pub use forwarded_body::{ForwardedBody, RequestedUsage};
pub use inference_request::InferenceRequest;
pub use invalid_request::InvalidRequest;
pub use known_members::KnownMembers;
pub use param::Param;
pub use rules::{RequestRules, UnknownMembers};
pub(crate) use values::{decode_string, each_element, is_empty, pick};

// Parts that the requests of other APIs share.
pub(super) use check::{model as check_model, stream as check_stream};
pub(super) use conversation::ConversationAt;
pub(super) use forwarded_body::UsageEdit;
pub(super) use invalid_request::quoted;
pub(super) use known_members::{MAX_LEVELS, nested_model};
pub(super) use named_members::NamedMembers;
pub(super) use path::Path;
pub(super) use prompt_size::{Media, PromptSize};
pub(super) use values::{boolean, decimal, each_member, integer, object, present, string};

#[cfg(test)]
mod tests;
