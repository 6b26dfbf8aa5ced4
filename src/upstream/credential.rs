//! The API key of a target, and the constant part of the request heads, which contains the key.
//!
//! The heads are encoded once for each key. The key may be replaced while requests are sent: each request has the old
//! key or the new one.

use std::sync::Arc;

use arc_swap::ArcSwap;
use bytes::{Bytes, BytesMut};
use http::HeaderValue;
use http::header::{ACCEPT, ACCEPT_ENCODING, AUTHORIZATION, CONTENT_TYPE, HOST, HeaderName, USER_AGENT};

use crate::config::{BaseUrl, KeyHeader, Secret, SecretFile};
use crate::http::codec::write_header;
use crate::wire::operation::Resource;

/// The API key of a target; it can be replaced at run time.
pub struct UpstreamCredential {
    request: ConstantRequest,
    /// Parts of the URL that are masked like the key.
    url_secrets: Vec<String>,
    file: Option<SecretFile>,
    current: ArcSwap<Current>,
}

/// What is the same in all requests, whatever the key.
struct ConstantRequest {
    /// Path and query, by [`Resource::index`].
    targets: [Box<str>; Resource::COUNT],
    authority: Box<str>,
    key_header: KeyHeader,
}

struct Current {
    key: Option<Secret>,
    /// The previous key, which late responses may still quote.
    previous: Option<Secret>,
    /// The constant part of the head of requests for a stream, by [`Resource::index`].
    stream_heads: Heads,
    /// The constant part of the head of requests for a JSON response, by [`Resource::index`].
    json_heads: Heads,
}

type Heads = [Bytes; Resource::COUNT];

impl UpstreamCredential {
    /// A credential for requests to `base_url`.
    pub(super) fn new(base_url: &BaseUrl, key: Option<Secret>, key_header: KeyHeader) -> Self {
        let file = key.as_ref().and_then(Secret::file).cloned();
        let request = ConstantRequest {
            targets: Resource::all().map(|resource| base_url.request_target(resource.path()).into()),
            authority: base_url.authority().into(),
            key_header,
        };
        let current = ArcSwap::from_pointee(Current::new(&request, key, None));
        Self { request, url_secrets: base_url.secrets(), file, current }
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
        self.current.store(Arc::new(Current::new(&self.request, Some(key), previous)));
        true
    }

    /// Whether requests have this key in this header.
    pub(super) fn is(&self, key: Option<&Secret>, key_header: KeyHeader) -> bool {
        let current = self.current.load();
        self.request.key_header == key_header && current.key.as_ref().map(Secret::reveal) == key.map(Secret::reveal)
    }

    /// The header with the current key.
    pub(super) fn header(&self) -> Option<(HeaderName, HeaderValue)> {
        self.request.key_header(self.current.load().key.as_ref())
    }

    /// `text` with the current and the previous key and the secrets of the URL replaced by `***`.
    pub(super) fn mask(&self, text: &str) -> String {
        let current = self.current.load();
        let keys = current.key.iter().chain(&current.previous).map(Secret::reveal);
        let secrets = keys.chain(self.url_secrets.iter().map(String::as_str));
        secrets.fold(
            text.to_owned(),
            |text, secret| {
                if text.contains(secret) { text.replace(secret, "***") } else { text }
            },
        )
    }

    /// Writes the constant part of the head.
    pub(super) fn write_head(&self, resource: Resource, stream: bool, out: &mut BytesMut) {
        let current = self.current.load();
        let heads = if stream { &current.stream_heads } else { &current.json_heads };
        out.extend_from_slice(&heads[resource.index()]);
    }
}

impl Current {
    fn new(request: &ConstantRequest, key: Option<Secret>, previous: Option<Secret>) -> Self {
        let heads = |accept| request.targets.each_ref().map(|target| request.head(target, key.as_ref(), accept));
        Self { stream_heads: heads("text/event-stream"), json_heads: heads("application/json"), key, previous }
    }
}

impl ConstantRequest {
    /// Encodes the part of the head that is the same for all requests to `target` with this `accept`.
    fn head(&self, target: &str, key: Option<&Secret>, accept: &'static str) -> Bytes {
        let mut head = BytesMut::from(&*format!("POST {target} HTTP/1.1\r\n"));
        let agent = concat!("petstream/", env!("CARGO_PKG_VERSION"));
        let headers = [
            (HOST, &*self.authority),
            (CONTENT_TYPE, "application/json"),
            (USER_AGENT, agent),
            // Frames are parsed, so the body must not be compressed.
            (ACCEPT_ENCODING, "identity"),
            (ACCEPT, accept),
        ];
        // Values that are invalid in a header are left out: they could inject other headers.
        let valid = headers.into_iter().filter_map(|(name, value)| Some((name, HeaderValue::from_str(value).ok()?)));
        for (name, value) in valid.chain(self.key_header(key)) {
            write_header(&mut head, name.as_str(), value.as_bytes());
        }
        head.freeze()
    }

    fn key_header(&self, key: Option<&Secret>) -> Option<(HeaderName, HeaderValue)> {
        let key = key?.reveal();
        let (name, value) = match self.key_header {
            KeyHeader::Authorization => (AUTHORIZATION, HeaderValue::try_from(format!("Bearer {key}"))),
            KeyHeader::ApiKey => (HeaderName::from_static("api-key"), HeaderValue::from_str(key)),
            KeyHeader::XApiKey => (HeaderName::from_static("x-api-key"), HeaderValue::from_str(key)),
        };
        let mut value = value.ok()?;
        value.set_sensitive(true);
        Some((name, value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::operation::Operation;

    fn secret(text: &str) -> Secret {
        Secret::new(text.to_owned())
    }

    fn heads(credential: &UpstreamCredential) -> [String; 2] {
        [true, false].map(|stream| {
            let mut head = BytesMut::new();
            credential.write_head(Resource::Answer(Operation::Chat), stream, &mut head);
            String::from_utf8(head.to_vec()).unwrap()
        })
    }

    #[test]
    fn a_new_key_is_sent_and_both_keys_are_masked() {
        let url = "http://h:1/v1".parse().unwrap();
        let credential = UpstreamCredential::new(&url, Some(secret("sk-old")), KeyHeader::default());
        let heads = || self::heads(&credential);
        assert!(heads().iter().all(|head| head.contains("authorization: Bearer sk-old\r\n")));
        assert!(!credential.replace(secret("sk-old")) && credential.replace(secret("sk-new")));
        assert!(heads().iter().all(|head| head.contains("authorization: Bearer sk-new\r\n") && !head.contains("old")));
        assert_eq!(credential.header().unwrap().1, "Bearer sk-new");
        assert_eq!(credential.mask("sk-old or sk-new"), "*** or ***");
    }

    #[test]
    fn a_query_is_sent_and_masked() {
        let url = "https://h/openai/?api-version=2024-10-21&code=a&sig=b%2Bcd".parse().unwrap();
        let credential = UpstreamCredential::new(&url, Some(secret("sk-key")), KeyHeader::ApiKey);
        for head in heads(&credential) {
            let line = "POST /openai/chat/completions?api-version=2024-10-21&code=a&sig=b%2Bcd HTTP/1.1\r\nhost: h\r\n";
            assert!(head.starts_with(line) && head.ends_with("api-key: sk-key\r\n"), "{head}");
            assert!(!head.contains("authorization"), "{head}");
        }
        let quoted = "no /openai/chat/completions?api-version=2024-10-21&code=a&sig=b%2Bcd; b+cd of sk-key is wrong";
        assert_eq!(credential.mask(quoted), "no /openai/chat/completions?***; *** of *** is wrong");
    }
}
