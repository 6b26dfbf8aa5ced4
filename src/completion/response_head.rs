//! Heads of answers.

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use http::StatusCode;
use http_body::Body as HttpBody;

use crate::http::server::Fields;

/// A stream's head, with `body` behind it.
pub(super) fn stream<B>(body: B) -> Response
where
    B: HttpBody<Data = Bytes, Error = std::convert::Infallible> + Send + 'static,
{
    let mut response = Response::new(Body::new(body));
    let fields = Fields::of(&mut response);
    fields.push("content-type", |value| value.push_str("text/event-stream; charset=utf-8"));
    fields.push("cache-control", |value| value.push_str("no-cache"));
    // Tells nginx not to collect the stream before it passes it on.
    fields.push("x-accel-buffering", |value| value.push_str("no"));
    response
}

/// An answer that is whole.
pub(super) fn json(status: StatusCode, body: impl Into<Bytes>) -> Response {
    let mut response = Response::new(Body::from(body.into()));
    *response.status_mut() = status;
    Fields::of(&mut response).push("content-type", |value| value.push_str("application/json"));
    response
}
