//! Reading without a key, where the configuration allows it.
//!
//! A request with a key is authenticated as on other routes, and counted against that key. One without a key is that of
//! the principal `anonymous`, which only the limits of all keys together apply to.

use std::sync::Arc;

use crate::auth::keyring::Principal;
use crate::config::RateLimits;
use crate::wire::api_key::Scope;

/// The principal of requests without a key, which has these scopes, and may use no model.
#[must_use]
pub fn anonymous(scopes: impl IntoIterator<Item = Scope>) -> Arc<Principal> {
    Arc::new(Principal {
        id: "anonymous".into(),
        name: "anonymous".into(),
        expires_at: None,
        models: Some(Vec::new()),
        scopes: scopes.into_iter().collect(),
        limits: RateLimits::default(),
    })
}
