//! Requests a minute: 429 in the format of the route's surface, and headers on every answer for the limits that are set:
//! `x-ratelimit-*`, or `anthropic-ratelimit-*` on that surface.
//!
//! Charges the request, and passes the [`Admission`] on. From it the handler, which reads the body, takes the permit
//! of a stream, kept to the last byte of the answer, and reserves tokens.

use std::convert::Infallible;
use std::fmt::Write as _;
use std::future::{Future, Ready, ready};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use axum::response::Response;
use bytes::Bytes;
use futures_util::future::Either;
use http::{HeaderMap, HeaderName, HeaderValue};
use jiff::Timestamp;
use pin_project_lite::pin_project;
use tower::{Layer, Service, ServiceExt};

use super::context::{Admitted, ContextRequest};
use crate::auth::context::AuthContext;
use crate::error::{Denied, Surface};
use crate::limiter::{Admission, Blocked, Cause, Limit, Limiter, Quota, RateLimited};
use crate::telemetry::metrics::Metrics;
use crate::wire::go_duration::write_go_duration;

/// How the requests of a route are limited.
#[derive(Clone)]
pub struct RateLimitPolicy {
    /// The limits of all keys.
    pub limiter: Limiter,
    /// Counts refusals.
    pub metrics: Metrics,
    /// The format of a refusal.
    pub surface: Surface,
    /// Whether requests are charged. Others pass without `x-ratelimit-*`.
    pub metered: bool,
}

/// The headers that report one kind of limit.
struct HeaderNames {
    limit: HeaderName,
    remaining: HeaderName,
    reset: HeaderName,
}

/// Number of headers of a limit.
const PER_LIMIT: usize = 3;
/// Most bytes of the values of one limit's headers: two numbers and a duration.
const MAX_VALUES_LEN: usize = 64;

/// The headers of one surface.
struct SurfaceHeaders {
    requests: HeaderNames,
    tokens: HeaderNames,
    /// Whether the time of the reset is a moment and not a duration.
    resets_at_moment: bool,
}

static OPENAI: SurfaceHeaders = SurfaceHeaders { requests: REQUESTS, tokens: TOKENS, resets_at_moment: false };

/// Anthropic's API reference, "Rate limits", response headers.
static ANTHROPIC: SurfaceHeaders = SurfaceHeaders {
    requests: HeaderNames {
        limit: HeaderName::from_static("anthropic-ratelimit-requests-limit"),
        remaining: HeaderName::from_static("anthropic-ratelimit-requests-remaining"),
        reset: HeaderName::from_static("anthropic-ratelimit-requests-reset"),
    },
    tokens: HeaderNames {
        limit: HeaderName::from_static("anthropic-ratelimit-tokens-limit"),
        remaining: HeaderName::from_static("anthropic-ratelimit-tokens-remaining"),
        reset: HeaderName::from_static("anthropic-ratelimit-tokens-reset"),
    },
    resets_at_moment: true,
};

const fn headers_of(surface: Surface) -> &'static SurfaceHeaders {
    match surface {
        Surface::Anthropic => &ANTHROPIC,
        Surface::OpenAi | Surface::Problem => &OPENAI,
    }
}

const REQUESTS: HeaderNames = HeaderNames {
    limit: HeaderName::from_static("x-ratelimit-limit-requests"),
    remaining: HeaderName::from_static("x-ratelimit-remaining-requests"),
    reset: HeaderName::from_static("x-ratelimit-reset-requests"),
};
const TOKENS: HeaderNames = HeaderNames {
    limit: HeaderName::from_static("x-ratelimit-limit-tokens"),
    remaining: HeaderName::from_static("x-ratelimit-remaining-tokens"),
    reset: HeaderName::from_static("x-ratelimit-reset-tokens"),
};

/// Puts a [`RateLimitPolicy`] in front of a service, behind `authenticate`.
#[derive(Clone)]
pub struct RateLimitLayer {
    policy: Arc<RateLimitPolicy>,
}

impl RateLimitLayer {
    /// Applies `policy`.
    #[must_use]
    pub fn new(policy: RateLimitPolicy) -> Self {
        Self { policy: Arc::new(policy) }
    }
}

impl<S> Layer<S> for RateLimitLayer {
    type Service = RateLimit<S>;

    fn layer(&self, inner: S) -> RateLimit<S> {
        RateLimit { policy: Arc::clone(&self.policy), inner }
    }
}

/// The service; see the module.
#[derive(Clone)]
pub struct RateLimit<S> {
    policy: Arc<RateLimitPolicy>,
    inner: S,
}

impl<S> Service<ContextRequest<AuthContext>> for RateLimit<S>
where
    S: Service<ContextRequest<Admitted>, Response = Response, Error = Infallible, Future: Send + 'static>,
    S: Clone + Send + 'static,
{
    type Response = Response;
    type Error = Infallible;
    type Future = Either<RateLimitFuture<S::Future>, Either<Ready<Result<Response, Infallible>>, PendingResponse>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: ContextRequest<AuthContext>) -> Self::Future {
        let limiter = &self.policy.limiter;
        let (admission, reported) = if self.policy.metered {
            let principal = request.context.caller.principal();
            match limiter.request(&principal.id, principal.limits) {
                Ok(admission) => (admission.clone(), Some(admission)),
                Err(Blocked::Limited(limited)) => {
                    return Either::Right(Either::Left(ready(Ok(self.policy.refuse(&limited)))));
                }
                Err(Blocked::Pending(admission)) => {
                    // The service that was polled ready stays behind: only a clone can be called later.
                    let (policy, inner) = (Arc::clone(&self.policy), self.inner.clone());
                    return Either::Right(Either::Right(Box::pin(policy.admit(admission, request, inner))));
                }
            }
        } else {
            (limiter.unmetered(), None)
        };
        let request = request.with_caller(|auth| Admitted { auth, admission });
        let surface = self.policy.surface;
        Either::Left(RateLimitFuture { response: self.inner.call(request), reported, surface })
    }
}

/// A response that waits for Redis first. On the heap: it is rare, and would make the future of every request larger.
type PendingResponse = Pin<Box<dyn Future<Output = Result<Response, Infallible>> + Send>>;
/// An admission that Redis has to tell of.
type PendingAdmission = Pin<Box<dyn Future<Output = Result<Admission, RateLimited>> + Send>>;

impl RateLimitPolicy {
    /// Waits for the admission, then for the response.
    async fn admit<S>(
        self: Arc<Self>,
        admission: PendingAdmission,
        request: ContextRequest<AuthContext>,
        inner: S,
    ) -> Result<Response, Infallible>
    where
        S: Service<ContextRequest<Admitted>, Response = Response, Error = Infallible>,
    {
        let admission = match admission.await {
            Ok(admission) => admission,
            Err(limited) => return Ok(self.refuse(&limited)),
        };
        let reported = admission.clone();
        let request = request.with_caller(|auth| Admitted { auth, admission });
        let Ok(mut response) = inner.oneshot(request).await;
        write_headers(response.headers_mut(), self.surface, &reported);
        Ok(response)
    }

    fn refuse(&self, limited: &RateLimited) -> Response {
        self.metrics.refused(limited.reason(), limited.owner.name());
        let mut response = Denied::RateLimited(limited.clone()).to_response(self.surface);
        if limited.cause == Cause::UsedUp {
            let headers = headers_of(self.surface);
            let quotas = [(&headers.requests, Some(refused(limited)))];
            write_quotas(response.headers_mut(), headers.resets_at_moment, quotas);
        }
        response
    }
}

pin_project! {
    /// Adds what is left of the limits to the response.
    pub struct RateLimitFuture<F> {
        #[pin]
        response: F,
        reported: Option<Admission>,
        surface: Surface,
    }
}

impl<F: Future<Output = Result<Response, Infallible>>> Future for RateLimitFuture<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let Ok(mut response) = ready!(this.response.poll(cx));
        if let Some(admission) = this.reported {
            write_headers(response.headers_mut(), *this.surface, admission);
        }
        Poll::Ready(Ok(response))
    }
}

/// Adds what is left of the limits that are set.
fn write_headers(headers: &mut HeaderMap, surface: Surface, admission: &Admission) {
    let SurfaceHeaders { requests, tokens, resets_at_moment } = headers_of(surface);
    write_quotas(headers, *resets_at_moment, [(requests, admission.requests()), (tokens, admission.tokens())]);
}

fn refused(limited: &RateLimited) -> Quota {
    debug_assert_eq!(limited.what, Limit::Requests);
    Quota { limit: limited.limit, remaining: 0, reset: std::time::Duration::from_secs(60) }
}

/// Adds the headers of the limits that have a quota. The values share one allocation.
fn write_quotas<const N: usize>(
    headers: &mut HeaderMap,
    resets_at_moment: bool,
    limits: [(&HeaderNames, Option<Quota>); N],
) {
    let mut text = String::with_capacity(N * MAX_VALUES_LEN);
    let mut digits = itoa::Buffer::new();
    let ends = limits.each_ref().map(|(_, quota)| {
        let quota = quota.as_ref()?;
        text.push_str(digits.format(quota.limit));
        let limit = text.len();
        text.push_str(digits.format(quota.remaining));
        let remaining = text.len();
        // Writing to a buffer that grows does not fail.
        let _ = if resets_at_moment {
            // RFC 3339, whole seconds, rounded up.
            let reset = Timestamp::now().as_second().saturating_add(quota.reset.as_millis().div_ceil(1_000) as i64);
            write!(text, "{}", Timestamp::from_second(reset).unwrap_or(Timestamp::MAX))
        } else {
            write_go_duration(&mut text, quota.reset)
        };
        Some([limit, remaining, text.len()])
    });
    headers.reserve(PER_LIMIT * ends.iter().flatten().count());
    let (text, mut begin) = (Bytes::from(text), 0);
    for ((names, _), ends) in limits.iter().zip(ends) {
        for (name, end) in [&names.limit, &names.remaining, &names.reset].into_iter().zip(ends.into_iter().flatten()) {
            // Digits and units are always a valid value.
            if let Ok(value) = HeaderValue::from_maybe_shared(text.slice(begin..end)) {
                headers.insert(name, value);
            }
            begin = end;
        }
    }
}
