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
use futures_util::future::Either;
use pin_project_lite::pin_project;
use tower::{Layer, Service};

use super::authenticate::AuthContext;
use crate::error::{Denied, Surface};
use crate::http::server::Fields;
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
    limit: &'static str,
    remaining: &'static str,
    reset: &'static str,
}

static REQUESTS: Names = Names {
    limit: "x-ratelimit-limit-requests",
    remaining: "x-ratelimit-remaining-requests",
    reset: "x-ratelimit-reset-requests",
};
static TOKENS: Names = Names {
    limit: "x-ratelimit-limit-tokens",
    remaining: "x-ratelimit-remaining-tokens",
    reset: "x-ratelimit-reset-tokens",
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
        say(Fields::of(&mut response), &REQUESTS, refused(limited));
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
            tell(Fields::of(&mut response), admission);
        }
        Poll::Ready(Ok(response))
    }
}

fn tell(fields: &mut Fields, admission: &Admission) {
    if let Some(quota) = admission.requests() {
        say(fields, &REQUESTS, quota);
    }
    if let Some(quota) = admission.tokens() {
        say(fields, &TOKENS, quota);
    }
}

fn refused(limited: &RateLimited) -> Quota {
    debug_assert_eq!(limited.what, Limit::Requests);
    Quota { limit: limited.limit, remaining: 0, reset: std::time::Duration::from_secs(60) }
}

fn say(fields: &mut Fields, names: &Names, quota: Quota) {
    let mut digits = itoa::Buffer::new();
    fields.push(names.limit, |value| value.push_str(digits.format(quota.limit)));
    fields.push(names.remaining, |value| value.push_str(digits.format(quota.remaining)));
    fields.push(names.reset, |value| {
        // Writing to a String does not fail.
        let _ = write_go_duration(value, quota.reset);
    });
}
