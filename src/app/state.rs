//! The state of the handlers: handles to the adapters, and what is built from them and the configuration.

use std::sync::Arc;

use super::AppError;
use crate::api::events::Events;
use crate::api::stats::{Sources, Stats};
use crate::api::{AppState, BodyReader, PublicPath};
use crate::completion::{CompletionParts, CompletionService};
use crate::config::{Auth, Config, UnknownParameters};
use crate::offload::Offload;
use crate::petstore::PetStore;
use crate::responder::{MODEL, Responder};
use crate::store::Store;
use crate::telemetry::metrics::Metrics;
use crate::time::Shutdown;
use crate::upstream::{RemoteModels, Routes};
use crate::usage::UsageRecorder;
use crate::wire::request::{RequestRules, UnknownMembers};

/// The adapters that handlers use.
pub(super) struct Adapters {
    pub(super) store: Store,
    pub(super) pets: PetStore,
    pub(super) events: Events,
    pub(super) usage: UsageRecorder,
}

/// Builds the state.
///
/// # Errors
/// [`AppError::Tls`] and [`AppError::Http`], when a client of upstreams can't be built.
pub(super) fn build(config: &Config, adapters: Adapters, shutdown: &Shutdown) -> Result<Arc<AppState>, AppError> {
    let Adapters { store, pets, events, usage } = adapters;
    let offload = Offload::new(config.auth != Auth::None);
    let metrics = Metrics::new();
    let routes = Arc::new(Routes::new(&config.models, &metrics).map_err(AppError::Tls)?);
    let completions = CompletionParts {
        responder: config.local_model.then(|| Responder::new(pets.clone(), offload.clone())),
        routes: Arc::clone(&routes),
        usage_recorder: usage.clone(),
        metrics: metrics.clone(),
        abort: shutdown.abort.clone(),
    };
    let stats = Stats::new(Sources {
        metrics: metrics.clone(),
        routes: Arc::clone(&routes),
        usage_recorder: usage.clone(),
        hub: events.hub().clone(),
    });
    Ok(Arc::new(AppState {
        events,
        stats,
        public_path: PublicPath::new(&config.public_path),
        relay: CompletionService::new(config, completions),
        remote_models: RemoteModels::new(&routes).map_err(|error| AppError::Http(error.to_string()))?,
        routes,
        pets,
        public_reads: config.petstore.public_reads,
        page: config.page,
        local_model: config.local_model,
        store,
        bodies: BodyReader::new(&config.limits),
        offload,
        rules: rules(config),
        metrics,
        usage_recorder: usage,
        shutdown: shutdown.clone(),
    }))
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
