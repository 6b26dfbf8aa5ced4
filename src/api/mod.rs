//! The HTTP surface: the table of routes, and a file of handlers for each resource.
//!
//! A handler extracts what it needs, calls one function of a lower module and converts the result. Access, limits and
//! the log line are handled by the [`Stack`] of layers, according to the policy in the route's row.

mod body;
pub mod events;
mod health;
mod inference;
mod inventory;
mod json_body;
mod me;
mod metrics;
mod models;
mod not_found;
mod orders;
mod pagination;
mod parameters;
mod pets;
mod public_path;
mod resource;
mod route_table;
mod service;
mod state;
pub mod stats;

use std::sync::Arc;

use axum::body::Body;

use self::events::{browser_auth, read};
use self::route_table::RouteMethod::{Delete, Get, Patch, Post, Put};
use self::route_table::RouteTable;
use crate::auth::public_reads::anonymous;
use crate::config::{AllowOrigins, TrustedProxies};
use crate::error::Surface::{Anthropic, OpenAi, Problem};
use crate::http::server::Refuser;
use crate::limiter::Limiter;
use crate::middleware::authenticate::AuthPolicy;
use crate::middleware::authenticator::Authenticator;
use crate::middleware::request_log;
use crate::middleware::stack::{RoutePolicy, Stack};
use crate::web;
use crate::wire::api_key::Scope;

pub use body::BodyReader;
pub use metrics::open_router;
pub use public_path::PublicPath;
pub use route_table::{ResponseFuture, Route};
pub use service::ApiService;
pub use state::AppState;

/// All routes, each behind the [`Stack`] of layers.
pub fn service(
    state: Arc<AppState>,
    authenticator: Authenticator,
    limiter: Limiter,
    origins: AllowOrigins,
    trusted: TrustedProxies,
) -> ApiService {
    let stack = Stack::new(state.metrics.clone(), authenticator, limiter, origins, trusted);
    let keyed = |surface, scope| RoutePolicy { auth: AuthPolicy::key(scope), ..RoutePolicy::open(surface) };
    let metered = |surface, scope| RoutePolicy { metered: true, ..keyed(surface, Some(scope)) };
    let reads = |browsers| {
        let anonymous = state.public_reads.then(|| anonymous([Scope::StoreRead]));
        let auth = AuthPolicy::Key { scope: Some(Scope::StoreRead), browsers, anonymous };
        RoutePolicy { auth, ..metered(Problem, Scope::StoreRead) }
    };
    let open = RoutePolicy::open(OpenAi);
    let chat = metered(OpenAi, Scope::Chat);
    let messages = metered(Anthropic, Scope::Chat);
    let read = reads(None);
    let write = metered(Problem, Scope::StoreWrite);
    let streams = RoutePolicy { event_source: true, ..reads(Some(state.events.browsers().clone())) };
    let sign_in = metered(Problem, Scope::StoreRead);
    // Not metered: these are needed most when limits are reached.
    let watch = keyed(Problem, Some(Scope::Stats));
    let any_key = keyed(Problem, None);

    let metrics = state.metrics.clone();
    let page = state.page;
    let mut table = RouteTable::new(stack, state);

    table.add_direct(Post, "/v1/chat/completions", &chat, inference::chat);
    table.add_whole(Post, "/v1/completions", &chat, inference::completion);
    table.add_whole(Post, "/v1/embeddings", &chat, inference::embeddings);
    table.add_whole(Post, "/v1/responses", &chat, inference::response);
    table.add_whole(Post, "/v1/messages", &messages, inference::message);
    table.add_whole(Post, "/v1/messages/count_tokens", &messages, inference::count_tokens);
    table.add(Get, "/v1/models", &chat, models::list);
    table.add(Get, "/v1/models/{*id}", &chat, models::retrieve);

    table.add(Get, "/api/pets", &read, pets::list);
    table.add(Post, "/api/pets", &write, pets::create);
    table.add(Get, "/api/pets/{id}", &read, pets::one);
    table.add(Put, "/api/pets/{id}", &write, pets::replace);
    table.add(Patch, "/api/pets/{id}", &write, pets::patch);
    table.add(Delete, "/api/pets/{id}", &write, pets::delete);
    table.add(Get, "/api/orders", &read, orders::list);
    table.add(Post, "/api/orders", &write, orders::place);
    table.add(Get, "/api/orders/{id}", &read, orders::one);
    table.add(Patch, "/api/orders/{id}", &write, orders::patch);
    table.add(Get, "/api/inventory", &read, inventory::count);

    table.add(Get, events::PATH, &streams, read::several);
    table.add(Get, "/api/events/data", &streams, read::several);
    table.add(Get, "/api/events/{topic}", &streams, read::one);
    table.add(Post, "/api/events/tickets", &sign_in, browser_auth::ticket);
    table.add(Post, "/api/events/sessions", &sign_in, browser_auth::sign_in);
    // The cookie of the session is all that it needs.
    table.add(Delete, "/api/events/sessions", &open, browser_auth::sign_out);

    table.add(Get, "/api/me", &any_key, me::me);
    table.add(Get, "/api/stats", &watch, stats::stats);
    table.add(Get, "/metrics", &watch, metrics::metrics);
    table.add(Get, "/healthz", &open, health::healthz);
    table.add(Get, "/readyz", &open, health::readyz);
    if page {
        table.add(Get, "/", &open, web::index);
        table.add(Get, "/assets/{name}", &open, web::asset);
    }

    let routing = table.finish();
    let refuser: Refuser<Body> = Arc::new(move |refused| request_log::refused(&metrics, refused));
    ApiService::new(routing, refuser)
}
