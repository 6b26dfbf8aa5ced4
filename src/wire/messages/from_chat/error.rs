//! Errors of an upstream that speaks messages, in the words of chat completions.

use crate::wire::envelope::ErrorBody;

/// The types of errors, OpenAI's types for them, and the status that each stands for.
///
/// Source: Anthropic's API reference, "Errors".
const TYPES: &[(&str, &str, &str)] = &[
    ("invalid_request_error", "invalid_request_error", "400"),
    ("authentication_error", "invalid_request_error", "401"),
    ("billing_error", "insufficient_quota", "402"),
    ("permission_error", "invalid_request_error", "403"),
    ("not_found_error", "invalid_request_error", "404"),
    ("request_too_large", "invalid_request_error", "413"),
    ("rate_limit_error", "requests", "429"),
    ("api_error", "server_error", "500"),
    ("timeout_error", "server_error", "504"),
    ("overloaded_error", "service_unavailable_error", "529"),
];

/// The error in the words of chat completions, for an error that
/// [`read_error`](crate::wire::envelope::read_error) has read. Its type becomes OpenAI's; its code, which messages do
/// not have, becomes the status that the type stands for, since an error within a stream has no status of its own. A
/// type that is not known is kept, without a code.
///
/// ```
/// use petstream::wire::envelope::read_error;
/// use petstream::wire::messages::from_chat;
///
/// let body = serde_json::json!({"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}});
/// let error = from_chat::error(read_error(&body).expect("an error"));
/// assert_eq!((&*error.kind, error.code.as_deref()), ("service_unavailable_error", Some("529")));
/// ```
#[must_use]
pub fn error(error: ErrorBody) -> ErrorBody {
    match TYPES.iter().find(|(theirs, ..)| *theirs == error.kind) {
        Some((_, kind, status)) => {
            ErrorBody { kind: (*kind).to_owned(), code: error.code.or_else(|| Some((*status).to_owned())), ..error }
        }
        None => error,
    }
}
