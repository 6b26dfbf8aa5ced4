//! A completion that is no stream: read whole and checked before a status goes out.

use std::pin::pin;
use std::sync::Arc;

use axum::response::Response;
use bytes::{Bytes, BytesMut};
use http::StatusCode;

use super::error_answer::{check_answer, refusal};
use super::memory::Memory;
use super::open::{ProxyRequest, time_in_all, time_to_go_on, time_to_open, timed};
use super::retry::first_success;
use super::usage_guard::{BYTES_A_TOKEN, UsageGuard};
use super::{CompletionService, response_head};
use crate::error::ApiError;
use crate::telemetry::record::Record;
use crate::time::TaskTimer;
use crate::upstream::{Failure, Route, Target, UpstreamRequest, UpstreamResponse};
use crate::wire::chunk::Facts;
use crate::wire::request::UsageAsk;

/// Asks the route's target and passes its answer on, byte for byte.
pub(super) async fn complete(
    relay: &CompletionService,
    mut account: Box<UsageGuard>,
    route: Arc<Route>,
    order: Box<ProxyRequest>,
) -> Result<Response, ApiError> {
    let order = &*order;
    let record = &account.record().clone();
    let whole = first_success(&route, record, &order.timer, false, |target, _| async move {
        ask(relay, record, &target, order).await
    });
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
    record: &Record,
    target: &Arc<Target>,
    order: &ProxyRequest,
) -> Result<(StatusCode, Bytes, Facts), Failure> {
    let body = order.request.forward(target.model(), UsageAsk::Nothing);
    let ask = UpstreamRequest { body, stream: false, client: &order.client };
    let mut answer =
        timed(&order.timer, time_to_open(target, record.elapsed(), false), pin!(target.send(&ask))).await?;
    if !answer.status.is_success() {
        let mut refused = Box::pin(async { Err(refusal(target, answer).await) });
        return timed(&order.timer, time_in_all(target, record.elapsed()), refused.as_mut()).await;
    }
    if answer.is_encoded {
        return Err(Failure::Malformed("its body is encoded although that was not asked for"));
    }
    let mut memory = Memory::new(order.answer.another());
    let body = read(&mut answer, record, (target, &order.timer), (relay.limits.answer, &mut memory)).await?;
    let facts = check_answer(target, &body)?;
    Ok((answer.status, memory.keep(body), facts))
}

/// The body, as long as it does not fall silent.
async fn read(
    answer: &mut UpstreamResponse,
    record: &Record,
    (target, timer): (&Target, &TaskTimer),
    (limit, memory): (usize, &mut Memory),
) -> Result<Bytes, Failure> {
    // Most come in one piece.
    let (mut first, mut whole) = (Bytes::new(), BytesMut::new());
    loop {
        let time = time_to_go_on(target, record.elapsed());
        let Some(data) = timed(timer, time, pin!(async { answer.body.data().await.transpose() })).await? else { break };
        if first.len() + whole.len() + data.len() > limit {
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
