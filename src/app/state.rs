//! The state of the handlers under one configuration: handles to the adapters, and what is built from them and the
//! settings.

use std::sync::Arc;

use tokio::sync::watch;

use super::AppError;
use crate::api::events::{self, Events};
use crate::api::stats::Stats;
use crate::api::{AppState, BodyReader, PublicPath};
use crate::auth::browser_credential::Browsers;
use crate::auth::sessions::Sessions;
use crate::completion::{CompletionParts, CompletionService};
use crate::config::{Config, EventsConfig, UnknownParameters};
use crate::events::{EventHub, Retention};
use crate::offload::Offload;
use crate::petstore::{Capacity, PetStore};
use crate::responder::{MODEL, Responder};
use crate::shared::redis::Redis;
use crate::store::Store;
use crate::telemetry::configuration::ConfigurationStatus;
use crate::telemetry::metrics::Metrics;
use crate::time::Shutdown;
use crate::upstream::{CurrentRoutes, RemoteModels, Routes};
use crate::usage::UsageRecorder;
use crate::wire::request::{RequestRules, UnknownMembers};

/// The adapters that handlers use, which stay the same for as long as the server runs.
pub(super) struct Adapters {
    pub(super) store: Store,
    pub(super) pets: PetStore,
    pub(super) hub: EventHub,
    pub(super) sessions: Sessions,
    pub(super) usage: UsageRecorder,
    pub(super) offload: Offload,
    pub(super) metrics: Metrics,
    /// None: there is one replica.
    pub(super) redis: Option<Redis>,
    pub(super) stats: Stats,
    pub(super) configuration: ConfigurationStatus,
    /// The routes in force.
    pub(super) routes: CurrentRoutes,
    /// Which events are kept.
    pub(super) retention: watch::Sender<Retention>,
    pub(super) shutdown: Shutdown,
}

/// The pets and orders within the configured bounds.
pub(super) fn pets(config: &Config, pets: &PetStore) -> PetStore {
    let bounds = config.petstore;
    let capacity = Capacity {
        pets: bounds.pets,
        pets_of_a_key: bounds.pets_of_a_key(),
        orders: bounds.orders,
        orders_of_a_key: bounds.orders_of_a_key(),
    };
    pets.clone().with_low_stock(bounds.low_stock).with_capacity(capacity)
}

/// Builds the state, with what `previous` has counted and cached.
///
/// # Errors
/// [`AppError::Http`], when the client for lists of models can't be built.
pub(super) fn build(
    config: &Config,
    adapters: &Adapters,
    routes: Arc<Routes>,
    previous: Option<&AppState>,
) -> Result<Arc<AppState>, AppError> {
    let pets = pets(config, &adapters.pets);
    let completions = CompletionParts {
        responder: config.local_model.then(|| Responder::new(pets.clone(), adapters.offload.clone())),
        routes: Arc::clone(&routes),
        usage_recorder: adapters.usage.clone(),
        offload: adapters.offload.clone(),
        metrics: adapters.metrics.clone(),
        abort: adapters.shutdown.abort.clone(),
    };
    let remote_models = match previous {
        Some(previous) => previous.remote_models.following(&routes),
        None => RemoteModels::new(&routes),
    };
    Ok(Arc::new(AppState {
        events: events(config, adapters),
        stats: adapters.stats.clone(),
        public_path: PublicPath::new(&config.public_path),
        relay: match previous {
            Some(previous) => previous.relay.following(config, completions),
            None => CompletionService::new(config, completions),
        },
        remote_models: remote_models.map_err(|error| AppError::Http(error.to_string()))?,
        routes,
        pets,
        public_reads: config.petstore.public_reads,
        page: config.page,
        local_model: config.local_model,
        store: adapters.store.clone(),
        redis: adapters.redis.clone(),
        bodies: match previous {
            Some(previous) => previous.bodies.following(&config.limits),
            None => BodyReader::new(&config.limits),
        },
        offload: adapters.offload.clone(),
        rules: rules(config),
        metrics: adapters.metrics.clone(),
        usage_recorder: adapters.usage.clone(),
        configuration: adapters.configuration.clone(),
        shutdown: adapters.shutdown.clone(),
    }))
}

fn events(config: &Config, adapters: &Adapters) -> Events {
    let subscribers = (config.events.subscribers as u64, config.events.subscribers_of_a_key() as u64);
    let hub = adapters.hub.with_subscribers(subscribers.0, subscribers.1);
    let public_path = PublicPath::new(&config.public_path);
    let path = public_path.of(events::PATH);
    let browsers =
        Browsers::new(adapters.sessions.clone(), path, config.secure_cookies(), config.allow_origins.clone());
    // A stream that is still open at the drain deadline ends without a time at which to reconnect.
    let shutdown_window = config.events.shutdown_window.min(config.drain.at_most);
    let config = EventsConfig { shutdown_window, ..config.events };
    Events::new(hub, browsers, &config, public_path, adapters.shutdown.abort.clone())
}

/// How requests for completions are checked.
fn rules(config: &Config) -> RequestRules {
    RequestRules {
        json_depth: config.limits.json_depth,
        unknown: match config.unknown_parameters {
            UnknownParameters::Pass => UnknownMembers::Pass,
            UnknownParameters::Refuse => UnknownMembers::Refuse,
        },
        local_model: config.local_model.then_some(MODEL),
    }
}
