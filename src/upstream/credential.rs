//! The API key of a target, and the constant part of the request heads, which contains the key.
//!
//! The heads are encoded once for each key. The key may be replaced while requests are sent: each request has the old
//! key or the new one.

use std::sync::Arc;

use arc_swap::ArcSwap;
use bytes::{Bytes, BytesMut};
use http::HeaderValue;
use http::header::{ACCEPT, ACCEPT_ENCODING, AUTHORIZATION, CONTENT_TYPE, HOST, USER_AGENT};

use crate::config::{Secret, SecretFile};
use crate::http::codec::write_header;

/// The API key of a target; it can be replaced at run time.
pub struct UpstreamCredential {
    path: Box<str>,
    authority: Box<str>,
    file: Option<SecretFile>,
    current: ArcSwap<Current>,
}

struct Current {
    key: Option<Secret>,
    /// The previous key, which late responses may still quote.
    previous: Option<Secret>,
    /// The constant part of the head of requests for a stream.
    stream_head: Bytes,
    /// The constant part of the head of requests for a JSON response.
    json_head: Bytes,
}

impl UpstreamCredential {
    /// A credential for requests to `authority`. `path` is the path of the base URL.
    pub(super) fn new(path: &str, authority: &str, key: Option<Secret>) -> Self {
        let file = key.as_ref().and_then(Secret::file).cloned();
        let current = ArcSwap::from_pointee(Current::new(path, authority, key, None));
        Self { path: path.into(), authority: authority.into(), file, current }
    }

    /// The file from which the key is read, if any.
    #[must_use]
    pub const fn file(&self) -> Option<&SecretFile> {
        self.file.as_ref()
    }

    /// Uses `key` for all further requests. Returns false if it is the current key.
    pub fn replace(&self, key: Secret) -> bool {
        let previous = self.current.load().key.clone();
        if previous.as_ref().is_some_and(|previous| previous.reveal() == key.reveal()) {
            return false;
        }
        self.current.store(Arc::new(Current::new(&self.path, &self.authority, Some(key), previous)));
        true
    }

    /// The current key.
    pub(super) fn key(&self) -> Option<Secret> {
        self.current.load().key.clone()
    }

    /// `text` with the current and the previous key replaced by `***`.
    pub(super) fn mask(&self, text: &str) -> String {
        let current = self.current.load();
        let keys = current.key.iter().chain(&current.previous);
        keys.fold(
            text.to_owned(),
            |text, key| {
                if text.contains(key.reveal()) { text.replace(key.reveal(), "***") } else { text }
            },
        )
    }

    /// Writes the constant part of the head.
    pub(super) fn write_head(&self, stream: bool, out: &mut BytesMut) {
        let current = self.current.load();
        out.extend_from_slice(if stream { &current.stream_head } else { &current.json_head });
    }
}

impl Current {
    fn new(path: &str, authority: &str, key: Option<Secret>, previous: Option<Secret>) -> Self {
        let head = |accept| constant_head(path, authority, key.as_ref(), accept);
        Self { stream_head: head("text/event-stream"), json_head: head("application/json"), key, previous }
    }
}

/// Encodes the part of the head that is the same for all requests with this `accept`.
fn constant_head(path: &str, authority: &str, api_key: Option<&Secret>, accept: &'static str) -> Bytes {
    // A URL's path is already encoded, so it is a valid request target.
    let mut head = BytesMut::from(&*format!("POST {path}/chat/completions HTTP/1.1\r\n"));
    let agent = concat!("petstream/", env!("CARGO_PKG_VERSION"));
    let bearer = api_key.map(|key| format!("Bearer {}", key.reveal()));
    let headers = [
        (HOST, Some(authority)),
        (CONTENT_TYPE, Some("application/json")),
        (USER_AGENT, Some(agent)),
        // Frames are parsed, so the body must not be compressed.
        (ACCEPT_ENCODING, Some("identity")),
        (ACCEPT, Some(accept)),
        (AUTHORIZATION, bearer.as_deref()),
    ];
    for (name, value) in &headers {
        // Values that are invalid in a header are left out: they could inject other headers.
        if let Some(value) = value.and_then(|value| HeaderValue::from_str(value).ok()) {
            write_header(&mut head, name.as_str(), value.as_bytes());
        }
    }
    head.freeze()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_key_is_sent_and_both_keys_are_masked() {
        let secret = |text: &str| Secret::new(text.to_owned());
        let credential = UpstreamCredential::new("/v1", "h:1", Some(secret("sk-old")));
        let heads = || {
            [true, false].map(|stream| {
                let mut head = BytesMut::new();
                credential.write_head(stream, &mut head);
                String::from_utf8(head.to_vec()).unwrap()
            })
        };
        assert!(heads().iter().all(|head| head.contains("authorization: Bearer sk-old\r\n")));
        assert!(!credential.replace(secret("sk-old")) && credential.replace(secret("sk-new")));
        assert!(heads().iter().all(|head| head.contains("authorization: Bearer sk-new\r\n") && !head.contains("old")));
        assert_eq!(credential.key().unwrap().reveal(), "sk-new");
        assert_eq!(credential.mask("sk-old or sk-new"), "*** or ***");
    }
}
