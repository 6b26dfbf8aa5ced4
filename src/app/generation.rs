//! A generation: everything that one configuration decides about requests, built as a whole and replaced as a whole.
//!
//! A connection reads the generation in force once for each request, so that a request sees one configuration from its
//! head to its last byte, and a stream that runs ends with the settings it began with. What outlives a configuration is
//! shared by all generations: the adapters, and what was counted (limits, bounds, health of upstreams).

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;

use crate::api::{self, ApiService, AppState, open_router};
use crate::auth::keyring::Principal;
use crate::config::{Config, Drain};
use crate::http::server::ConnectionOptions;
use crate::limiter::Limiter;
use crate::middleware::authenticator::Authenticator;
use crate::wire::api_key::Scopes;

/// What a listener serves: its routes, and the settings of its connections.
pub(super) struct Serving {
    pub(super) api: ApiService,
    pub(super) options: ConnectionOptions,
    /// Longest time in which a client takes no byte of an answer.
    pub(super) write_idle: Duration,
    /// The times of a shutdown.
    pub(super) drain: Drain,
    /// Age at which a connection is closed after its current response, plus or minus a tenth.
    pub(super) connection_age: Option<Duration>,
}

/// What a listener serves now; clones share it.
#[derive(Clone)]
pub(super) struct CurrentServing(Arc<ArcSwap<Serving>>);

impl CurrentServing {
    pub(super) fn new(serving: Serving) -> Self {
        Self(Arc::new(ArcSwap::from_pointee(serving)))
    }

    /// One atomic load.
    pub(super) fn load(&self) -> arc_swap::Guard<Arc<Serving>> {
        self.0.load()
    }

    pub(super) fn store(&self, serving: Serving) {
        self.0.store(Arc::new(serving));
    }
}

/// See the module.
pub(super) struct Generation {
    pub(super) state: Arc<AppState>,
    pub(super) authenticator: Authenticator,
    pub(super) limiter: Limiter,
}

impl Generation {
    /// What the main listener serves under `config`.
    pub(super) fn serving(&self, config: &Config) -> Serving {
        let (state, authenticator) = (Arc::clone(&self.state), self.authenticator.clone());
        let api = api::service(
            state,
            authenticator,
            self.limiter.clone(),
            config.allow_origins.clone(),
            config.trusted_proxies.clone(),
        );
        Serving::new(api, config)
    }

    /// What the listener of the metrics serves under `config`.
    pub(super) fn serving_metrics(&self, config: &Config) -> Serving {
        Serving::new(open_router(Arc::clone(&self.state)).into(), config)
    }
}

impl Serving {
    fn new(api: ApiService, config: &Config) -> Self {
        let limits = &config.limits;
        let options =
            ConnectionOptions { head: limits.head, first_head: limits.header_read, idle: limits.keep_alive, age: None };
        Self { api, options, write_idle: limits.write_idle, drain: config.drain, connection_age: config.connection_age }
    }
}

/// The principal of every request with `auth: none`.
pub(super) fn everybody(config: &Config) -> Principal {
    Principal {
        id: "everybody".into(),
        name: "everybody".into(),
        expires_at: None,
        models: None,
        scopes: Scopes::ALL,
        limits: config.limits.per_key,
    }
}
