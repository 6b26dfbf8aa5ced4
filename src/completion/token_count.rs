//! The number of tokens of a request for a message: counted by the local model or by the upstream, otherwise estimated.

use std::pin::pin;
use std::sync::Arc;

use axum::response::Response;
use bytes::Bytes;
use http::StatusCode;
use serde::{Deserialize, Serialize};

use super::context::Context;
use super::error_response::refusal;
use super::proxy_request::ProxyRequest;
use super::response_head;
use super::retry::first_success;
use super::timeouts::{Limit, within};
use crate::error::ApiError;
use crate::responder::Responder;
use crate::telemetry::record::Record;
use crate::upstream::{Failure, Route, Target, UpstreamRequest};
use crate::wire::operation::Resource;
use crate::wire::request::RequestedUsage;

/// Longest answer of an upstream, bytes.
const MAX_ANSWER_LEN: usize = 64 * 1024;

/// The answer.
#[derive(Serialize)]
struct TokenCount {
    input_tokens: u64,
    /// The count is an estimate: the model's own tokenizer is not known. Left out for a count.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    estimated: bool,
}

/// What an upstream's answer must have.
#[derive(Deserialize)]
struct UpstreamCount {
    #[expect(dead_code, reason = "it is there, and a number")]
    input_tokens: u64,
}

/// The local model's count of a chat request.
pub(super) async fn local(responder: &Responder, key: &Arc<str>, request: &ProxyRequest) -> Result<Response, ApiError> {
    let input_tokens = responder.count_prompt(key, &request.request).await?;
    Ok(answer(&TokenCount { input_tokens: input_tokens.into(), estimated: false }))
}

/// An estimate from the length of the texts.
pub(super) fn estimated(tokens: u64) -> Response {
    answer(&TokenCount { input_tokens: tokens, estimated: true })
}

/// The count of the first target that answers, as it came.
pub(super) async fn of_upstream(
    context: &Context,
    route: &Arc<Route>,
    record: &Record,
    request: &ProxyRequest,
) -> Result<Response, ApiError> {
    let counted =
        first_success(route, request.session, record, &request.timer, false, async |target: Arc<Target>, _| {
            let limit = Limit::to_open(target.timeouts(), request.arrival, request.timer.now(), false);
            within(&request.timer, limit, pin!(ask(context, &target, request))).await
        });
    match counted.await {
        Ok((body, mut lease)) => {
            lease.record_success();
            Ok(response_head::json(StatusCode::OK, body))
        }
        Err(failure) => Err(ApiError::of_upstream(&failure, request.operation)),
    }
}

async fn ask(context: &Context, target: &Target, request: &ProxyRequest) -> Result<Bytes, Failure> {
    let to_send = UpstreamRequest {
        resource: Resource::TokenCount,
        body: request.request.forward(target.model(), RequestedUsage::None),
        stream: false,
        client: &request.client_headers,
    };
    let mut answer = target.send(&to_send).await?;
    if !answer.status.is_success() {
        return Err(Box::pin(refusal(target, request.operation, answer)).await);
    }
    let most = MAX_ANSWER_LEN.min(context.limits.answer);
    let body = answer.body.read_to_end(most).await?.ok_or(Failure::Malformed("it is too long"))?;
    let count: Result<UpstreamCount, _> = serde_json::from_slice(&body);
    count.map(|_| body).map_err(|_| Failure::Malformed("it is not a count of tokens"))
}

fn answer(count: &TokenCount) -> Response {
    // Serialising numbers can't fail.
    response_head::json(StatusCode::OK, serde_json::to_vec(count).unwrap_or_default())
}
