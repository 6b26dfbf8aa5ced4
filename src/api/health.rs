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

/// The name in `degraded` of a configuration that could not be read again.
const CONFIGURATION: &str = "configuration";

/// 200 while the server accepts requests, with `degraded` if the configuration was read again and has errors; 503 when the database does not answer or can't be written, and during a
/// shutdown.
pub(super) async fn readyz(State(state): State<Arc<AppState>>) -> (StatusCode, Json<Value>) {
    let problem = if state.shutdown.leaving.is_raised() {
        Some("shutting down")
    } else if let Err(error) = state.store.ping().await {
        tracing::warn!(%error, "not ready");
        Some("the database does not answer")
    } else {
        state.store.check().await.map(|fault| fault.reason())
    };
    match problem {
        None if state.configuration.is_valid() => (StatusCode::OK, Json(json!({ "status": "ready" }))),
        None => (StatusCode::OK, Json(json!({ "status": "ready", "degraded": [CONFIGURATION] }))),
        Some(why) => (StatusCode::SERVICE_UNAVAILABLE, Json(json!({ "status": "not ready", "reason": why }))),
    }
}
