//! Parsing a request for messages.

use bytes::Bytes;

use super::prompt;
use crate::wire::byte_order_mark::without_mark;
use crate::wire::members::span;
use crate::wire::operation::Operation;
use crate::wire::request::{
    ConversationAt, InferenceRequest, InvalidRequest, NamedMembers, RequestRules, UnknownMembers, UsageEdit,
    check_model, check_stream, decimal, integer, object,
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

/// Parses and checks the body of a request for a message; a UTF-8 byte-order mark before it is removed.
///
/// # Errors
/// [`InvalidRequest`] for the first thing that is wrong. With [`UnknownMembers::Refuse`], and for the local model,
/// members that the API does not define and values out of their ranges are wrong too.
pub fn parse(body: Bytes, rules: &RequestRules) -> Result<InferenceRequest, InvalidRequest> {
    let request = parse_count(body, rules)?;
    if request.max_tokens.is_none() {
        return Err(InvalidRequest::missing("max_tokens"));
    }
    Ok(request)
}

/// As [`parse`], for a request to count tokens: `max_tokens` is optional.
///
/// # Errors
/// As [`parse`].
pub fn parse_count(body: Bytes, rules: &RequestRules) -> Result<InferenceRequest, InvalidRequest> {
    let body = without_mark(body);
    let text = simdutf8::basic::from_utf8(&body).map_err(|_| InvalidRequest::unreadable())?;
    let members = NamedMembers::read(text, MEMBERS, rules)?;
    let model = check_model(members.get("model"))?;
    if members.is_strict(rules, &model)? {
        check_ranges(&members)?;
    }
    let max_tokens = members.get("max_tokens").map(|value| integer("max_tokens", value, 1, i64::MAX)).transpose()?;
    let list = members.raw("messages").ok_or_else(|| InvalidRequest::missing("messages"))?;
    Ok(InferenceRequest {
        operation: Operation::Messages,
        model_at: members.get("model").map(|value| span(text, value)).unwrap_or_default(),
        stream: check_stream(members.get("stream"))?,
        // Usage is a part of every message.
        include_usage: true,
        conversation_at: ConversationAt::new(text, [members.get("metadata")], members.get("system"), Some(list)),
        usage_edit: UsageEdit::none(),
        n: 1,
        max_tokens: max_tokens.and_then(|number| u64::try_from(number).ok()),
        prompt_estimate: prompt::estimate(list, &members)?,
        other_models: match members.other_models.clone() {
            None => models_of_tools(&members, |kind, _| kind.is_none_or(|kind| kind == "custom"))?,
            some => some,
        },
        model,
        body,
    })
}

/// The members of a request that was accepted. Reads the body again.
pub(super) fn members(request: &InferenceRequest) -> Result<NamedMembers<'_>, InvalidRequest> {
    let text = simdutf8::basic::from_utf8(request.body()).map_err(|_| InvalidRequest::unreadable())?;
    let rules = RequestRules { json_depth: usize::MAX, unknown: UnknownMembers::Pass, local_model: None };
    NamedMembers::read(text, MEMBERS, &rules)
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
