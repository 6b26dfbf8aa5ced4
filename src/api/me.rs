//! `GET /api/me`: whose key it is, and what it may do. For pages, which show what their reader may use.

use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Extension, Json, Router};
use http::header::CACHE_CONTROL;
use serde::Serialize;

use crate::error::problem::Problem;
use crate::middleware::authenticate::AuthContext;
use crate::wire::api_key::Scope;

#[derive(Serialize)]
struct Me<'a> {
    key: &'a str,
    scopes: Vec<&'static str>,
    /// `keys`, or `none`: everybody may do everything.
    auth: &'static str,
}

/// The route. Who may use it is a layer's business.
pub(super) fn router<S: Clone + Send + Sync + 'static>() -> Router<S> {
    Router::new().route("/api/me", get(me)).method_not_allowed_fallback(async || Problem::method_not_allowed())
}

async fn me(Extension(standing): Extension<AuthContext>) -> Response {
    let principal = standing.principal();
    let me = Me {
        key: &principal.name,
        scopes: principal.scopes.iter().map(Scope::name).collect(),
        auth: if standing.is_a_keys() { "keys" } else { "none" },
    };
    ([(CACHE_CONTROL, "no-store")], Json(me)).into_response()
}
