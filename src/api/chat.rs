//! `POST /v1/chat/completions`.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::response::Response;

use super::AppState;
use crate::deadline::EndsAt;
use crate::error::ApiError;
use crate::keyring::Principal;
use crate::limiter::Admission;
use crate::relay::Caller;
use crate::telemetry::record::Record;
use crate::wire::request::ChatRequest;

/// One completion, streamed or whole. The content type is not looked at: `curl -d` sends that of a form.
pub(super) async fn complete(State(state): State<Arc<AppState>>, request: Request) -> Result<Response, ApiError> {
    let (head, body) = request.into_parts();
    let body = state.bodies.read(&head.headers, body).await?;
    let extensions = &head.extensions;
    let (Some(principal), Some(admission), Some(record)) =
        (extensions.get::<Arc<Principal>>(), extensions.get::<Admission>(), extensions.get::<Record>())
    else {
        tracing::error!("a layer is missing in front of the handler");
        return Err(ApiError::internal());
    };
    let caller = Caller {
        principal: Arc::clone(principal),
        admission: admission.clone(),
        record: record.clone(),
        headers: head.headers,
        memory: body.share,
        ends_at: extensions.get::<EndsAt>().cloned().unwrap_or_default(),
    };
    let request = ChatRequest::parse(body.bytes, state.json_depth, state.unknown)?;
    state.relay.complete(caller, request).await
}
