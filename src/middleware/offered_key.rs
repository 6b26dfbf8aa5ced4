//! The API key of a request: `Authorization: Bearer KEY` as OpenAI's clients send it, `x-api-key` as Anthropic's do,
//! `api-key` as Azure's do. Every route accepts each of them.

use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderName};

use crate::error::Denied;

const X_API_KEY: HeaderName = HeaderName::from_static("x-api-key");
const API_KEY: HeaderName = HeaderName::from_static("api-key");

/// Whether a request has a header for a key, whatever is in it.
pub(super) fn has_key(headers: &HeaderMap) -> bool {
    [AUTHORIZATION, X_API_KEY, API_KEY].iter().any(|name| headers.contains_key(name))
}

/// The key of a request. The same key in several headers is one key.
///
/// # Errors
/// [`Denied`] when there is none, when a header for it holds none, and when there are different ones: which of them was
/// meant is not known.
pub(super) fn offered_key(headers: &HeaderMap) -> Result<&str, Denied> {
    let bearer = only(headers, &AUTHORIZATION)?.map(bearer).transpose()?;
    let others = [only(headers, &X_API_KEY)?, only(headers, &API_KEY)?];
    let mut key = bearer;
    for other in others.into_iter().flatten() {
        let other = visible(other)?;
        if key.is_some_and(|key| key != other) {
            return Err(Denied::SeveralKeys);
        }
        key = Some(other);
    }
    key.ok_or(Denied::NoKey)
}

/// The value of a header that a request has at most once.
fn only<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Result<Option<&'a [u8]>, Denied> {
    let mut values = headers.get_all(name).iter();
    let value = values.next().map(|value| value.as_bytes().trim_ascii());
    if values.next().is_some() { Err(Denied::SeveralKeys) } else { Ok(value) }
}

/// The key of `Bearer KEY`; the scheme in any case (RFC 9110, section 11.1).
fn bearer(value: &[u8]) -> Result<&str, Denied> {
    let (scheme, key) = value.split_at_checked(b"bearer ".len()).ok_or(Denied::Malformed)?;
    if !scheme.eq_ignore_ascii_case(b"bearer ") {
        return Err(Denied::Malformed);
    }
    visible(key.trim_ascii_start())
}

fn visible(key: &[u8]) -> Result<&str, Denied> {
    // Without a branch for each byte.
    let is_visible = key.iter().fold(true, |all, byte| all & byte.is_ascii_graphic());
    std::str::from_utf8(key).ok().filter(|key| is_visible && !key.is_empty()).ok_or(Denied::Malformed)
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn headers(lines: &[(&'static str, &'static str)]) -> HeaderMap {
        let line = |(name, value): &(&'static str, &'static str)| {
            (HeaderName::from_static(name), HeaderValue::from_static(value))
        };
        let mut headers = HeaderMap::new();
        for (name, value) in lines.iter().map(line) {
            headers.append(name, value);
        }
        headers
    }

    #[test]
    fn each_header_offers_a_key() {
        for line in [("authorization", "bearer  a"), ("x-api-key", "a"), ("api-key", " a ")] {
            assert_eq!(offered_key(&headers(&[line])).ok(), Some("a"), "{line:?}");
            assert!(has_key(&headers(&[line])));
        }
        let same = headers(&[("authorization", "Bearer a"), ("x-api-key", "a"), ("api-key", "a")]);
        assert_eq!(offered_key(&same).ok(), Some("a"));
        assert!(matches!(offered_key(&headers(&[("cookie", "a")])), Err(Denied::NoKey)));
    }

    #[test]
    fn different_keys_and_a_header_that_is_repeated_are_refused() {
        for lines in [
            [("authorization", "Bearer a"), ("authorization", "Bearer a")],
            [("x-api-key", "a"), ("x-api-key", "a")],
            [("authorization", "Bearer a"), ("x-api-key", "b")],
            [("x-api-key", "a"), ("api-key", "b")],
        ] {
            assert!(matches!(offered_key(&headers(&lines)), Err(Denied::SeveralKeys)), "{lines:?}");
        }
    }

    #[test]
    fn a_header_without_a_key_is_malformed() {
        for line in [("authorization", "Basic a"), ("authorization", "Bearer "), ("x-api-key", ""), ("api-key", "a b")]
        {
            assert!(matches!(offered_key(&headers(&[line])), Err(Denied::Malformed)), "{line:?}");
        }
    }
}
