//! Probes: `GET /healthz` (the process answers) and `GET /readyz` (it can serve).

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use http::StatusCode;
use serde_json::{Value, json};

use super::state::AppState;
use crate::store::Store;

/// Always 200.
pub(super) async fn healthz() -> Json<Value> {
    Json(json!({ "status": "ok" }))
}

/// 200 while the server accepts requests, with `degraded` if it does without something: the configuration was read again
/// and has errors, or Redis or Postgres can't be reached any more (they were at the start). 503 when an SQLite database
/// does not answer or can't be written, and during a shutdown.
pub(super) async fn readyz(State(state): State<Arc<AppState>>) -> (StatusCode, Json<Value>) {
    let database = database_fault(&state.store).await;
    let problem = match &database {
        _ if state.shutdown.leaving.is_raised() => Some("shutting down"),
        Err(reason) => Some(*reason),
        Ok(()) => None,
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

/// Why the server can't do without the database, if it can't be used.
async fn database_fault(store: &Store) -> Result<(), &'static str> {
    if store.is_shared() {
        return Ok(());
    }
    if let Err(error) = store.ping().await {
        tracing::warn!(%error, "not ready");
        return Err("the database does not answer");
    }
    store.check().await.map_or(Ok(()), |fault| Err(fault.reason()))
}

/// What the server does without, by name.
fn degraded(state: &AppState) -> Vec<&'static str> {
    let is_lost = state.redis.as_ref().is_some_and(|redis| !redis.is_up());
    // A database server may hang, and probes must not: its state is that of the last statements.
    let is_away = state.store.is_shared() && state.store.fault().is_some();
    let parts = [("configuration", !state.configuration.is_valid()), ("redis", is_lost), ("postgres", is_away)];
    parts.into_iter().filter_map(|(name, is_degraded)| is_degraded.then_some(name)).collect()
}
