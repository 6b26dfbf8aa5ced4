//! Requests a minute, and what is left of them.
//!
//! Answers 429 in the surface's format. The request is charged here; the [`Admission`] that it leaves among the request's
//! extensions is where a handler that knows the body takes a stream's permit, which it keeps to the last body byte, and
//! reserves tokens. Adds `x-ratelimit-*` to every answer, for the limits that are set.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use http::{HeaderMap, HeaderName, HeaderValue};

use crate::error::{Denied, Surface};
use crate::keyring::Principal;
use crate::limiter::{Admission, Limit, Limited, Limiter, Quota};
use crate::telemetry::metrics::Metrics;
use crate::wire::go_duration::go_duration;

/// Limits in front of one surface.
#[derive(Clone)]
pub struct Meter {
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

/// The middleware. Stands behind `authenticate`.
pub async fn rate_limit(State(meter): State<Meter>, mut request: Request, next: Next) -> Response {
    let Some(principal) = request.extensions().get::<Arc<Principal>>() else {
        return next.run(request).await;
    };
    let admission = match meter.limiter.request(&principal.id, principal.limits) {
        Ok(admission) => admission,
        Err(limited) => {
            meter.metrics.refused(limited.reason(), limited.whose.name());
            let mut response = Denied::Limited(limited.clone()).answer(meter.surface);
            say(response.headers_mut(), &REQUESTS, refused(&limited));
            return response;
        }
    };
    request.extensions_mut().insert(admission.clone());
    let mut response = next.run(request).await;
    tell(response.headers_mut(), &admission);
    response
}

fn tell(headers: &mut HeaderMap, admission: &Admission) {
    if let Some(quota) = admission.requests() {
        say(headers, &REQUESTS, quota);
    }
    if let Some(quota) = admission.tokens() {
        say(headers, &TOKENS, quota);
    }
}

fn refused(limited: &Limited) -> Quota {
    debug_assert_eq!(limited.what, Limit::Requests);
    Quota { limit: limited.limit, remaining: 0, reset: std::time::Duration::from_secs(60) }
}

fn say(headers: &mut HeaderMap, names: &'static Names, quota: Quota) {
    headers.insert(names.limit.clone(), HeaderValue::from(quota.limit));
    headers.insert(names.remaining.clone(), HeaderValue::from(quota.remaining));
    if let Ok(reset) = HeaderValue::from_str(&go_duration(quota.reset)) {
        headers.insert(names.reset.clone(), reset);
    }
}
