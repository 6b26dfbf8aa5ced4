//! An `EventSource` takes every status but 200 for the end, and its page is not told which it was.
//!
//! So a refusal that time would heal (429, 5xx) reaches it as an empty stream that says when to come back. Refusals that
//! it would meet again, such as 401, and everybody else's, stay what they are.

use std::time::Duration;

use axum::body::Body;
use axum::extract::Request;
use axum::middleware::Next;
use axum::response::Response;
use bytes::BytesMut;
use http::header::{ACCEPT, RETRY_AFTER, SET_COOKIE};
use http::{Method, StatusCode};
use url::form_urlencoded;

use super::jitter::jitter;
use super::stream;
use crate::error::Reason;
use crate::wire::event_frame::push_retry;

/// How long to stay away where the refusal does not say.
const AWAY: Duration = Duration::from_secs(15);

/// The middleware. Stands before all others, since each of them may refuse.
pub(super) async fn patience(request: Request, next: Next) -> Response {
    let source = is_event_source(&request);
    let response = next.run(request).await;
    let status = response.status();
    if source && (status == StatusCode::TOO_MANY_REQUESTS || status.is_server_error()) {
        return later(&response);
    }
    response
}

/// Whether the client reads a stream as browsers do. A page of JSON is none, whatever the client says that it accepts.
fn is_event_source(request: &Request) -> bool {
    let accepts = request.headers().get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok());
    let query = request.uri().query().unwrap_or_default();
    let polls = || form_urlencoded::parse(query.as_bytes()).any(|(name, _)| name == "after" || name == "wait");
    *request.method() == Method::GET
        && accepts.into_iter().any(|accept| accept.to_ascii_lowercase().contains("text/event-stream"))
        && !polls()
}

fn later(refusal: &Response) -> Response {
    let told = refusal.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
    let wait = told.map_or(AWAY, Duration::from_secs).max(Duration::from_secs(1));
    let mut body = BytesMut::new();
    // Those who were refused in the same moment come back over as long a time again.
    push_retry(&mut body, wait + jitter(wait));
    let mut response = Response::new(Body::from(body.freeze()));
    stream::head(response.headers_mut());
    // It comes back with this: its ticket is used up.
    if let Some(cookie) = refusal.headers().get(SET_COOKIE) {
        response.headers_mut().insert(SET_COOKIE, cookie.clone());
    }
    if let Some(reason) = refusal.extensions().get::<Reason>() {
        response.extensions_mut().insert(Reason(reason.0.clone()));
    }
    response
}
