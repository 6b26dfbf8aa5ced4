//! What a target is shown to let us in: its key, and the heads of requests, which hold it.
//!
//! The heads are made once for each key. The key may be exchanged while requests are sent: each is sent with one or the
//! other.

use std::sync::Arc;

use arc_swap::ArcSwap;
use bytes::{Bytes, BytesMut};
use http::HeaderValue;
use http::header::{ACCEPT, ACCEPT_ENCODING, AUTHORIZATION, CONTENT_TYPE, HOST, USER_AGENT};

use crate::config::{Secret, SecretFile};
use crate::http::codec::write_header;

/// See the module.
pub struct UpstreamCredential {
    path: Box<str>,
    authority: Box<str>,
    file: Option<SecretFile>,
    current: ArcSwap<Current>,
}

struct Current {
    key: Option<Secret>,
    /// The one before it, which late answers may still quote.
    before: Option<Secret>,
    /// What the head of every request says: of those for a stream, and of others.
    stream_head: Bytes,
    plain_head: Bytes,
}

impl UpstreamCredential {
    /// `key` for requests to `path`, the base URL's, at `authority`.
    pub(super) fn new(path: &str, authority: &str, key: Option<Secret>) -> Self {
        let file = key.as_ref().and_then(Secret::file).cloned();
        let current = ArcSwap::from_pointee(Current::new(path, authority, key, None));
        Self { path: path.into(), authority: authority.into(), file, current }
    }

    /// The file that holds the key, if it is in one.
    #[must_use]
    pub const fn file(&self) -> Option<&SecretFile> {
        self.file.as_ref()
    }

    /// Shows `key` from now on; false: it is the one that was shown before.
    pub fn replace(&self, key: Secret) -> bool {
        let before = self.current.load().key.clone();
        if before.as_ref().is_some_and(|before| before.reveal() == key.reveal()) {
            return false;
        }
        self.current.store(Arc::new(Current::new(&self.path, &self.authority, Some(key), before)));
        true
    }

    /// The key.
    pub(super) fn key(&self) -> Option<Secret> {
        self.current.load().key.clone()
    }

    /// `text` without the key in it, and without the one before it.
    pub(super) fn mask(&self, text: &str) -> String {
        let current = self.current.load();
        let keys = current.key.iter().chain(&current.before);
        keys.fold(
            text.to_owned(),
            |text, key| {
                if text.contains(key.reveal()) { text.replace(key.reveal(), "***") } else { text }
            },
        )
    }

    /// Writes what the head of every request says.
    pub(super) fn write_head(&self, stream: bool, out: &mut BytesMut) {
        let current = self.current.load();
        out.extend_from_slice(if stream { &current.stream_head } else { &current.plain_head });
    }
}

impl Current {
    fn new(path: &str, authority: &str, key: Option<Secret>, before: Option<Secret>) -> Self {
        let head = |accept| fixed_head(path, authority, key.as_ref(), accept);
        Self { stream_head: head("text/event-stream"), plain_head: head("application/json"), key, before }
    }
}

/// What the head of every request says; `accept` depends on what is wanted.
fn fixed_head(path: &str, authority: &str, api_key: Option<&Secret>, accept: &'static str) -> Bytes {
    // A URL's path is already encoded, so it is a valid request target.
    let mut head = BytesMut::from(&*format!("POST {path}/chat/completions HTTP/1.1\r\n"));
    let agent = concat!("petstream/", env!("CARGO_PKG_VERSION"));
    let bearer = api_key.map(|key| format!("Bearer {}", key.reveal()));
    let fields = [
        (HOST, Some(authority)),
        (CONTENT_TYPE, Some("application/json")),
        (USER_AGENT, Some(agent)),
        // Frames are looked at, so they must come as they are.
        (ACCEPT_ENCODING, Some("identity")),
        (ACCEPT, Some(accept)),
        (AUTHORIZATION, bearer.as_deref()),
    ];
    for (name, value) in &fields {
        // What can't stand in a field would break out of it.
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
    fn a_key_that_was_replaced_is_shown_and_neither_is_quoted() {
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
