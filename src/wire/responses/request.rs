//! Parsing a request for a response.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;

use super::head::ResponseHead;
use super::prompt;
use super::to_chat::to_chat;
use crate::wire::byte_order_mark::without_mark;
use crate::wire::members::span;
use crate::wire::request::{
    ForwardedBody, InvalidRequest, NamedMembers, RequestRules, UnknownMembers, boolean, check_model, check_stream,
    decimal, edited, integer, object, rename, string,
};
use crate::wire::translation::models_of_tools;

/// The members that the API defines.
pub(super) const MEMBERS: &[&str] = &[
    "access_programs",
    "background",
    "background_options",
    "context_management",
    "conversation",
    "image",
    "include",
    "input",
    "instructions",
    "max_output_tokens",
    "max_tool_calls",
    "metadata",
    "model",
    "moderation",
    "parallel_tool_calls",
    "previous_response_id",
    "prompt",
    "prompt_cache_key",
    "prompt_cache_options",
    "prompt_cache_retention",
    "reasoning",
    "safety_identifier",
    "service_tier",
    "store",
    "stream",
    "stream_options",
    "temperature",
    "text",
    "tool_choice",
    "tools",
    "top_logprobs",
    "top_p",
    "truncation",
    "user",
];

/// A request that passed the checks of routing, limits and accounting, with what they need of it.
#[derive(Clone, Debug)]
pub struct ResponsesRequest {
    /// A JSON object in UTF-8.
    body: Bytes,
    /// The requested model; 1 to 256 characters.
    pub model: Arc<str>,
    model_at: Range<usize>,
    /// Whether the client requested a stream; default false.
    pub stream: bool,
    /// Whether the client requested an answer in the background; default false.
    pub background: bool,
    /// The largest number of generated tokens; none where the client set no limit.
    pub max_tokens: Option<u64>,
    /// The response that this one continues.
    pub previous_response_id: Option<Box<str>>,
    /// An estimate of the prompt's tokens, without those of a response that is continued.
    pub prompt_estimate: u64,
    /// The path of the first parameter with which some server would use another model than `model`.
    pub other_models: Option<Box<str>>,
}

impl ResponsesRequest {
    /// Parses and checks a body; a UTF-8 byte-order mark before it is removed.
    ///
    /// # Errors
    /// [`InvalidRequest`] for the first thing that is wrong. With [`UnknownMembers::Refuse`], and for the local model,
    /// members that the API does not define and values out of their ranges are wrong too.
    pub fn parse(body: Bytes, rules: &RequestRules) -> Result<Self, InvalidRequest> {
        let body = without_mark(body);
        let text = simdutf8::basic::from_utf8(&body).map_err(|_| InvalidRequest::unreadable())?;
        let members = NamedMembers::read(text, MEMBERS, rules)?;
        let model = check_model(members.get("model"))?;
        if rules.unknown == UnknownMembers::Refuse || rules.local_model == Some(&*model) {
            if let Some(unknown) = &members.unknown {
                return Err(InvalidRequest::unknown(unknown));
            }
            check_types(&members)?;
        }
        let flag = |name| members.get(name).map_or(Ok(false), |value| boolean(name, value));
        let max_tokens = members
            .get("max_output_tokens")
            .map(|value| integer("max_output_tokens", value, 1, i64::MAX))
            .transpose()?;
        let previous = members.get("previous_response_id").map(|id| string("previous_response_id", id)).transpose()?;
        Ok(Self {
            model_at: members.get("model").map(|value| span(text, value)).unwrap_or_default(),
            stream: check_stream(members.get("stream"))?,
            background: flag("background")?,
            max_tokens: max_tokens.and_then(|number| u64::try_from(number).ok()),
            previous_response_id: previous.map(Into::into),
            prompt_estimate: prompt::estimate(&members)?,
            other_models: match members.other_models.clone() {
                None => models_of_tools(&members, |kind| matches!(kind, Some("function" | "custom")))?,
                some => some,
            },
            model,
            body,
        })
    }

    /// The client's body without its byte-order mark.
    #[must_use]
    pub const fn body(&self) -> &Bytes {
        &self.body
    }

    /// The body for an upstream that speaks responses: the client's bytes with the model's name replaced by `model`, if
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
        to_chat(&self.members()?)
    }

    /// The members of the answer that are known before it is generated, with a new id. `model` is the name that it
    /// carries, `created` its Unix time in seconds. Reads the body again.
    ///
    /// # Errors
    /// As [`ResponsesRequest::to_chat`], for members that are returned with the answer.
    pub fn head(&self, model: &str, created: i64) -> Result<ResponseHead, InvalidRequest> {
        let id = uuid::Uuid::now_v7().simple().to_string();
        ResponseHead::new(&self.members()?, &id, model, created)
    }

    pub(super) fn members(&self) -> Result<NamedMembers<'_>, InvalidRequest> {
        let text = simdutf8::basic::from_utf8(&self.body).map_err(|_| InvalidRequest::unreadable())?;
        let rules = RequestRules { json_depth: usize::MAX, unknown: UnknownMembers::Pass, local_model: None };
        NamedMembers::read(text, MEMBERS, &rules)
    }
}

/// Enforces the API's types and ranges.
fn check_types(members: &NamedMembers<'_>) -> Result<(), InvalidRequest> {
    let all = |names: &[&'static str], check: &dyn Fn(&str, &str) -> Result<(), InvalidRequest>| {
        names.iter().try_for_each(|name| members.get(name).map_or(Ok(()), |value| check(name, value)))
    };
    all(&["temperature"], &|name, value| decimal(name, value, 0, 2))?;
    all(&["top_p"], &|name, value| decimal(name, value, 0, 1))?;
    all(&["store", "parallel_tool_calls"], &|name, value| boolean(name, value).map(drop))?;
    all(&["metadata", "reasoning", "text"], &|name, value| object(name, value))?;
    let strings = ["instructions", "prompt_cache_key", "safety_identifier", "service_tier", "truncation", "user"];
    all(&strings, &|name, value| string(name, value).map(drop))
}
