//! The one stack of layers that every route has, completions and unknown paths included.

use std::convert::Infallible;
use std::sync::Arc;

use axum::response::Response;
use tower::{Layer, Service};

use super::authenticate::{AuthPolicy, AuthenticateLayer};
use super::authenticator::Authenticator;
use super::context::{Admitted, ConnectionRequest, ContextRequest};
use super::cors::Cors;
use super::origin_check::OriginCheckLayer;
use super::rate_limit::{RateLimitLayer, RateLimitPolicy};
use super::request_log::RequestLogLayer;
use super::retryable_errors::RetryableErrorsLayer;
use crate::auth::public_reads::anonymous;
use crate::config::{AllowOrigins, TrustedProxies};
use crate::error::Surface;
use crate::limiter::Limiter;
use crate::telemetry::metrics::Metrics;

/// The parameters of a route's stack of layers.
#[derive(Clone)]
pub struct RoutePolicy {
    /// The format of refusals.
    pub surface: Surface,
    /// The access to the route.
    pub auth: AuthPolicy,
    /// Whether requests count against the limits of requests a minute.
    pub metered: bool,
    /// Whether browsers read the route with an `EventSource`, which needs another form of some errors.
    pub event_source: bool,
}

impl RoutePolicy {
    /// Public: without a key and without limits.
    #[must_use]
    pub fn open(surface: Surface) -> Self {
        Self { surface, auth: AuthPolicy::Open(anonymous([])), metered: false, event_source: false }
    }
}

/// Builds the stacks of routes; cheap to clone.
#[derive(Clone)]
pub struct Stack {
    metrics: Metrics,
    cors: Cors,
    origin_check: OriginCheckLayer,
    authenticator: Authenticator,
    limiter: Limiter,
    trusted: Arc<TrustedProxies>,
}

impl Stack {
    /// Without keys, requests of pages whose origin is not among `origins` are refused.
    #[must_use]
    pub fn new(
        metrics: Metrics,
        authenticator: Authenticator,
        limiter: Limiter,
        origins: AllowOrigins,
        trusted: TrustedProxies,
    ) -> Self {
        let check = if authenticator.requires_keys() {
            OriginCheckLayer::disabled()
        } else {
            OriginCheckLayer::new(origins.clone())
        };
        Self {
            metrics,
            cors: Cors::new(origins),
            origin_check: check,
            authenticator,
            limiter,
            trusted: Arc::new(trusted),
        }
    }

    /// The layers of a route around its handler, as one service. A request passes them in this order:
    ///
    /// 1. `request_log`: request id, log line, metrics, panics.
    /// 2. `cors`: preflights, and headers for pages of allowed origins.
    /// 3. `origin_check`: refuses pages of other sites, on servers without keys.
    /// 4. `retryable_errors`: for `EventSource` clients, if `event_source` is set.
    /// 5. `authenticate`: key and scope, by the policy.
    /// 6. `rate_limit`: requests a minute, if `metered` is set.
    ///
    /// `route` is the path template for the metrics; none is for paths without a route.
    pub fn layer<H>(
        &self,
        route: Option<&str>,
        policy: RoutePolicy,
        handler: H,
    ) -> impl Service<ConnectionRequest, Response = Response, Error = Infallible, Future: Send + 'static>
    + Clone
    + Send
    + Sync
    + 'static
    + use<H>
    where
        H: Service<ContextRequest<Admitted>, Response = Response, Error = Infallible, Future: Send + 'static>,
        H: Clone + Send + Sync + 'static,
    {
        let RoutePolicy { surface, auth, metered, event_source } = policy;
        let limits = RateLimitPolicy { limiter: self.limiter.clone(), metrics: self.metrics.clone(), surface, metered };
        let layers = (
            RequestLogLayer::new(self.metrics.clone(), route, Arc::clone(&self.trusted)),
            self.cors.clone(),
            self.origin_check.clone(),
            RetryableErrorsLayer::new(event_source),
            AuthenticateLayer::new(self.authenticator.clone(), auth, surface),
            RateLimitLayer::new(limits),
        );
        layers.layer(handler)
    }
}
