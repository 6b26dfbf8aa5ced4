//! Requests a minute, and what is left of them.
//!
//! Answers 429 in the surface's format. The request is charged here; the [`Admission`] that it leaves with the caller's
//! [`AuthContext`] is where a handler that knows the body takes a stream's permit, which it keeps to the last body byte, and
//! reserves tokens. Adds `x-ratelimit-*` to every answer, for the limits that are set.

use std::convert::Infallible;
use std::future::{Future, Ready, ready};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use axum::extract::Request;
use axum::response::Response;
use bytes::BytesMut;
use futures_util::future::Either;
use http::{HeaderMap, HeaderName, HeaderValue};
use pin_project_lite::pin_project;
use tower::{Layer, Service};

use super::authenticate::AuthContext;
use crate::error::{Denied, Surface};
use crate::limiter::{Admission, Limit, Limiter, Quota, RateLimited};
use crate::telemetry::metrics::Metrics;
use crate::wire::go_duration::write_go_duration;

/// Limits in front of one surface.
#[derive(Clone)]
pub struct RateLimitPolicy {
    /// The state of all keys.
    pub limiter: Limiter,
    /// Where refusals are counted.
    pub metrics: Metrics,
    /// The format of a refusal.
    pub surface: Surface,
}

/// The names for one kind of limit.
struct Names {
    limit: HeaderName,
    remaining: HeaderName,
    reset: HeaderName,
}

/// How many headers a limit has.
const PER_LIMIT: usize = 3;
/// Room for the values of one limit's headers, bytes.
const VALUES: usize = 64;

static REQUESTS: Names = Names {
    limit: HeaderName::from_static("x-ratelimit-limit-requests"),
    remaining: HeaderName::from_static("x-ratelimit-remaining-requests"),
    reset: HeaderName::from_static("x-ratelimit-reset-requests"),
};
static TOKENS: Names = Names {
    limit: HeaderName::from_static("x-ratelimit-limit-tokens"),
    remaining: HeaderName::from_static("x-ratelimit-remaining-tokens"),
    reset: HeaderName::from_static("x-ratelimit-reset-tokens"),
};

/// Puts a [`RateLimitPolicy`] in front of a service. Stands behind `authenticate`.
#[derive(Clone)]
pub struct RateLimitLayer {
    meter: Arc<RateLimitPolicy>,
}

impl RateLimitLayer {
    /// Asks `meter`.
    #[must_use]
    pub fn new(meter: RateLimitPolicy) -> Self {
        Self { meter: Arc::new(meter) }
    }
}

impl<S> Layer<S> for RateLimitLayer {
    type Service = RateLimit<S>;

    fn layer(&self, inner: S) -> RateLimit<S> {
        RateLimit { meter: Arc::clone(&self.meter), inner }
    }
}

/// The service; see the module.
#[derive(Clone)]
pub struct RateLimit<S> {
    meter: Arc<RateLimitPolicy>,
    inner: S,
}

impl<S> Service<Request> for RateLimit<S>
where
    S: Service<Request, Response = Response, Error = Infallible>,
{
    type Response = Response;
    type Error = Infallible;
    type Future = Either<RateLimitFuture<S::Future>, Ready<Result<Response, Infallible>>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request) -> Self::Future {
        let Some(standing) = request.extensions_mut().get_mut::<AuthContext>() else {
            return Either::Left(RateLimitFuture { answer: self.inner.call(request), admission: None });
        };
        let principal = standing.principal();
        match self.meter.limiter.request(&principal.id, principal.limits) {
            Ok(admission) => {
                standing.admit(admission.clone());
                Either::Left(RateLimitFuture { answer: self.inner.call(request), admission: Some(admission) })
            }
            Err(limited) => Either::Right(ready(Ok(self.meter.refuse(&limited)))),
        }
    }
}

impl RateLimitPolicy {
    fn refuse(&self, limited: &RateLimited) -> Response {
        self.metrics.refused(limited.reason(), limited.whose.name());
        let mut response = Denied::RateLimited(limited.clone()).answer(self.surface);
        write_quota(response.headers_mut(), &REQUESTS, refused(limited));
        response
    }
}

pin_project! {
    /// An answer on its way, which will tell what is left of the limits.
    pub struct RateLimitFuture<F> {
        #[pin]
        answer: F,
        admission: Option<Admission>,
    }
}

impl<F: Future<Output = Result<Response, Infallible>>> Future for RateLimitFuture<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let Ok(mut response) = ready!(this.answer.poll(cx));
        if let Some(admission) = this.admission {
            write_headers(response.headers_mut(), admission);
        }
        Poll::Ready(Ok(response))
    }
}

/// Adds what is left of the limits that are set.
fn write_headers(headers: &mut HeaderMap, admission: &Admission) {
    let (requests, tokens) = (admission.requests(), admission.tokens());
    headers.reserve(PER_LIMIT * (usize::from(requests.is_some()) + usize::from(tokens.is_some())));
    if let Some(quota) = requests {
        write_quota(headers, &REQUESTS, quota);
    }
    if let Some(quota) = tokens {
        write_quota(headers, &TOKENS, quota);
    }
}

fn refused(limited: &RateLimited) -> Quota {
    debug_assert_eq!(limited.what, Limit::Requests);
    Quota { limit: limited.limit, remaining: 0, reset: std::time::Duration::from_secs(60) }
}

fn write_quota(headers: &mut HeaderMap, names: &Names, quota: Quota) {
    // The three values share one allocation.
    let mut buffer = BytesMut::with_capacity(VALUES);
    let mut digits = itoa::Buffer::new();
    buffer.extend_from_slice(digits.format(quota.limit).as_bytes());
    insert(headers, &names.limit, &mut buffer);
    buffer.extend_from_slice(digits.format(quota.remaining).as_bytes());
    insert(headers, &names.remaining, &mut buffer);
    // Writing to a buffer that grows does not fail.
    let _ = write_go_duration(&mut buffer, quota.reset);
    insert(headers, &names.reset, &mut buffer);
}

/// Inserts what is in `buffer`, which is empty afterwards.
fn insert(headers: &mut HeaderMap, name: &HeaderName, buffer: &mut BytesMut) {
    // Digits and units are always a valid value.
    if let Ok(value) = HeaderValue::from_maybe_shared(buffer.split().freeze()) {
        headers.insert(name, value);
    }
}
