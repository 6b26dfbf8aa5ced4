//! Parsing a request for messages.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;

use super::prompt;
use super::to_chat::to_chat;
use crate::wire::byte_order_mark::without_mark;
use crate::wire::members::span;
use crate::wire::request::{
    ForwardedBody, InvalidRequest, NamedMembers, RequestRules, UnknownMembers, check_model, check_stream, decimal,
    edited, integer, object, rename,
};
use crate::wire::translation::models_of_tools;

/// The members that the API defines.
const MEMBERS: &[&str] = &[
    "cache_control",
    "container",
    "context_management",
    "diagnostics",
    "inference_geo",
    "max_tokens",
    "mcp_servers",
    "messages",
    "metadata",
    "model",
    "output_config",
    "output_format",
    "service_tier",
    "speed",
    "stop_sequences",
    "stream",
    "system",
    "temperature",
    "thinking",
    "tool_choice",
    "tools",
    "top_k",
    "top_p",
    "user_profile_id",
    "workspace_id",
];

/// A request that passed the checks of routing, limits and accounting, with what they need of it.
#[derive(Clone, Debug)]
pub struct MessagesRequest {
    /// A JSON object in UTF-8.
    body: Bytes,
    /// The requested model; 1 to 256 characters.
    pub model: Arc<str>,
    model_at: Range<usize>,
    /// Whether the client requested a stream; default false.
    pub stream: bool,
    /// The largest number of generated tokens. None for a request to count tokens.
    pub max_tokens: Option<u64>,
    /// An estimate of the prompt's tokens.
    pub prompt_estimate: u64,
    /// The path of the first parameter with which some server would use another model than `model`.
    pub other_models: Option<Box<str>>,
}

impl MessagesRequest {
    /// Parses and checks a body; a UTF-8 byte-order mark before it is removed.
    ///
    /// # Errors
    /// [`InvalidRequest`] for the first thing that is wrong. With [`UnknownMembers::Refuse`], and for the local model,
    /// members that the API does not define and values out of their ranges are wrong too.
    pub fn parse(body: Bytes, rules: &RequestRules) -> Result<Self, InvalidRequest> {
        Self::read(body, rules, true)
    }

    /// As [`MessagesRequest::parse`], for a request to count tokens: `max_tokens` is optional.
    ///
    /// # Errors
    /// As [`MessagesRequest::parse`].
    pub fn parse_count(body: Bytes, rules: &RequestRules) -> Result<Self, InvalidRequest> {
        Self::read(body, rules, false)
    }

    fn read(body: Bytes, rules: &RequestRules, generates: bool) -> Result<Self, InvalidRequest> {
        let body = without_mark(body);
        let text = simdutf8::basic::from_utf8(&body).map_err(|_| InvalidRequest::unreadable())?;
        let members = NamedMembers::read(text, MEMBERS, rules)?;
        let model = check_model(members.get("model"))?;
        if rules.unknown == UnknownMembers::Refuse || rules.local_model == Some(&*model) {
            if let Some(unknown) = &members.unknown {
                return Err(InvalidRequest::unknown(unknown));
            }
            check_ranges(&members)?;
        }
        let stream = check_stream(members.get("stream"))?;
        let max_tokens =
            members.get("max_tokens").map(|value| integer("max_tokens", value, 1, i64::MAX)).transpose()?;
        if generates && max_tokens.is_none() {
            return Err(InvalidRequest::missing("max_tokens"));
        }
        let list = members.raw("messages").ok_or_else(|| InvalidRequest::missing("messages"))?;
        let prompt_estimate = prompt::estimate(list, &members)?;
        Ok(Self {
            model_at: members.get("model").map(|value| span(text, value)).unwrap_or_default(),
            max_tokens: max_tokens.and_then(|number| u64::try_from(number).ok()),
            other_models: match members.other_models.clone() {
                None => models_of_tools(&members, |kind| kind.is_none_or(|kind| kind == "custom"))?,
                some => some,
            },
            prompt_estimate,
            model,
            stream,
            body,
        })
    }

    /// The client's body without its byte-order mark.
    #[must_use]
    pub const fn body(&self) -> &Bytes {
        &self.body
    }

    /// The body for an upstream that speaks messages: the client's bytes with the model's name replaced by `model`, if
    /// it is given.
    #[must_use]
    pub fn forward(&self, model: Option<&str>) -> ForwardedBody<'_> {
        let renamed = rename(&self.model, &self.model_at, model);
        edited(&self.body, renamed.into_iter().collect())
    }

    /// The body of a request for a chat completion that asks the same. Its model is the requested one; a stream has
    /// usage. Reads the body again.
    ///
    /// # Errors
    /// [`InvalidRequest`] for the first member that has no counterpart, or whose value is wrong.
    pub fn to_chat(&self) -> Result<String, InvalidRequest> {
        let text = simdutf8::basic::from_utf8(&self.body).map_err(|_| InvalidRequest::unreadable())?;
        let rules = RequestRules { json_depth: usize::MAX, unknown: UnknownMembers::Pass, local_model: None };
        to_chat(&NamedMembers::read(text, MEMBERS, &rules)?)
    }
}

/// Enforces the API's ranges.
fn check_ranges(members: &NamedMembers<'_>) -> Result<(), InvalidRequest> {
    for name in ["temperature", "top_p"] {
        members.get(name).map_or(Ok(()), |value| decimal(name, value, 0, 1))?;
    }
    for name in ["metadata", "thinking", "tool_choice", "output_config"] {
        members.get(name).map_or(Ok(()), |value| object(name, value))?;
    }
    Ok(())
}
