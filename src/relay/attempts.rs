//! Asking one target after another, while nothing has reached the client.

use std::future::Future;
use std::sync::Arc;
use std::time::Instant;

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
            Err(failure) if all_out && failure.may_be_retried() => return Err(Failure::AllOut(route.due_back())),
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
    record.facts().target = Some(target.name().to_owned());
    let began = Instant::now();
    let result = ask(target).await;
    let outcome = match &result {
        Ok(_) => "ok",
        Err(failure) => failure.reason(),
    };
    record.facts().attempts.push(Attempt {
        target: lease.target().name().to_owned(),
        outcome,
        duration: began.elapsed(),
    });
    match result {
        Ok(done) => {
            lease.well();
            Ok((done, lease))
        }
        Err(failure) => {
            lease.failed(&failure);
            Err(failure)
        }
    }
}
