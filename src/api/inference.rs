//! `POST /v1/chat/completions`, `/v1/completions`, `/v1/embeddings`, `/v1/responses` and `/v1/messages`: requests that a
//! model answers; and `POST /v1/messages/count_tokens`.

use std::future::Future;
use std::sync::Arc;

use axum::extract::Request;
use axum::response::Response;
use bytes::Bytes;

use super::body::ReadBody;
use super::state::{AppState, RequestState};
use crate::bound::Grant;
use crate::completion::Caller;
use crate::error::ApiError;
use crate::middleware::context::{Admitted, ConnectionContext, RequestContext};
use crate::offload::MAX_INLINE;
use crate::wire::operation::Operation;
use crate::wire::request::{InferenceRequest, InvalidRequest, RequestRules};
use crate::wire::{messages, parse_request};

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

/// One response, streamed or whole.
pub(super) fn response(
    request: Request,
    state: RequestState,
) -> impl Future<Output = Result<Response, ApiError>> + Send + 'static {
    infer(Operation::Responses, request, state)
}

/// One message, streamed or whole. Its errors are in Anthropic's format.
pub(super) async fn message(request: Request, state: RequestState) -> Result<Response, ApiError> {
    Ok(infer(Operation::Messages, request, state).await.unwrap_or_else(ApiError::into_anthropic))
}

/// The tokens of a request for a message, whose `max_tokens` is optional. Its errors are in Anthropic's format.
pub(super) async fn count_tokens(request: Request, state: RequestState) -> Result<Response, ApiError> {
    Ok(count(request, state).await.unwrap_or_else(ApiError::into_anthropic))
}

async fn count(request: Request, state: RequestState) -> Result<Response, ApiError> {
    let RequestState { app, context } = state;
    let RequestContext { connection, client: _, record, caller: Admitted { auth, admission } } = context;
    let ConnectionContext { deadline: ends_at, timer, .. } = connection;
    let principal = Arc::clone(auth.principal());
    let (http::request::Parts { headers, .. }, body) = request.into_parts();
    let body = app.bodies.read(&principal.id, &headers, body, &timer).await?;
    let (request, memory) = parse(&app, messages::parse_count, &principal.id, body).await?;
    let caller = Caller { principal, admission, headers, record, memory, ends_at, timer };
    app.relay.count_tokens(caller, request).await
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
        let (request, memory) =
            parse(&app, move |body, rules| parse_request(operation, body, rules), &principal.id, body).await?;
        let caller = Caller { principal, admission, headers, record, memory, ends_at, timer };
        app.relay.complete(caller, request)?.await
    }
}

/// Parses a body; a large one in the pool for long computations, so that other connections of this thread do not wait.
async fn parse(
    app: &AppState,
    parser: impl FnOnce(Bytes, &RequestRules) -> Result<InferenceRequest, InvalidRequest> + Send + 'static,
    key: &Arc<str>,
    body: ReadBody,
) -> Result<(InferenceRequest, Grant), ApiError> {
    let (ReadBody { bytes, share }, rules) = (body, app.rules);
    if bytes.len() <= MAX_INLINE {
        return Ok((parser(bytes, &rules)?, share));
    }
    let parse = move || (parser(bytes, &rules), share);
    // On the heap: it is rarely needed, and would make the future of every request larger.
    let (request, share) = Box::pin(app.offload.run(key, parse)).await?;
    Ok((request?, share))
}
