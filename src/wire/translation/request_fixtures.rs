//! Requests of both APIs, for their tests.

use proptest::prelude::*;
use proptest::sample::{Index, select};
use serde_json::Value;

use crate::wire::request::{InferenceRequest, RequestRules, UnknownMembers};

pub(in crate::wire) const RULES: RequestRules =
    RequestRules { json_depth: 32, unknown: UnknownMembers::Pass, local_model: Some("petstore-ai") };

/// A body with further members; they replace its own.
pub(in crate::wire) fn with(mut body: Value, more: &Value) -> String {
    for (key, value) in more.as_object().unwrap() {
        body[key] = value.clone();
    }
    body.to_string()
}

/// Changes of a body that may make it invalid, or mean something else.
pub(in crate::wire) fn changed(body: &str) -> impl Strategy<Value = String> {
    let parts = vec!["", "{", "}", "[", "]", "\"", ",", ":", "null", "\\", "1", "{}", "[]", "\"a\"", "true", "\n"];
    let body = body.to_owned();
    (any::<Index>(), 0..12_usize, select(parts)).prop_map(move |(at, length, part)| {
        let bytes = body.as_bytes();
        let start = at.index(bytes.len());
        let end = (start + length).min(bytes.len());
        String::from_utf8_lossy(&[&bytes[..start], part.as_bytes(), &bytes[end..]].concat()).into_owned()
    })
}

/// Fails unless this is a valid chat request, for a stream or not.
pub(in crate::wire) fn assert_chat_request(chat: &str, streamed: bool) -> Result<(), TestCaseError> {
    let rules = RequestRules { local_model: None, ..RULES };
    let parsed = InferenceRequest::chat(chat.to_owned().into(), &rules);
    prop_assert!(parsed.is_ok(), "{parsed:?} {chat}");
    prop_assert_eq!(parsed.unwrap().stream, streamed);
    Ok(())
}
