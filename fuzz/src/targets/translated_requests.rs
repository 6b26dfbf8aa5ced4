//! Requests of responses, messages and chat that are translated: what one API accepts becomes a request that the other
//! accepts, for the same model and streamed or not as the first.

use bytes::Bytes;
use petstream::wire::messages::{self, from_chat};
use petstream::wire::request::{InferenceRequest, RequestRules, UnknownMembers};
use petstream::wire::responses;

const RULES: RequestRules = RequestRules { json_depth: 64, unknown: UnknownMembers::Pass, local_model: None };

/// Checks one input.
///
/// # Panics
/// When a check fails.
pub fn run(data: &[u8]) {
    let body = Bytes::copy_from_slice(data);
    if let Ok(request) = responses::parse(body.clone(), &RULES) {
        // The head repeats members of the request: it is well-formed whatever they are.
        let head = responses::head(&request, &request.model, 1);
        if let (Ok(chat), Ok(head)) = (responses::to_chat(&request), head) {
            assert_same(&request, InferenceRequest::chat(chat.into(), &RULES));
            let whole =
                responses::response(&head, br#"{"choices":[{"message":{"content":"a"}}]}"#, 1).expect("a response");
            assert!(serde_json::from_str::<serde_json::Value>(&whole).is_ok(), "{whole}");
            assert!(!whole.contains(['\n', '\r']), "{whole}");
        }
    }
    if let Ok(request) = messages::parse(body.clone(), &RULES)
        && let Ok(chat) = messages::to_chat(&request)
    {
        assert_same(&request, InferenceRequest::chat(chat.into(), &RULES));
    }
    if let Ok(request) = InferenceRequest::chat(body, &RULES)
        && let Ok(translated) = from_chat::request(&request, None)
    {
        assert_same(&request, messages::parse(translated.into(), &RULES));
    }
}

fn assert_same<E: std::fmt::Debug>(one: &InferenceRequest, other: Result<InferenceRequest, E>) {
    let other = other.unwrap_or_else(|error| panic!("{error:?}: {:?}", one.body()));
    assert_eq!((&one.model, one.stream), (&other.model, other.stream));
}
