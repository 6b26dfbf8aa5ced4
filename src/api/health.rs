//! Probes: `GET /healthz` (the process answers) and `GET /readyz` (it can serve).

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use http::StatusCode;
use serde_json::{Value, json};

use super::state::AppState;

/// Always 200.
pub(super) async fn healthz() -> Json<Value> {
    Json(json!({ "status": "ok" }))
}

/// 200 while the server accepts requests, with `degraded` if it does without something: the configuration was read again
/// and has errors, or Redis can't be reached any more (it was at the start). 503 when the database does not answer or
/// can't be written, and during a shutdown.
pub(super) async fn readyz(State(state): State<Arc<AppState>>) -> (StatusCode, Json<Value>) {
    let problem = if state.shutdown.leaving.is_raised() {
        Some("shutting down")
    } else if let Err(error) = state.store.ping().await {
        tracing::warn!(%error, "not ready");
        Some("the database does not answer")
    } else {
        state.store.check().await.map(|fault| fault.reason())
    };
    if let Some(why) = problem {
        return (StatusCode::SERVICE_UNAVAILABLE, Json(json!({ "status": "not ready", "reason": why })));
    }
    let mut ready = json!({ "status": "ready" });
    let degraded = degraded(&state);
    if !degraded.is_empty() {
        ready["degraded"] = degraded.into();
    }
    (StatusCode::OK, Json(ready))
}

/// What the server does without, by name.
fn degraded(state: &AppState) -> Vec<&'static str> {
    let is_lost = state.redis.as_ref().is_some_and(|redis| !redis.is_up());
    let parts = [("configuration", !state.configuration.is_valid()), ("redis", is_lost)];
    parts.into_iter().filter_map(|(name, is_degraded)| is_degraded.then_some(name)).collect()
}
