//! The state of handlers: the handles of the whole server, and the context of one request.

use std::sync::Arc;

use axum::extract::FromRef;

use super::body::BodyReader;
use super::events::Events;
use super::public_path::PublicPath;
use super::stats::Stats;
use crate::auth::context::AuthContext;
use crate::completion::CompletionService;
use crate::middleware::context::{Admitted, ConnectionContext, RequestContext};
use crate::offload::Offload;
use crate::petstore::PetStore;
use crate::shared::redis::Redis;
use crate::store::Store;
use crate::telemetry::configuration::ConfigurationStatus;
use crate::telemetry::metrics::Metrics;
use crate::time::Shutdown;
use crate::upstream::{RemoteModels, Routes};
use crate::usage::UsageRecorder;
use crate::wire::request::RequestRules;

/// Handles to everything that handlers use, under one configuration: built at the start and at each reload, and shared
/// as a whole. A request has the one that it began with.
pub struct AppState {
    /// Completions.
    pub relay: CompletionService,
    /// Which upstreams serve which models.
    pub routes: Arc<Routes>,
    /// The models of the `*` upstream.
    pub remote_models: RemoteModels,
    /// Pets, orders and the inventory.
    pub pets: PetStore,
    /// Live events.
    pub events: Events,
    /// The current activity of the server.
    pub stats: Stats,
    /// The path under which clients see this server's `/`.
    pub public_path: PublicPath,
    /// Whether pets, orders and the inventory may be read without a key.
    pub public_reads: bool,
    /// Whether the local model is there.
    pub local_model: bool,
    /// Whether the page is served.
    pub page: bool,
    /// The database, for the readiness probe.
    pub store: Store,
    /// What replicas share, for the readiness probe; none: there is one replica.
    pub redis: Option<Redis>,
    /// Reads request bodies within bounds.
    pub bodies: BodyReader,
    /// Runs long computations.
    pub offload: Offload,
    /// The rules for completion requests.
    pub rules: RequestRules,
    /// The metrics.
    pub metrics: Metrics,
    /// Usage records on their way to the database, for the metrics.
    pub usage_recorder: UsageRecorder,
    /// Whether the configuration could be read again.
    pub configuration: ConfigurationStatus,
    /// The phases of the shutdown; `stop` makes the server not ready.
    pub shutdown: Shutdown,
}

/// The state of axum's extractors for one request. A handler that takes `State<T>` compiles for every `T` below: what
/// the layers have learned is always there.
#[derive(Clone)]
pub struct RequestState {
    /// The server's.
    pub app: Arc<AppState>,
    /// The request's.
    pub context: RequestContext<Admitted>,
}

/// Makes `State<$type>` available to handlers.
macro_rules! extract {
    ($($type:ty: |$state:ident| $value:expr;)*) => {
        $(impl FromRef<RequestState> for $type {
            fn from_ref($state: &RequestState) -> Self {
                $value.clone()
            }
        })*
    };
}

extract! {
    Arc<AppState>: |state| state.app;
    PetStore: |state| state.app.pets;
    Events: |state| state.app.events;
    Stats: |state| state.app.stats;
    PublicPath: |state| state.app.public_path;
    BodyReader: |state| state.app.bodies;
    Offload: |state| state.app.offload;
    RequestContext<Admitted>: |state| state.context;
    ConnectionContext: |state| state.context.connection;
    AuthContext: |state| state.context.caller.auth;
}
