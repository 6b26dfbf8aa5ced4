//! Asking one target after another, while nothing has reached the client.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use crate::clock;
use crate::telemetry::record::{Attempt, Record};
use crate::upstream::{Failure, Lease, Pick, Route, Target};

/// Tries the route's targets until one answers, its attempts are used up, or its retry budget is.
///
/// # Errors
/// The last target's failure; [`Failure::AllOut`] when no target was in to begin with and asking anyway failed.
pub(super) async fn first_success<T, F>(
    route: &Arc<Route>,
    record: &Record,
    mut ask: impl FnMut(Arc<Target>) -> F,
) -> Result<(T, Lease), Failure>
where
    F: Future<Output = Result<T, Failure>>,
{
    route.deposit();
    let mut tried = Vec::new();
    let mut last = None;
    while tried.len() < route.attempts() as usize {
        let (member, all_out) = match (route.pick(&tried), &last) {
            (Some(Pick::In(member)), _) => (member, false),
            // Nobody is in, but to refuse unasked would be worse than to find out.
            (Some(Pick::Soonest(member)), None) => (member, true),
            _ => break,
        };
        if last.is_some() && !route.withdraw() {
            break;
        }
        tried.push(member);
        match attempt(route, member, record, &mut ask).await {
            Ok(done) => return Ok(done),
            Err(failure) if all_out && failure.may_be_retried() => {
                return Err(Failure::AllOut { wait: route.due_back(), cause: Box::new(failure) });
            }
            Err(failure) if !failure.may_be_retried() => return Err(failure),
            Err(failure) => last = Some(failure),
        }
    }
    Err(last.unwrap_or(Failure::Closed))
}

async fn attempt<T, F>(
    route: &Arc<Route>,
    member: usize,
    record: &Record,
    ask: &mut impl FnMut(Arc<Target>) -> F,
) -> Result<(T, Lease), Failure>
where
    F: Future<Output = Result<T, Failure>>,
{
    let mut lease = route.lease(member);
    let target = Arc::clone(lease.target());
    record.facts().target = Some(Arc::clone(target.name()));
    let began = clock::now();
    // Overwritten when it has come to something: a client that leaves meanwhile leaves this.
    let cancelled = Attempt { target: Arc::clone(target.name()), outcome: "cancelled", duration: Duration::ZERO };
    record.facts().attempts.push(cancelled);
    let result = ask(target).await;
    if let Some(last) = record.facts().attempts.last_mut() {
        last.outcome = result.as_ref().err().map_or("ok", Failure::reason);
        last.duration = clock::now() - began;
    }
    match result {
        Ok(done) => {
            lease.answered();
            Ok((done, lease))
        }
        Err(failure) => {
            // Why exactly is for the log alone.
            tracing::warn!(request_id = &**record.id(), upstream = &**lease.target().name(), %failure, "an attempt failed");
            lease.failed(&failure);
            Err(failure)
        }
    }
}
