//! Parsing a request for a response.

use bytes::Bytes;

use super::head::ResponseHead;
use super::prompt;
use super::tools::is_of_client;
use crate::wire::byte_order_mark::without_mark;
use crate::wire::members::span;
use crate::wire::operation::Operation;
use crate::wire::request::{
    ConversationAt, InferenceRequest, InvalidRequest, NamedMembers, RequestRules, UnknownMembers, UsageEdit, boolean,
    check_model, check_stream, decimal, integer, object, string,
};
use crate::wire::translation::models_of_tools;

/// The members that the API defines.
pub(super) const MEMBERS: &[&str] = &[
    "access_programs",
    "background",
    "background_options",
    // Codex sends it, and OpenAI accepts it; its reference does not name it.
    "client_metadata",
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

/// Parses and checks the body of a request for a response; a UTF-8 byte-order mark before it is removed.
///
/// # Errors
/// [`InvalidRequest`] for the first thing that is wrong. With [`UnknownMembers::Refuse`], and for the local model,
/// members that the API does not define and values out of their ranges are wrong too.
pub fn parse(body: Bytes, rules: &RequestRules) -> Result<InferenceRequest, InvalidRequest> {
    let body = without_mark(body);
    let text = simdutf8::basic::from_utf8(&body).map_err(|_| InvalidRequest::unreadable())?;
    let members = NamedMembers::read(text, MEMBERS, rules)?;
    let model = check_model(members.get("model"))?;
    if members.is_strict(rules, &model)? {
        check_types(&members)?;
    }
    if members.get("background").map_or(Ok(false), |value| boolean("background", value))? {
        return Err(InvalidRequest::unsupported("background", "Responses in the background are not supported."));
    }
    let max_tokens =
        members.get("max_output_tokens").map(|value| integer("max_output_tokens", value, 1, i64::MAX)).transpose()?;
    for name in ["previous_response_id", "prompt_cache_key"] {
        members.get(name).map_or(Ok(()), |value| string(name, value).map(drop))?;
    }
    let names = ["prompt_cache_key", "conversation", "user", "safety_identifier"].map(|name| members.get(name));
    let (system, input) = (members.get("instructions"), members.get("input"));
    Ok(InferenceRequest {
        operation: Operation::Responses,
        model_at: members.get("model").map(|value| span(text, value)).unwrap_or_default(),
        stream: check_stream(members.get("stream"))?,
        // Usage is a part of every response.
        include_usage: true,
        conversation_at: ConversationAt::new(text, names, system, input),
        usage_edit: UsageEdit::none(),
        n: 1,
        max_tokens: max_tokens.and_then(|number| u64::try_from(number).ok()),
        prompt_estimate: prompt::estimate(&members)?,
        other_models: match members.other_models.clone() {
            None => models_of_tools(&members, is_of_client)?,
            some => some,
        },
        model,
        body,
    })
}

/// The members of the answer that are known before it is generated, with a new id. `model` is the name that it carries,
/// `created` its Unix time in seconds. Reads the body again.
///
/// # Errors
/// [`InvalidRequest`] for members that are returned with the answer.
pub fn head(request: &InferenceRequest, model: &str, created: i64) -> Result<ResponseHead, InvalidRequest> {
    let id = uuid::Uuid::now_v7().simple().to_string();
    ResponseHead::new(&members(request)?, &id, model, created)
}

/// The members of a request that was accepted. Reads the body again.
pub(super) fn members(request: &InferenceRequest) -> Result<NamedMembers<'_>, InvalidRequest> {
    let text = simdutf8::basic::from_utf8(request.body()).map_err(|_| InvalidRequest::unreadable())?;
    let rules = RequestRules { json_depth: usize::MAX, unknown: UnknownMembers::Pass, local_model: None };
    NamedMembers::read(text, MEMBERS, &rules)
}

/// Enforces the API's types and ranges.
fn check_types(members: &NamedMembers<'_>) -> Result<(), InvalidRequest> {
    let all = |names: &[&'static str], check: &dyn Fn(&str, &str) -> Result<(), InvalidRequest>| {
        names.iter().try_for_each(|name| members.get(name).map_or(Ok(()), |value| check(name, value)))
    };
    all(&["temperature"], &|name, value| decimal(name, value, 0, 2))?;
    all(&["top_p"], &|name, value| decimal(name, value, 0, 1))?;
    all(&["store", "parallel_tool_calls"], &|name, value| boolean(name, value).map(drop))?;
    all(&["client_metadata", "metadata", "reasoning", "text"], &|name, value| object(name, value))?;
    let strings = ["instructions", "prompt_cache_key", "safety_identifier", "service_tier", "truncation", "user"];
    all(&strings, &|name, value| string(name, value).map(drop))
}
