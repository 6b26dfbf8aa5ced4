//! Reading without a key, where the configuration allows it.
//!
//! A request that shows a key is authenticated as everywhere, and counted against that key. One that shows none goes on
//! as `anonymous`, whose only limits are those of all keys together.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use http::header::AUTHORIZATION;

use super::authenticate::{Guard, Standing, authenticate};
use crate::config::RateLimits;
use crate::keyring::Principal;
use crate::telemetry::record::Record;

/// A guard that lets those without a key pass as somebody.
#[derive(Clone)]
pub struct PublicGuard {
    /// For those who show a key.
    pub guard: Guard,
    /// Everybody else.
    pub anonymous: Arc<Principal>,
}

impl PublicGuard {
    /// Lets everybody pass `guard`.
    #[must_use]
    pub fn new(guard: Guard) -> Self {
        let anonymous = Principal {
            id: "anonymous".into(),
            name: "anonymous".into(),
            expires_at: None,
            models: Some(Vec::new()),
            scopes: guard.scope.into_iter().collect(),
            limits: RateLimits::default(),
        };
        Self { guard, anonymous: Arc::new(anonymous) }
    }
}

/// The middleware, in place of [`authenticate`].
pub async fn public_reads(State(public): State<PublicGuard>, mut request: Request, next: Next) -> Response {
    if request.headers().contains_key(AUTHORIZATION) {
        return authenticate(State(public.guard), request, next).await;
    }
    if let Some(record) = request.extensions().get::<Record>() {
        record.facts().key = Some(Arc::clone(&public.anonymous.name));
    }
    request.extensions_mut().insert(public.anonymous);
    request.extensions_mut().insert(Standing::everybody());
    next.run(request).await
}
