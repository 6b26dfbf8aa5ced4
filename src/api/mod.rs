//! The HTTP surface: routes, and the layers in front of them.

mod body;
mod chat;
pub mod events;
mod front;
mod health;
pub mod inventory;
mod json_body;
mod me;
mod metrics;
mod misspelled_path;
mod models;
pub mod orders;
mod pagination;
mod parameters;
pub mod pets;
mod public_path;
mod resource;
pub mod stats;

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::FromRef;
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post_service};
use http::{Method, Uri};
use tower::Layer as _;

use self::chat::Completions;
use self::events::Events;
use self::stats::Stats;
use crate::auth::browser_credential::Browsers;
use crate::auth::public_reads::anonymous;
use crate::completion::CompletionService;
use crate::config::AllowOrigins;
use crate::error::problem::Problem;
use crate::error::{ApiError, Surface, no_method};
use crate::http::server::Refuser;
use crate::limiter::Limiter;
use crate::middleware::authenticate::{AuthPolicy, AuthenticateLayer, Authenticator};
use crate::middleware::cors::Cors;
use crate::middleware::origin_check::{OriginCheck, strangers};
use crate::middleware::rate_limit::{RateLimitLayer, RateLimitPolicy};
use crate::middleware::request_log::{self, RequestLogLayer};
use crate::offload::Offload;
use crate::petstore::PetStore;
use crate::store::Store;
use crate::telemetry::metrics::Metrics;
use crate::time::Shutdown;
use crate::upstream::{RemoteModels, Routes};
use crate::usage::UsageRecorder;
use crate::web;
use crate::wire::api_key::Scope;
use crate::wire::request::RequestRules;

pub use body::BodyReader;
pub use front::{Answering, Entrance, Front};
pub use metrics::open_router;
pub use public_path::PublicPath;

/// Handles to everything that handlers use. Every request passes it through each layer, so it is shared whole.
pub struct AppState {
    /// Completions.
    pub relay: CompletionService,
    /// Where models are served.
    pub routes: Arc<Routes>,
    /// The models of the `*` upstream.
    pub remote_models: RemoteModels,
    /// Pets.
    pub pets: PetStore,
    /// Live events.
    pub events: Events,
    /// What the server does, for people who watch.
    pub stats: Stats,
    /// Where clients see this server's `/`.
    pub public_path: PublicPath,
    /// Whether pets, orders and the inventory may be read without a key.
    pub public_reads: bool,
    /// Whether there is a page for people.
    pub page: bool,
    /// The database, for the readiness probe.
    pub store: Store,
    /// Reads bodies within bounds.
    pub bodies: BodyReader,
    /// Where what takes long is done.
    pub offload: Offload,
    /// What completions are checked against.
    pub rules: RequestRules,
    /// What is measured.
    pub metrics: Metrics,
    /// Usage records on their way to the database, for the metrics.
    pub ledger: UsageRecorder,
    /// Its phases; `stop` makes the server not ready.
    pub shutdown: Shutdown,
}

impl FromRef<Arc<AppState>> for PetStore {
    fn from_ref(state: &Arc<AppState>) -> Self {
        state.pets.clone()
    }
}

impl FromRef<Arc<AppState>> for Events {
    fn from_ref(state: &Arc<AppState>) -> Self {
        state.events.clone()
    }
}

impl FromRef<Arc<AppState>> for Stats {
    fn from_ref(state: &Arc<AppState>) -> Self {
        state.stats.clone()
    }
}

impl FromRef<Arc<AppState>> for PublicPath {
    fn from_ref(state: &Arc<AppState>) -> Self {
        state.public_path.clone()
    }
}

impl FromRef<Arc<AppState>> for BodyReader {
    fn from_ref(state: &Arc<AppState>) -> Self {
        state.bodies.clone()
    }
}

impl FromRef<Arc<AppState>> for Offload {
    fn from_ref(state: &Arc<AppState>) -> Self {
        state.offload.clone()
    }
}

/// All routes behind their layers. A request passes them in this order:
///
/// 1. `observe`: id, log line, count, panics; every path.
/// 2. `cors`: pages of other origins; not for probes.
/// 3. `strangers`: pages of other sites; only where no key is asked for.
/// 4. `patience`: what an `EventSource` hears instead of a refusal; only for streams of events.
/// 5. `authenticate`: key and scope; not for the page, probes and unknown paths. Browsers' tickets and cookies, for those
///    streams. `public_reads` where reading needs no key.
/// 6. `rate_limit`: requests a minute, `x-ratelimit-*`; not for metrics and statistics, which are wanted most when limits
///    are reached, nor for what a key is told about itself.
/// 7. the handler.
///
/// Layers that stand together are put on together: axum keeps a service on the heap for each time that layers are put on,
/// and copies it for each request.
pub fn front(state: Arc<AppState>, gate: &Authenticator, limiter: &Limiter, origins: AllowOrigins) -> Front {
    let guard = |scope, surface| AuthPolicy { gate: gate.clone(), scope, surface, browsers: None, anonymous: None };
    let meter = |surface| {
        let meter = RateLimitPolicy { limiter: limiter.clone(), metrics: state.metrics.clone(), surface };
        RateLimitLayer::new(meter) // 6
    };
    let known = |routes: Router<Arc<AppState>>, scope: Option<Scope>, surface: Surface| {
        routes.route_layer(AuthenticateLayer::new(guard(scope, surface))) // 5
    };
    let guarded = |routes: Router<Arc<AppState>>, scope: Scope, surface: Surface| {
        routes.route_layer((AuthenticateLayer::new(guard(Some(scope), surface)), meter(surface))) // 5, 6
    };
    let read = |routes: Router<Arc<AppState>>, browsers: Option<Browsers>| {
        let anonymous = state.public_reads.then(|| anonymous(Scope::StoreRead));
        let guard = AuthPolicy { browsers, anonymous, ..guard(Some(Scope::StoreRead), Surface::Problem) };
        routes.route_layer((AuthenticateLayer::new(guard), meter(Surface::Problem))) // 5, 6
    };
    let streams = read(events::streams(), Some(state.events.browsers().clone()));
    let completions = Completions(Arc::clone(&state));
    // POST does not come to the router, which must know of it for what it says of other methods.
    let chat = Router::new()
        .route(chat::PATH, post_service(completions.clone()).fallback(no_method))
        .route("/v1/models", get(models::list).fallback(no_method))
        .route("/v1/models/{*id}", get(models::retrieve).fallback(no_method));
    let store = read(pets::reads().merge(orders::reads()).merge(inventory::reads()), None)
        .merge(guarded(pets::writes().merge(orders::writes()), Scope::StoreWrite, Surface::Problem))
        .method_not_allowed_fallback(async || Problem::method_not_allowed());
    let page = if state.page { web::router() } else { Router::new() };
    let routes = Router::new()
        .merge(guarded(chat, Scope::Chat, Surface::OpenAi))
        .merge(store)
        .merge(events::patient(streams)) // 4
        .merge(guarded(events::entrance(), Scope::StoreRead, Surface::Problem))
        .merge(events::exit())
        .merge(known(me::router(), None, Surface::Problem))
        .merge(known(metrics::router().merge(stats::router()), Some(Scope::Stats), Surface::Problem))
        .merge(page)
        .route("/healthz", get(health::healthz))
        .route("/readyz", get(health::readyz))
        .fallback(no_path);
    // The same layers in one piece, for what is asked for most.
    let completions = (AuthenticateLayer::new(guard(Some(Scope::Chat), Surface::OpenAi)), meter(Surface::OpenAi)) // 5, 6
        .layer(completions);
    let outer = (RequestLogLayer::new(state.metrics.clone()), Cors::new(origins.clone())); // 1, 2
    let observed = (outer.0.clone().of_route(chat::PATH), outer.1.clone());
    let metrics = state.metrics.clone();
    let refuser: Refuser<Body> = Arc::new(move |refused| request_log::refused(&metrics, refused));
    if gate.asks_for_keys() {
        return Front::new(observed.layer(completions), routes.layer(outer).with_state(state), refuser);
    }
    let strangers = from_fn_with_state(OriginCheck::all_but(origins), strangers); // 3
    let others = routes.layer(strangers.clone()).layer(outer).with_state(state);
    Front::new((observed, strangers).layer(completions), others, refuser)
}

async fn no_path(method: Method, uri: Uri) -> Response {
    let path = uri.path();
    let meant = misspelled_path::meant_by(path);
    if path == "/api" || path.starts_with("/api/") {
        let detail = match meant {
            Some(meant) => format!("There is nothing here. Did you mean {meant}?"),
            None => "There is nothing here.".to_owned(),
        };
        return Problem::not_found(detail).into_response();
    }
    ApiError::no_path(method.as_str(), path, meant.as_deref()).into_response()
}
