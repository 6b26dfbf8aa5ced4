//! Lists: pages that follow one another, and the cursor that all of them are consistent with.

use axum::Json;
use axum::response::{IntoResponse, Response};
use http::{HeaderName, HeaderValue};
use serde::Serialize;

use super::parameters::{path_with, read_number};
use crate::wire::event::Cursor;

/// The header that repeats the cursor of a list.
const PETSTREAM_CURSOR: HeaderName = HeaderName::from_static("petstream-cursor");
/// The parameter that holds the token of a page.
pub(super) const AFTER: &str = "after";
/// Elements of a page unless `limit` says otherwise.
pub(super) const LIMIT: u32 = 20;
/// Most elements of a page.
pub(super) const MAX_LIMIT: u32 = 100;

/// Where a page begins, and the cursor of the first page. Later pages repeat it: whoever streams from there learns of
/// every change that was made while paging.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place<K> {
    /// The key behind which it begins.
    pub(super) behind: K,
    /// The cursor of the first page.
    pub(super) since: Cursor,
}

impl<K> Place<K> {
    /// Reads `KEY.CURSOR`; a key has no dot.
    pub(super) fn read(token: &str, key: impl Fn(&str) -> Option<K>) -> Option<Self> {
        let (behind, since) = token.split_once('.')?;
        Some(Self { behind: key(behind)?, since: since.parse().ok()? })
    }
}

/// A page in the shape of its JSON.
#[derive(Debug, Serialize)]
struct List<T> {
    data: Vec<T>,
    next: Option<String>,
    cursor: String,
}

/// Answers with a page of the list at `path`, as clients see it, that was asked for with `query`. `next` is the key of
/// the following one.
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
    fn a_token_is_a_key_and_a_cursor() {
        let read = |token: &str| Place::read(token, read_number);
        let since = "k3f9a2.42".parse().unwrap();
        assert_eq!(read("7.k3f9a2.42"), Some(Place { behind: 7, since }));
        for token in ["", "7", "7.", "7.k3f9a2", "x.k3f9a2.42", "7.k3f9a2.x", "7.k3f9a2.42.1", "7.K.1"] {
            assert_eq!(read(token), None, "{token}");
        }
    }
}
