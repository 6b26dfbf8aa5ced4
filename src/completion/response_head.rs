//! The heads of the responses to completions.

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use http_body::Body as HttpBody;

/// Tells nginx not to buffer the stream.
const X_ACCEL_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");
/// How many headers a response has in the end: with those of the layers (request id, limits), the map need not grow.
const HEADERS: usize = 12;

/// The response that streams `body` as server-sent events.
pub(super) fn stream<B>(body: B) -> Response
where
    B: HttpBody<Data = Bytes, Error = std::convert::Infallible> + Send + 'static,
{
    let mut response = with_headers(Body::new(body));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream; charset=utf-8"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    headers.insert(X_ACCEL_BUFFERING, HeaderValue::from_static("no"));
    response
}

/// A response with a whole JSON body.
pub(super) fn json(status: StatusCode, body: impl Into<Bytes>) -> Response {
    let mut response = with_headers(Body::from(body.into()));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

fn with_headers(body: Body) -> Response {
    let mut response = Response::new(body);
    *response.headers_mut() = HeaderMap::with_capacity(HEADERS);
    response
}
