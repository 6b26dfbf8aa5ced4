//! Pagination of lists, with the event cursor that all pages are consistent with.

use axum::Json;
use axum::response::{IntoResponse, Response};
use http::{HeaderName, HeaderValue};
use serde::Serialize;

use super::parameters::{path_with, read_number};
use crate::wire::event::Cursor;

/// The header that repeats the cursor of a list.
const PETSTREAM_CURSOR: HeaderName = HeaderName::from_static("petstream-cursor");
/// The parameter with the token of a page.
pub(super) const AFTER: &str = "after";
/// Default of the parameter `limit`: elements of a page.
pub(super) const DEFAULT_LIMIT: u32 = 20;
/// Most elements of a page.
pub(super) const MAX_LIMIT: u32 = 100;

/// The token of a page: where it begins, and the cursor of the first page. Later pages repeat that cursor, so that a
/// stream from there has every change that was made while a client was paging.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct PageToken<K> {
    /// The key of the last element before the page.
    pub(super) last_key: K,
    /// The cursor of the first page.
    pub(super) since: Cursor,
}

impl<K> PageToken<K> {
    /// Reads `KEY.CURSOR`; a key has no dot.
    pub(super) fn read(token: &str, key: impl Fn(&str) -> Option<K>) -> Option<Self> {
        let (last_key, since) = token.split_once('.')?;
        Some(Self { last_key: key(last_key)?, since: since.parse().ok()? })
    }
}

/// The body of a page.
#[derive(Debug, Serialize)]
struct List<T> {
    data: Vec<T>,
    next: Option<String>,
    cursor: String,
}

/// The response with a page of the list at `path`, as clients see it, for the query string `query`. `next` is the key
/// from which the next page continues.
pub(super) fn page<T: Serialize>(
    path: &str,
    query: &str,
    data: Vec<T>,
    next: Option<String>,
    cursor: &Cursor,
) -> Response {
    let cursor = cursor.to_string();
    let next = next.map(|key| path_with(path, query, AFTER, &format!("{key}.{cursor}")));
    with_cursor(Json(List { data, next, cursor: cursor.clone() }).into_response(), &cursor)
}

/// Adds the header that repeats the cursor.
pub(super) fn with_cursor(mut response: Response, cursor: &str) -> Response {
    if let Ok(cursor) = HeaderValue::from_str(cursor) {
        response.headers_mut().insert(PETSTREAM_CURSOR, cursor);
    }
    response
}

/// A value of `limit`.
pub(super) fn read_limit(text: &str) -> Option<u32> {
    read_number(text).filter(|limit| (1..=MAX_LIMIT).contains(limit))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_token_is_a_key_and_a_cursor() {
        let read = |token: &str| PageToken::read(token, read_number);
        let since = "k3f9a2.42".parse().unwrap();
        assert_eq!(read("7.k3f9a2.42"), Some(PageToken { last_key: 7, since }));
        for token in ["", "7", "7.", "7.k3f9a2", "x.k3f9a2.42", "7.k3f9a2.x", "7.k3f9a2.42.1", "7.K.1"] {
            assert_eq!(read(token), None, "{token}");
        }
    }
}
