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

/// The names in `degraded`: a configuration that could not be read again, and a database server that can't be reached.
const CONFIGURATION: &str = "configuration";
const POSTGRES: &str = "postgres";

/// 200 while the server accepts requests, with `degraded` if the configuration was read again and has errors, or if
/// Postgres can't be reached: completions go on without it for a while. 503 when an SQLite database does not answer or
/// can't be written, and during a shutdown.
pub(super) async fn readyz(State(state): State<Arc<AppState>>) -> (StatusCode, Json<Value>) {
    let database = database_fault(&state.store).await;
    let problem = match &database {
        _ if state.shutdown.leaving.is_raised() => Some("shutting down"),
        Err(reason) => Some(*reason),
        Ok(_) => None,
    };
    if let Some(reason) = problem {
        let body = json!({ "status": "not ready", "reason": reason });
        return (StatusCode::SERVICE_UNAVAILABLE, Json(body));
    }
    let configuration = (!state.configuration.is_valid()).then_some(CONFIGURATION);
    let degraded: Vec<_> = configuration.into_iter().chain(database.ok().flatten()).collect();
    let mut body = json!({ "status": "ready" });
    if !degraded.is_empty() {
        body["degraded"] = degraded.into();
    }
    (StatusCode::OK, Json(body))
}

/// The name of a database that the server does without for a while; an error: why it can't do without.
async fn database_fault(store: &Store) -> Result<Option<&'static str>, &'static str> {
    // A server of databases may hang, and probes must not. Its state is known from the statements of the last seconds.
    if !store.is_shared()
        && let Err(error) = store.ping().await
    {
        tracing::warn!(%error, "not ready");
        return Err("the database does not answer");
    }
    match store.check().await {
        Some(fault) if fault.is_degradation() => Ok(Some(POSTGRES)),
        Some(fault) => Err(fault.reason()),
        None => Ok(None),
    }
}
