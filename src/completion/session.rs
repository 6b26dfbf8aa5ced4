//! The session of a request: what keeps a conversation on one target.

use http::HeaderMap;
use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

use crate::upstream::SessionKey;
use crate::wire::request::InferenceRequest;

/// The header that names a session. Its length is bounded with that of the head.
const HEADER: &str = "x-session-id";

/// The key of the session, from the header or the body. The id of the API key is a part of it, so that no client can
/// choose the session of another. None where the request has nothing that names a session.
pub(super) fn session_key(headers: &HeaderMap, key_id: &str, request: &InferenceRequest) -> Option<SessionKey> {
    let key = xxh3_64(key_id.as_bytes());
    let header = headers.get(HEADER).filter(|value| !value.is_empty());
    let named = header.map(|value| xxh3_64_with_seed(value.as_bytes(), key));
    named.or_else(|| request.conversation(key)).map(SessionKey::new)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::request::{RequestRules, UnknownMembers};

    #[test]
    fn the_header_the_body_and_the_api_key_make_the_session() {
        let rules = RequestRules { json_depth: 128, unknown: UnknownMembers::Pass, local_model: None };
        let request = |more: &str| {
            let body = format!(r#"{{"model":"m","messages":[{{"role":"user","content":"a"}}]{more}}}"#);
            InferenceRequest::chat(body.into(), &rules).unwrap()
        };
        let headers =
            |session: &'static str| HeaderMap::from_iter([(HEADER.parse().unwrap(), session.parse().unwrap())]);
        let (plain, named, none) = (request(""), request(r#","user":"u""#), HeaderMap::new());
        let key = session_key(&headers("s"), "alice", &plain);
        assert!(key.is_some());
        assert_eq!(key, session_key(&headers("s"), "alice", &named));
        assert_ne!(key, session_key(&headers("t"), "alice", &plain));
        assert_ne!(key, session_key(&headers("s"), "bob", &plain), "no client can choose the session of another");
        for request in [&plain, &named] {
            assert!(session_key(&none, "alice", request).is_some());
            assert_eq!(session_key(&none, "alice", request), session_key(&headers(""), "alice", request));
            assert_ne!(session_key(&none, "alice", request), session_key(&none, "bob", request));
        }
        assert_ne!(session_key(&none, "alice", &plain), session_key(&none, "alice", &named));
    }
}
