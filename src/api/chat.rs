//! `POST /v1/chat/completions`.

use std::convert::Infallible;
use std::future::Future;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use http::request::Parts;
use tower::Service;

use super::AppState;
use super::body::ReadBody;
use super::front::Answering;
use crate::bound::Grant;
use crate::completion::Caller;
use crate::error::ApiError;
use crate::middleware::authenticate::{AuthContext, Peer};
use crate::offload::MAX_INLINE;
use crate::telemetry::record::Record;
use crate::time::TaskTimer;
use crate::wire::request::ChatRequest;

/// Where completions are asked for.
pub(super) const PATH: &str = "/v1/chat/completions";

/// The handler.
#[derive(Clone)]
pub(super) struct Completions(pub(super) Arc<AppState>);

impl Service<Request> for Completions {
    type Response = Response;
    type Error = Infallible;
    type Future = Answering;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request) -> Answering {
        Box::pin(answer(Arc::clone(&self.0), request))
    }
}

/// One completion, streamed or whole. The content type is not looked at: `curl -d` sends that of a form.
async fn answer(state: Arc<AppState>, request: Request) -> Result<Response, Infallible> {
    let (head, body) = request.into_parts();
    let Some(key) = head.extensions.get::<AuthContext>().map(|standing| Arc::clone(&standing.principal().id)) else {
        tracing::error!("a layer is missing in front of the handler");
        return Ok(ApiError::internal().into_response());
    };
    let timer = head.extensions.get::<Peer>().map(|peer| peer.timer.clone()).unwrap_or_default();
    let read = match state.bodies.read(&key, &head.headers, body, &timer).await {
        Ok(body) => parse(&state, &key, body).await,
        Err(error) => Err(error),
    };
    let answer = match read.and_then(|(request, memory)| begin(&state, head, request, memory, timer)) {
        Ok(answer) => answer.await,
        Err(error) => Err(error),
    };
    Ok(answer.into_response())
}

/// Reads a body: a large one where it keeps no connection of this thread waiting.
async fn parse(state: &AppState, key: &Arc<str>, body: ReadBody) -> Result<(ChatRequest, Grant), ApiError> {
    let (ReadBody { bytes, share }, rules) = (body, state.rules);
    if bytes.len() <= MAX_INLINE {
        return Ok((ChatRequest::parse(bytes, &rules)?, share));
    }
    let parse = move || (ChatRequest::parse(bytes, &rules), share);
    // On the heap: it is rarely needed, and the room for it would be copied with every request.
    let (request, share) = Box::pin(state.offload.run(key, parse)).await?;
    Ok((request?, share))
}

/// Takes on what is asked for.
fn begin(
    state: &AppState,
    mut head: Parts,
    request: ChatRequest,
    memory: Grant,
    timer: TaskTimer,
) -> Result<impl Future<Output = Result<Response, ApiError>> + Send, ApiError> {
    // Nobody else needs them any more.
    let extensions = &mut head.extensions;
    let standing = extensions.remove::<AuthContext>().map(AuthContext::into_parts);
    let (Some((principal, Some(admission))), Some(record)) = (standing, extensions.remove::<Record>()) else {
        tracing::error!("a layer is missing in front of the handler");
        return Err(ApiError::internal());
    };
    let caller = Caller {
        principal,
        admission,
        record,
        headers: head.headers,
        memory,
        timer,
        ends_at: extensions.remove::<Peer>().map(|peer| peer.ends_at).unwrap_or_default(),
    };
    state.relay.complete(caller, request)
}
