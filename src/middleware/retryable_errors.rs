//! Turns temporary errors (429 and 5xx) into a stream that makes an `EventSource` reconnect later.
//!
//! An `EventSource` never reconnects after a status other than 200, and does not expose the status to the page. So it
//! gets an empty stream with `retry:` instead. Permanent errors, such as 401, are not changed, nor are answers to
//! other clients. This layer is in front of the layers that may refuse.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use bytes::BytesMut;
use http::header::{ACCEPT, RETRY_AFTER, SET_COOKIE};
use http::{Method, StatusCode};
use pin_project_lite::pin_project;
use tower::{Layer, Service};
use url::form_urlencoded;

use super::context::ContextRequest;
use crate::error::FailureLabel;
use crate::time::jitter;
use crate::wire::event_frame::push_retry;
use crate::wire::sse::{EVENT_STREAM, set_stream_headers};

/// When to reconnect if the error has no `retry-after`.
const DEFAULT_RETRY: Duration = Duration::from_secs(15);

/// The layer.
#[derive(Clone, Copy)]
pub struct RetryableErrorsLayer {
    enabled: bool,
}

impl RetryableErrorsLayer {
    /// Changes nothing unless it is `enabled`, which it is for routes that browsers read with an `EventSource`.
    #[must_use]
    pub const fn new(enabled: bool) -> Self {
        Self { enabled }
    }
}

impl<S> Layer<S> for RetryableErrorsLayer {
    type Service = RetryableErrors<S>;

    fn layer(&self, inner: S) -> RetryableErrors<S> {
        RetryableErrors { enabled: self.enabled, inner }
    }
}

/// The service; see the module.
#[derive(Clone)]
pub struct RetryableErrors<S> {
    enabled: bool,
    inner: S,
}

impl<S> Service<ContextRequest> for RetryableErrors<S>
where
    S: Service<ContextRequest, Response = Response, Error = Infallible>,
{
    type Response = Response;
    type Error = Infallible;
    type Future = RetryableErrorsFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: ContextRequest) -> Self::Future {
        let event_source = self.enabled && is_event_source(&request.http);
        RetryableErrorsFuture { response: self.inner.call(request), event_source }
    }
}

pin_project! {
    /// Replaces the response if it is an error that passes.
    pub struct RetryableErrorsFuture<F> {
        #[pin]
        response: F,
        event_source: bool,
    }
}

impl<F: Future<Output = Result<Response, Infallible>>> Future for RetryableErrorsFuture<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let Ok(response) = ready!(this.response.poll(cx));
        let status = response.status();
        let passes = status == StatusCode::TOO_MANY_REQUESTS || status.is_server_error();
        Poll::Ready(Ok(if *this.event_source && passes { retry_stream(&response) } else { response }))
    }
}

/// Whether the client reads a stream as browsers do. A page of JSON is no stream, whatever the client accepts.
fn is_event_source(request: &Request) -> bool {
    let accepts = request.headers().get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok());
    let query = request.uri().query().unwrap_or_default();
    let polls = || form_urlencoded::parse(query.as_bytes()).any(|(name, _)| name == "after" || name == "wait");
    *request.method() == Method::GET
        && accepts.into_iter().any(|accept| accept.to_ascii_lowercase().contains("text/event-stream"))
        && !polls()
}

/// An empty stream with a `retry:`.
fn retry_stream(error: &Response) -> Response {
    let retry_after = error.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
    let wait = retry_after.map_or(DEFAULT_RETRY, Duration::from_secs).max(Duration::from_secs(1));
    let mut body = BytesMut::new();
    // Clients that were refused at the same moment come back spread over as long a time again.
    push_retry(&mut body, wait + jitter(wait));
    let mut response = Response::new(Body::from(body.freeze()));
    set_stream_headers(response.headers_mut(), EVENT_STREAM);
    // The browser reconnects with this cookie: its ticket is used up.
    if let Some(cookie) = error.headers().get(SET_COOKIE) {
        response.headers_mut().insert(SET_COOKIE, cookie.clone());
    }
    if let Some(label) = error.extensions().get::<FailureLabel>() {
        response.extensions_mut().insert(label.clone());
    }
    response
}
