//! Entity tags in request headers: RFC 9110, sections 8.8.3 (`ETag`), 13.1.1 (`If-Match`) and 13.1.2 (`If-None-Match`).

use http::HeaderMap;
use http::header::HeaderName;

/// Whether the header is `*`, which matches every current representation.
#[must_use]
pub fn matches_any(headers: &HeaderMap, name: HeaderName) -> bool {
    headers.get(name).is_some_and(|value| value == "*")
}

/// The opaque tags that a header lists, of weak ones only if `weak`. What is no tag is skipped. Tags with a comma in
/// them are not supported: petstream never sends one.
///
/// ```
/// use http::HeaderMap;
/// use http::header::IF_NONE_MATCH;
/// use petstream::wire::etag::list_tags;
///
/// let mut headers = HeaderMap::new();
/// headers.insert(IF_NONE_MATCH, r#""a", W/"b""#.parse().expect("a header value"));
/// assert!(list_tags(&headers, IF_NONE_MATCH, true).eq(["a", "b"]));
/// assert!(list_tags(&headers, IF_NONE_MATCH, false).eq(["a"]));
/// ```
pub fn list_tags(headers: &HeaderMap, name: HeaderName, weak: bool) -> impl Iterator<Item = &str> {
    let lines = headers.get_all(name).into_iter().filter_map(|line| line.to_str().ok());
    lines.flat_map(|line| line.split(',')).filter_map(move |tag| opaque_tag(tag, weak))
}

/// The opaque part of a tag, between the quotes. None for what is no tag, and for a weak tag unless `weak`.
#[must_use]
pub fn opaque_tag(tag: &str, weak: bool) -> Option<&str> {
    let tag = tag.trim();
    let strong = if weak { tag.strip_prefix("W/").unwrap_or(tag) } else { tag };
    strong.strip_prefix('"')?.strip_suffix('"')
}
