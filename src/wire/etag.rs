//! Entity tags as requests list them: RFC 9110, sections 8.8.3, 13.1.1 and 13.1.2.

use http::HeaderMap;
use http::header::HeaderName;

/// Whether the header stands for whatever there is.
pub(crate) fn matches_any(headers: &HeaderMap, name: HeaderName) -> bool {
    headers.get(name).is_some_and(|value| value == "*")
}

/// What stands between the quotes of a header's tags; of weak ones only if `weak`.
pub(crate) fn list_tags(headers: &HeaderMap, name: HeaderName, weak: bool) -> impl Iterator<Item = &str> {
    let lines = headers.get_all(name).into_iter().filter_map(|line| line.to_str().ok());
    lines.flat_map(|line| line.split(',')).filter_map(move |tag| opaque_tag(tag, weak))
}

/// What stands between the quotes of one tag; of a weak one only if `weak`.
pub(crate) fn opaque_tag(tag: &str, weak: bool) -> Option<&str> {
    let tag = tag.trim();
    let strong = if weak { tag.strip_prefix("W/").unwrap_or(tag) } else { tag };
    strong.strip_prefix('"')?.strip_suffix('"')
}
