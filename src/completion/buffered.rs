//! An answer that is no stream: read whole and checked before a status goes out.

use std::ops::Range;
use std::pin::pin;
use std::sync::Arc;

use axum::response::Response;
use bytes::{Bytes, BytesMut};
use http::StatusCode;

use super::context::Context;
use super::error_response::{check_answer, refusal};
use super::memory::Memory;
use super::proxy_request::ProxyRequest;
use super::response_head;
use super::retry::first_success;
use super::timeouts::{Limit, within};
use super::usage_guard::{BYTES_A_TOKEN, Outcome, UsageGuard};
use crate::error::ApiError;
use crate::upstream::{Failure, Route, Target, UpstreamRequest, UpstreamResponse};
use crate::wire::chunk::DecodedChunk;
use crate::wire::members::{span, string_value};
use crate::wire::operation::{Operation, Resource};
use crate::wire::request::RequestedUsage;
use crate::wire::translation::TokenCounts;

/// Sends the request to the route's targets in turn and passes the answer on, byte for byte.
pub(super) async fn complete(
    context: &Context,
    mut usage: Box<UsageGuard>,
    route: Arc<Route>,
    request: Box<ProxyRequest>,
) -> Result<Response, ApiError> {
    let request = &*request;
    let record = usage.record().clone();
    let ask = |target: Arc<Target>, _| async move { ask(context, &target, request).await };
    match first_success(&route, request.session, &record, &request.timer, false, ask).await {
        Ok((Answer { status, body, translated, facts, model }, mut lease)) => {
            lease.record_success();
            if request.operation != Operation::Embeddings {
                usage.first_token();
            }
            usage.note_model_name(model.and_then(|at| string_value(std::str::from_utf8(body.get(at)?).ok()?)));
            // An answer without text has no tokens, however long it is.
            if facts.tokens > 0 {
                usage.count(body.len() as u64 / BYTES_A_TOKEN);
            }
            if let Some(reported) = facts.usage {
                usage.report(reported, true);
            }
            usage.finish(Outcome::Completed);
            Ok(response_head::json(status, translated.unwrap_or(body)))
        }
        Err(failure) => {
            let error = ApiError::of_upstream(&failure, request.operation);
            usage.finish(Outcome::UpstreamFailed(&failure, &error));
            Err(error)
        }
    }
}

/// An answer that was checked.
struct Answer {
    status: StatusCode,
    /// As the upstream sent it.
    body: Bytes,
    /// What the client gets instead of it.
    translated: Option<Bytes>,
    facts: DecodedChunk,
    /// Where in `body` the JSON of its `model` is.
    model: Option<Range<usize>>,
}

async fn ask(context: &Context, target: &Arc<Target>, request: &ProxyRequest) -> Result<Answer, Failure> {
    let body = request.request.forward(target.model(), RequestedUsage::None);
    let limit = Limit::to_open(target.timeouts(), request.arrival, request.timer.now(), false);
    let to_send = UpstreamRequest {
        resource: Resource::Answer(request.request.operation),
        body,
        stream: false,
        client: &request.client_headers,
    };
    let mut answer = within(&request.timer, limit, pin!(target.send(&to_send))).await?;
    if !answer.status.is_success() {
        let mut refused = Box::pin(async { Err(refusal(target, request.request.operation, answer).await) });
        return within(&request.timer, Limit::in_all(target.timeouts(), request.arrival), refused.as_mut()).await;
    }
    if answer.is_encoded {
        return Err(Failure::Malformed("its body is encoded although that was not asked for"));
    }
    let mut memory = Memory::new(request.answer_memory.sibling());
    let body = read(&mut answer, target, request, (context.limits.answer, &mut memory)).await?;
    let (facts, model) = check_answer(target, request.request.operation, &body)?;
    let model = model.map(|model| span(&body, model.as_bytes()));
    let translated = translated(request, &body, &mut memory)?;
    let body = if translated.is_some() { body } else { memory.keep(body) };
    Ok(Answer { status: answer.status, body, translated, facts, model })
}

/// The answer in the API of the client's request, if that is another one.
fn translated(request: &ProxyRequest, body: &Bytes, memory: &mut Memory) -> Result<Option<Bytes>, Failure> {
    let Some(translation) = &request.translation else { return Ok(None) };
    let output = body.len() as u64 / BYTES_A_TOKEN;
    let counted = TokenCounts { input: request.request.prompt_estimate, output, ..TokenCounts::default() };
    let answer = translation
        .whole(body, counted)
        .map_err(|_| Failure::Malformed("it can't be translated to the API of the request"))?;
    // Both are in memory until the upstream's is dropped.
    memory.hold(body.len() + answer.len())?;
    Ok(Some(memory.keep(answer)))
}

/// Reads the whole body; fails at the `idle` timeout.
async fn read(
    answer: &mut UpstreamResponse,
    target: &Target,
    request: &ProxyRequest,
    (most, memory): (usize, &mut Memory),
) -> Result<Bytes, Failure> {
    // Most come in one piece.
    let (mut first, mut whole) = (Bytes::new(), BytesMut::new());
    loop {
        let limit = Limit::to_go_on(target.timeouts(), request.arrival, request.timer.now());
        let Some(data) = within(&request.timer, limit, pin!(async { answer.body.data().await.transpose() })).await?
        else {
            break;
        };
        if first.len() + whole.len() + data.len() > most {
            return Err(Failure::Malformed("it is too long"));
        }
        if first.is_empty() && whole.is_empty() {
            first = data;
            continue;
        }
        whole.extend_from_slice(&std::mem::take(&mut first));
        whole.extend_from_slice(&data);
        memory.hold(whole.capacity())?;
    }
    Ok(if first.is_empty() { whole.freeze() } else { first })
}
