//! `GET /metrics`, for Prometheus, and the router of the metrics' own listener.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use http::header::CONTENT_TYPE;
use http::{Method, Uri};

use super::health;
use super::not_found::method_not_allowed;
use super::state::AppState;
use crate::error::ApiError;
use crate::telemetry::metrics::Metrics;

/// The routes of the metrics' own listener, without keys, limits, log lines and counts: they are polled all the time,
/// by programs that the operator trusts.
pub fn open_router(state: Arc<AppState>) -> Router {
    Router::new()
        .route("/metrics", get(metrics).fallback(method_not_allowed))
        .route("/healthz", get(health::healthz).fallback(method_not_allowed))
        .route("/readyz", get(health::readyz).fallback(method_not_allowed))
        .fallback(async |method: Method, uri: Uri| ApiError::no_path(method.as_str(), uri.path(), None))
        .with_state(state)
}

pub(super) async fn metrics(State(state): State<Arc<AppState>>) -> Response {
    state.metrics.database(state.store.fault().is_none());
    state.metrics.usage_records(state.usage_recorder.len(), state.usage_recorder.dropped());
    // OpenMetrics only: the older text format has no `info`, and its readers accept this one too.
    ([(CONTENT_TYPE, Metrics::MEDIA_TYPE)], state.metrics.encode()).into_response()
}
