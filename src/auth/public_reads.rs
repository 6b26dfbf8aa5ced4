//! Reading without a key, where the configuration allows it.
//!
//! A request that shows a key is authenticated as everywhere, and counted against that key. One that shows none goes on
//! as `anonymous`, whose only limits are those of all keys together.

use std::sync::Arc;

use crate::auth::keyring::Principal;
use crate::config::RateLimits;
use crate::wire::api_key::Scope;

/// Somebody without a key, who may do what `scope` stands for.
#[must_use]
pub fn anonymous(scope: Scope) -> Arc<Principal> {
    Arc::new(Principal {
        id: "anonymous".into(),
        name: "anonymous".into(),
        expires_at: None,
        models: Some(Vec::new()),
        scopes: [scope].into_iter().collect(),
        limits: RateLimits::default(),
    })
}
