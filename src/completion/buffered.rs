//! A completion that is no stream: read whole and checked before a status goes out.

use std::pin::pin;
use std::sync::Arc;

use axum::response::Response;
use bytes::{Bytes, BytesMut};
use http::StatusCode;
use tokio::time::Instant;

use super::error_answer::{check_answer, refusal};
use super::memory::Memory;
use super::open::ProxyRequest;
use super::retry::first_success;
use super::timeouts::{Limit, within};
use super::usage_guard::{BYTES_A_TOKEN, UsageGuard};
use super::{CompletionService, response_head};
use crate::error::ApiError;
use crate::upstream::{Failure, Route, Target, UpstreamRequest, UpstreamResponse};
use crate::wire::chunk::DecodedChunk;
use crate::wire::request::RequestedUsage;

/// Asks the route's target and passes its answer on, byte for byte.
pub(super) async fn complete(
    relay: &CompletionService,
    mut account: Box<UsageGuard>,
    route: Arc<Route>,
    order: Box<ProxyRequest>,
) -> Result<Response, ApiError> {
    let order = &*order;
    let record = &account.record().clone();
    let whole =
        first_success(&route, record, &order.timer, false, |target, _| async move { ask(relay, &target, order).await });
    match whole.await {
        Ok(((status, body, facts), mut lease)) => {
            lease.well();
            account.first_token();
            account.answered_with(&body);
            // An answer without text has no tokens, however long it is.
            if facts.tokens > 0 {
                account.counted(body.len() as u64 / BYTES_A_TOKEN);
            }
            if let Some(usage) = facts.usage {
                account.told(usage, true);
            }
            account.complete();
            Ok(response_head::json(status, body))
        }
        Err(failure) => {
            let error = ApiError::from(&failure);
            account.fail_with(&failure, &error);
            Err(error)
        }
    }
}

async fn ask(
    relay: &CompletionService,
    target: &Arc<Target>,
    order: &ProxyRequest,
) -> Result<(StatusCode, Bytes, DecodedChunk), Failure> {
    let body = order.request.forward(target.model(), RequestedUsage::None);
    let limit = Limit::to_open(target.timeouts(), order.arrival, Instant::now(), false);
    let ask = UpstreamRequest { body, stream: false, client: &order.client };
    let mut answer = within(&order.timer, limit, pin!(target.send(&ask))).await?;
    if !answer.status.is_success() {
        let mut refused = Box::pin(async { Err(refusal(target, answer).await) });
        return within(&order.timer, Limit::in_all(target.timeouts(), order.arrival), refused.as_mut()).await;
    }
    if answer.is_encoded {
        return Err(Failure::Malformed("its body is encoded although that was not asked for"));
    }
    let mut memory = Memory::new(order.answer.sibling());
    let body = read(&mut answer, target, order, (relay.limits.answer, &mut memory)).await?;
    let facts = check_answer(target, &body)?;
    Ok((answer.status, memory.keep(body), facts))
}

/// The body, as long as it does not fall silent.
async fn read(
    answer: &mut UpstreamResponse,
    target: &Target,
    order: &ProxyRequest,
    (most, memory): (usize, &mut Memory),
) -> Result<Bytes, Failure> {
    // Most come in one piece.
    let (mut first, mut whole) = (Bytes::new(), BytesMut::new());
    loop {
        let limit = Limit::to_go_on(target.timeouts(), order.arrival, Instant::now());
        let Some(data) = within(&order.timer, limit, pin!(async { answer.body.data().await.transpose() })).await?
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
