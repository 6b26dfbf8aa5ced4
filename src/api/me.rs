//! `GET /api/me`: the name and scopes of the request's key. Pages use it to show only what their reader may do.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::header::CACHE_CONTROL;
use serde::Serialize;

use crate::auth::context::AuthContext;
use crate::wire::api_key::Scope;

#[derive(Serialize)]
struct Me<'a> {
    key: &'a str,
    scopes: Vec<&'static str>,
    /// `keys`, or `none` if keys are not checked.
    auth: &'static str,
}

pub(super) async fn me(State(auth): State<AuthContext>) -> Response {
    let principal = auth.principal();
    let me = Me {
        key: &principal.name,
        scopes: principal.scopes.iter().map(Scope::name).collect(),
        auth: if auth.has_key() { "keys" } else { "none" },
    };
    ([(CACHE_CONTROL, "no-store")], Json(me)).into_response()
}
