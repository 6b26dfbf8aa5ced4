//! The heads of the responses to completions.

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue, StatusCode};

use super::unwind::{CatchPanics, EndableStream};
use crate::wire::sse::{EVENT_STREAM_UTF8, set_stream_headers};

/// Capacity of the header map: enough for the headers that the layers add (request id, limits).
const HEADERS: usize = 12;

/// The response that streams `body` as server-sent events.
pub(super) fn stream(body: impl EndableStream + Send + 'static) -> Response {
    let mut response = with_headers(Body::new(CatchPanics(body)));
    set_stream_headers(response.headers_mut(), EVENT_STREAM_UTF8);
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
