//! Retries: one target after another, as long as nothing has reached the client.

use std::future::{Future, pending};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use crate::telemetry::record::{Attempt, Record};
use crate::time::{TaskTimer, timeout_at};
use crate::upstream::{Failure, Lease, Pick, Route, SessionKey, Target};

/// Tries the route's targets until one answers, or the attempts or the retry budget are used up: first the one that
/// `session` prefers, if it is given. `ask` gets a target, and whether another one can take over if it fails.
///
/// A request without a stream is not retried after a timeout: the upstream would generate the same answer a second
/// time.
///
/// # Errors
/// The last target's failure; [`Failure::AllEjected`] if every target was ejected and the one that was tried
/// nevertheless failed.
pub(super) async fn first_success<T, F>(
    route: &Arc<Route>,
    session: Option<SessionKey>,
    record: &Record,
    timer: &TaskTimer,
    streamed: bool,
    mut ask: impl FnMut(Arc<Target>, bool) -> F,
) -> Result<(T, Lease), Failure>
where
    F: Future<Output = Result<T, Failure>>,
{
    route.deposit(record.now());
    let mut sequence = AttemptSequence {
        route,
        session,
        record,
        timer,
        attempts: 0,
        tried: Vec::new(),
        failed: Vec::new(),
        repeated: 0,
        last: None,
    };
    while let Some((member, all_out)) = sequence.next().await {
        let another = sequence.begin(member);
        let result = attempt(route, member, record, |target| ask(target, another)).await;
        let failure = match result {
            Ok(done) => return Ok(done),
            Err(failure) => failure,
        };
        if !failure.may_be_retried() || !streamed && failure.is_slow_generation() {
            return Err(failure);
        }
        if all_out {
            return Err(Failure::AllEjected {
                wait: route.time_until_available(record.now()),
                cause: Box::new(failure),
            });
        }
        sequence.failed(member, failure);
    }
    Err(sequence.end())
}

/// The attempts of one request.
struct AttemptSequence<'a> {
    route: &'a Arc<Route>,
    session: Option<SessionKey>,
    record: &'a Record,
    timer: &'a TaskTimer,
    attempts: u32,
    tried: Vec<usize>,
    /// Tried members that may be retried, in the order of their failures, each with the wait of its `retry-after`.
    failed: Vec<(usize, Duration)>,
    /// Attempts at members that had failed before.
    repeated: u32,
    last: Option<Failure>,
}

impl AttemptSequence<'_> {
    /// The member to try next, and whether it is tried although all are ejected. Waits if only tried members are left.
    async fn next(&mut self) -> Option<(usize, bool)> {
        if self.attempts >= self.route.max_attempts() {
            return None;
        }
        match (self.pick(), &self.last) {
            (Some(Pick::Available(member)), None) => Some((member, false)),
            (Some(Pick::Available(member)), Some(last)) => {
                (last.is_free_elsewhere() || self.route.withdraw(self.record.now())).then_some((member, false))
            }
            // All are ejected: an attempt may succeed, a refusal can't.
            (Some(Pick::AllEjected(member)), None) => Some((member, true)),
            (None, None) => None,
            (_, Some(_)) => self.next_repeated().await.map(|member| (member, false)),
        }
    }

    fn pick(&self) -> Option<Pick> {
        self.route.pick(&self.tried, self.session, self.record.now())
    }

    /// A member to retry, after its wait, or another one that has recovered meanwhile.
    async fn next_repeated(&mut self) -> Option<usize> {
        if self.repeated >= self.route.max_same_target() {
            return None;
        }
        let pause = self.route.backoff(self.repeated);
        let spent = self.record.elapsed();
        let fits = |(member, wait): &(usize, Duration)| {
            let (wait, total) = (pause + *wait, self.route.target(*member).timeouts().total);
            total.is_none_or(|total| spent + wait < total)
                && self.route.is_available_after(*member, wait, self.record.now())
        };
        let place = self.failed.iter().position(fits)?;
        // Before the wait, so that no more requests wait than the budget allows to retry.
        if !self.route.withdraw(self.record.now()) {
            return None;
        }
        let (member, wait) = self.failed.remove(place);
        // Dropped if the client leaves.
        let _over = timeout_at(self.timer, self.timer.now() + pause + wait, pin!(pending::<()>())).await;
        if let Some(Pick::Available(other)) = self.pick() {
            return Some(other);
        }
        self.repeated += 1;
        // Another request may have had it ejected meanwhile.
        self.route.is_available_after(member, Duration::ZERO, self.record.now()).then_some(member)
    }

    /// Begins an attempt at a member. Returns whether another member can take over.
    fn begin(&mut self, member: usize) -> bool {
        self.attempts += 1;
        if !self.tried.contains(&member) {
            self.tried.push(member);
        }
        self.attempts < self.route.max_attempts() && self.route.has_untried(&self.tried, self.record.now())
    }

    fn failed(&mut self, member: usize, failure: Failure) {
        self.failed.extend(self.route.same_target_delay(&failure).map(|wait| (member, wait)));
        self.last = Some(failure);
    }

    /// The last failure; of a rate limit or an overload, with the time until the first target is due back if all are
    /// ejected.
    fn end(self) -> Failure {
        let mut failure = self.last.unwrap_or(Failure::Unanswered);
        let wait = self.route.time_until_available(self.record.now());
        if !wait.is_zero() {
            failure.set_retry_after(wait);
        }
        failure
    }
}

async fn attempt<T, F>(
    route: &Arc<Route>,
    member: usize,
    record: &Record,
    ask: impl FnOnce(Arc<Target>) -> F,
) -> Result<(T, Lease), Failure>
where
    F: Future<Output = Result<T, Failure>>,
{
    let began = record.now();
    let mut lease = route.lease(member, began);
    let target = Arc::clone(lease.target());
    // Overwritten at the end of the attempt, unless the client leaves before.
    let cancelled = Attempt { target: Arc::clone(target.name()), outcome: "cancelled", duration: Duration::ZERO };
    record.facts().begin_attempt(cancelled);
    let result = ask(target).await;
    if let Some(last) = record.facts().attempts.last_mut() {
        last.outcome = result.as_ref().err().map_or("ok", Failure::reason);
        last.duration = record.now() - began;
    }
    match result {
        Ok(done) => {
            lease.record_attempt_success();
            Ok((done, lease))
        }
        Err(failure) => {
            // Only the log has the exact reason.
            tracing::warn!(request_id = &**record.id(), upstream = &**lease.target().name(), %failure, "an attempt failed");
            lease.record_attempt_failure(&failure, record.now());
            Err(failure)
        }
    }
}

#[cfg(test)]
mod tests;
