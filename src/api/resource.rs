//! Responses with one resource, and conditional requests (RFC 9110, section 13).
//!
//! The entity tag of a resource is its version in quotes, `"7"`. `If-Match` is optional on every change.

use axum::Json;
use axum::extract::Path;
use axum::extract::rejection::PathRejection;
use axum::response::{IntoResponse, Response};
use http::header::{ETAG, HeaderName, IF_MATCH, IF_NONE_MATCH, LOCATION};
use http::{HeaderMap, HeaderValue, StatusCode};
use serde::Serialize;
use uuid::Uuid;

use super::public_path::PublicPath;
use crate::error::problem::Problem;
use crate::petstore::Created;
use crate::petstore::ExpectedVersion;
use crate::wire::etag;
use crate::wire::resource::order::Order;
use crate::wire::resource::pet::Pet;

/// Set on an answer that repeats the one to an earlier request with the same `Idempotency-Key`.
const IDEMPOTENCY_REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

/// A resource with a URL and versions.
pub(super) trait Resource: Serialize {
    /// The path of its collection.
    const LIST: &'static str;

    /// Its id.
    fn id(&self) -> Uuid;

    /// Its version.
    fn version(&self) -> u64;
}

impl Resource for Pet {
    const LIST: &'static str = "/api/pets";

    fn id(&self) -> Uuid {
        self.id
    }

    fn version(&self) -> u64 {
        self.version
    }
}

impl Resource for Order {
    const LIST: &'static str = "/api/orders";

    fn id(&self) -> Uuid {
        self.id
    }

    fn version(&self) -> u64 {
        self.version
    }
}

/// 200 with the resource and its tag.
pub(super) fn whole<R: Resource>(resource: &R) -> Response {
    ([(ETAG, tag(resource.version()))], Json(resource)).into_response()
}

/// 200, or 304 when `If-None-Match` names the version that there is.
pub(super) fn if_changed<R: Resource>(resource: &R, headers: &HeaderMap) -> Response {
    if etag::matches_any(headers, IF_NONE_MATCH)
        || tags(headers, IF_NONE_MATCH, true).any(|tag| tag == resource.version())
    {
        return (StatusCode::NOT_MODIFIED, [(ETAG, tag(resource.version()))]).into_response();
    }
    whole(resource)
}

/// 201 with the resource, its tag and its address as clients see it.
pub(super) fn created<R: Resource>(done: &Created<R>, public: &PublicPath) -> Response {
    let mut response = (StatusCode::CREATED, whole(&done.value)).into_response();
    if let Ok(location) = HeaderValue::try_from(public.of(&format!("{}/{}", R::LIST, done.value.id()))) {
        response.headers_mut().insert(LOCATION, location);
    }
    if done.replayed {
        response.headers_mut().insert(IDEMPOTENCY_REPLAYED, HeaderValue::from_static("true"));
    }
    response
}

/// The id in a path; 404 for anything that is not an id.
pub(super) fn id(path: Result<Path<Uuid>, PathRejection>, what: &str) -> Result<Uuid, Problem> {
    path.map(|Path(id)| id).map_err(|_| absent(what))
}

/// 404 for a resource of the kind `what`.
pub(super) fn absent(what: &str) -> Problem {
    Problem::not_found(format!("There is no {what} with this id."))
}

/// The condition of `If-Match`. Weak tags and tags of another form match nothing.
pub(super) fn expected(headers: &HeaderMap) -> ExpectedVersion {
    if !headers.contains_key(IF_MATCH) || etag::matches_any(headers, IF_MATCH) {
        return ExpectedVersion::Any;
    }
    ExpectedVersion::OneOf(tags(headers, IF_MATCH, false).collect())
}

fn tag(version: u64) -> String {
    format!("\"{version}\"")
}

/// The versions that a header's tags stand for; weak tags count if `weak`.
fn tags(headers: &HeaderMap, name: HeaderName, weak: bool) -> impl Iterator<Item = u64> {
    // Only in the form that `tag` writes: "07" and "+7" are not versions.
    let version = |version: &str| version.parse().ok().filter(|number: &u64| number.to_string() == version);
    etag::list_tags(headers, name, weak).filter_map(version)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: &HeaderName, values: &[&'static str]) -> HeaderMap {
        values.iter().map(|value| (name.clone(), HeaderValue::from_static(value))).collect()
    }

    #[test]
    fn if_match_names_versions_by_strong_tags() {
        let expected = |values: &[&'static str]| expected(&headers(&IF_MATCH, values));
        assert_eq!(expected(&[]), ExpectedVersion::Any);
        assert_eq!(expected(&["*"]), ExpectedVersion::Any);
        assert_eq!(expected(&["\"7\""]), ExpectedVersion::OneOf(vec![7]));
        assert_eq!(expected(&["\"7\", \"8\"", "\"9\""]), ExpectedVersion::OneOf(vec![7, 8, 9]));
        for foreign in ["7", "W/\"7\"", "\"07\"", "\"+7\"", "\"x\"", "\"", "", ",", "\"99999999999999999999\""] {
            assert_eq!(expected(&[foreign]), ExpectedVersion::OneOf(Vec::new()), "{foreign}");
        }
    }

    #[test]
    fn if_none_match_compares_weakly() {
        let version =
            |values: &[&'static str]| tags(&headers(&IF_NONE_MATCH, values), IF_NONE_MATCH, true).collect::<Vec<_>>();
        assert_eq!(version(&["W/\"7\", \"8\""]), [7, 8]);
    }
}
