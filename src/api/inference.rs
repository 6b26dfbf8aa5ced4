//! `POST /v1/chat/completions`, `/v1/completions` and `/v1/embeddings`: requests that a model answers.

use std::future::Future;
use std::sync::Arc;

use axum::extract::Request;
use axum::response::Response;

use super::body::ReadBody;
use super::state::{AppState, RequestState};
use crate::bound::Grant;
use crate::completion::Caller;
use crate::error::ApiError;
use crate::middleware::context::{Admitted, ConnectionContext, RequestContext};
use crate::offload::MAX_INLINE;
use crate::wire::operation::Operation;
use crate::wire::request::InferenceRequest;

/// One chat completion, streamed or whole.
pub(super) fn chat(
    request: Request,
    state: RequestState,
) -> impl Future<Output = Result<Response, ApiError>> + Send + 'static {
    infer(Operation::Chat, request, state)
}

/// One completion of a prompt, streamed or whole.
pub(super) fn completion(
    request: Request,
    state: RequestState,
) -> impl Future<Output = Result<Response, ApiError>> + Send + 'static {
    infer(Operation::Completions, request, state)
}

/// The embeddings of some inputs.
pub(super) fn embeddings(
    request: Request,
    state: RequestState,
) -> impl Future<Output = Result<Response, ApiError>> + Send + 'static {
    infer(Operation::Embeddings, request, state)
}

/// Answers a request of any operation. The content type is not checked: `curl -d` sends that of a form.
///
/// The future holds only what it needs, since each request has one on the heap.
fn infer(
    operation: Operation,
    request: Request,
    state: RequestState,
) -> impl Future<Output = Result<Response, ApiError>> + Send + 'static {
    let RequestState { app, context } = state;
    let RequestContext { connection, client: _, record, caller: Admitted { auth, admission } } = context;
    let ConnectionContext { deadline: ends_at, timer, .. } = connection;
    let principal = Arc::clone(auth.principal());
    let (http::request::Parts { headers, .. }, body) = request.into_parts();
    async move {
        let body = app.bodies.read(&principal.id, &headers, body, &timer).await?;
        let (request, memory) = parse(&app, operation, &principal.id, body).await?;
        let caller = Caller { principal, admission, headers, record, memory, ends_at, timer };
        app.relay.complete(caller, request)?.await
    }
}

/// Parses a body; a large one in the pool for long computations, so that other connections of this thread do not wait.
async fn parse(
    app: &AppState,
    operation: Operation,
    key: &Arc<str>,
    body: ReadBody,
) -> Result<(InferenceRequest, Grant), ApiError> {
    let (ReadBody { bytes, share }, rules) = (body, app.rules);
    if bytes.len() <= MAX_INLINE {
        return Ok((InferenceRequest::parse(operation, bytes, &rules)?, share));
    }
    let parse = move || (InferenceRequest::parse(operation, bytes, &rules), share);
    // On the heap: it is rarely needed, and would make the future of every request larger.
    let (request, share) = Box::pin(app.offload.run(key, parse)).await?;
    Ok((request?, share))
}
