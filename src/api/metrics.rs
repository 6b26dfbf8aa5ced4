//! `GET /metrics`: what is measured, for Prometheus.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use http::header::CONTENT_TYPE;
use http::{Method, Uri};

use super::{AppState, health};
use crate::error::ApiError;
use crate::error::no_method;
use crate::telemetry::metrics::Metrics;

/// The one route.
pub(super) fn router() -> Router<Arc<AppState>> {
    Router::new().route("/metrics", get(metrics).fallback(no_method))
}

/// What the listener of its own serves, to everybody who reaches it. Neither logged nor counted: it is there to be asked
/// all the time.
pub fn open_router(state: Arc<AppState>) -> Router {
    router()
        .route("/healthz", get(health::healthz).fallback(no_method))
        .route("/readyz", get(health::readyz).fallback(no_method))
        .fallback(async |method: Method, uri: Uri| ApiError::no_path(method.as_str(), uri.path(), None))
        .with_state(state)
}

async fn metrics(State(state): State<Arc<AppState>>) -> Response {
    state.metrics.usage_records(state.ledger.len(), state.ledger.dropped());
    // OpenMetrics only: the older text format has no `info`, and whoever asks for that reads this too.
    ([(CONTENT_TYPE, Metrics::MEDIA_TYPE)], state.metrics.encode()).into_response()
}
