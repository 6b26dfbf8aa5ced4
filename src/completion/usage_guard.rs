//! The resources of a running completion and their settlement at its end: the stream's permit, the reserved tokens,
//! the metrics of running streams, the usage record.
//!
//! A completion ends by [`UsageGuard::finish`]. A guard that is dropped without it settles too: then the client has
//! left, the server was shut down before the response had a head, or the task panicked.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

use super::context::{Caller, Context};
use super::model_name;
use super::usage_counter::UsageCounter;
use crate::auth::keyring::Principal;
use crate::error::ApiError;
use crate::limiter::{Allotment, Reservation, StreamPermit};
use crate::telemetry::metrics::{FinishedCompletion, GaugeGuard, OperationMetrics};
use crate::telemetry::record::{Record, Terminal};
use crate::time::{ResponseDeadline, ShutdownSignal};
use crate::upstream::Failure;
use crate::usage::{UsageRecord, UsageRecorder};
use crate::wire::chunk::Usage;
use crate::wire::operation::Operation;
use crate::wire::request::InferenceRequest;

/// A token of English prose or code is about four bytes: OpenAI's own rule of thumb.
pub(super) const BYTES_A_TOKEN: u64 = 4;
/// Tokens that a stream reserves at once when it has used up its reservation.
const RESERVATION_STEP: u64 = 16;
/// Time between two updates of the metrics by a running stream: all streams share them.
const UPDATE_INTERVAL: Duration = Duration::from_secs(1);
/// The status in the log and the usage record if the client left before there was one.
const CLIENT_CLOSED_REQUEST: u16 = 499;

/// See the module. On the heap, since it moves from the request to the body of the response.
pub(super) struct UsageGuard {
    record: Record,
    usage_recorder: UsageRecorder,
    metrics: Arc<OperationMetrics>,
    principal: Arc<Principal>,
    operation: Operation,
    model: Arc<str>,
    streamed: bool,
    deadline: ResponseDeadline,
    /// Ends responses that have no head yet by dropping them.
    abort: ShutdownSignal,
    /// None once the completion is settled.
    reservation: Option<Reservation>,
    /// Given back by its drop.
    _permit: Option<StreamPermit>,
    _running: Option<GaugeGuard>,
    counter: UsageCounter,
    status: u16,
    /// The model that answered, as the upstream named it.
    answered: Option<Arc<str>>,
}

/// How a completion ended.
#[derive(Clone, Copy)]
pub(super) enum Outcome<'a> {
    /// Answered in full.
    Completed,
    /// The upstreams failed, and the client got this error.
    UpstreamFailed(&'a Failure, &'a ApiError),
    /// The local model refused or failed: nothing was generated.
    NotGenerated(&'a ApiError),
    /// The server ended it with this error.
    Ended(Terminal, &'a ApiError),
}

impl UsageGuard {
    /// A guard of what the limits have allotted to `request`.
    pub(super) fn new(
        context: &Context,
        caller: &Caller,
        request: &InferenceRequest,
        metrics: &Arc<OperationMetrics>,
        Allotment { permit, reservation }: Allotment,
    ) -> Box<Self> {
        Box::new(Self {
            record: caller.record.clone(),
            usage_recorder: context.usage_recorder.clone(),
            metrics: Arc::clone(metrics),
            principal: Arc::clone(&caller.principal),
            operation: request.operation,
            model: Arc::clone(&request.model),
            streamed: request.stream,
            deadline: caller.ends_at.clone(),
            abort: context.abort.clone(),
            reservation: Some(reservation),
            _permit: permit,
            _running: request.stream.then(|| metrics.stream_begins()),
            counter: UsageCounter::new(request),
            status: CLIENT_CLOSED_REQUEST,
            answered: None,
        })
    }

    pub(super) const fn record(&self) -> &Record {
        &self.record
    }

    /// Takes the name of the model that answers.
    pub(super) fn note_model_name(&mut self, name: Option<Cow<'_, str>>) {
        if let Some(model) = name.filter(|name| !name.is_empty()) {
            let asked = &self.model;
            let is_asked = *model == **asked;
            self.answered =
                Some(if is_asked { Arc::clone(asked) } else { model_name::truncated(&model.as_ref().into()) });
        }
    }

    pub(super) const fn knows_model(&self) -> bool {
        self.answered.is_some()
    }

    /// The id of the key.
    pub(super) fn key_id(&self) -> &Arc<str> {
        &self.principal.id
    }

    /// The first token has come.
    pub(super) fn first_token(&self) {
        let elapsed = self.record.elapsed();
        self.record.facts().first_token.get_or_insert(elapsed);
        self.metrics.first_token(elapsed);
    }

    /// The response begins with status 200, however it ends.
    pub(super) const fn begin(&mut self) {
        self.status = 200;
    }

    /// Records the time between two chunks; the second came `now`.
    pub(super) fn interval(&mut self, interval: Duration, now: Instant) {
        self.counter.intervals.record(interval);
        self.progress(now);
    }

    /// Progress of the stream: updates the metrics if that is due.
    pub(super) fn progress(&mut self, now: Instant) {
        let update_at = *self.counter.update_at.get_or_insert_with(|| now + UPDATE_INTERVAL);
        if now < update_at {
            return;
        }
        self.counter.update_at = Some(now + UPDATE_INTERVAL);
        let tokens = self.counter.completion();
        self.metrics.progress(&mut self.counter.intervals, tokens.saturating_sub(self.counter.in_metrics));
        self.counter.in_metrics = self.counter.in_metrics.max(tokens);
    }

    /// The counts of the whole answer, from the local model.
    pub(super) const fn count_exactly(&mut self, usage: Usage) {
        self.counter.usage = Some(usage);
        self.counter.usage_is_final = true;
    }

    /// Counts from an upstream: of the whole answer, or of what came so far.
    pub(super) fn report(&mut self, usage: Usage, is_final: bool) {
        if !self.counter.report(usage, is_final) {
            let Usage { prompt_tokens, completion_tokens } = usage;
            let request_id = &**self.record.id();
            tracing::warn!(request_id, prompt_tokens, completion_tokens, "an upstream's token counts are impossible");
        }
    }

    /// Tokens that went to the client, should no count come.
    pub(super) const fn count(&mut self, tokens: u64) {
        self.counter.counted = self.counter.counted.saturating_add(tokens);
    }

    /// The usage if the answer ended now: reported where that is known, otherwise estimated and counted.
    pub(super) fn used(&self) -> Usage {
        self.counter.used()
    }

    /// Whether the limits have tokens for what has been sent so far; reserves more if necessary.
    pub(super) fn can_afford(&mut self) -> bool {
        let used = self.counter.total();
        let Some(reservation) = &mut self.reservation else { return true };
        let missing = used.saturating_sub(reservation.tokens());
        // Not for every token, but the last ones one by one.
        missing == 0 || reservation.extend(missing.max(RESERVATION_STEP)) || reservation.extend(missing)
    }

    /// Ends the completion: releases its permit and reservation, charges its usage, and writes its usage record.
    pub(super) fn finish(mut self: Box<Self>, outcome: Outcome<'_>) {
        let (terminal, error) = match outcome {
            Outcome::Completed => {
                self.counter.usage_is_final |= self.counter.usage.is_some();
                self.status = 200;
                (Terminal::Completed, None)
            }
            Outcome::UpstreamFailed(failure, error) => {
                // If the upstream did no work, none is charged.
                if failure.generated_nothing() && self.counter.counted == 0 {
                    self.counter.prompt_estimate = 0;
                }
                let refused = matches!(failure, Failure::Refused(_)) && !error.status().is_server_error();
                (if refused { Terminal::Refused } else { Terminal::Failed }, Some(error))
            }
            Outcome::NotGenerated(error) => {
                self.counter.prompt_estimate = 0;
                let refused = !error.status().is_server_error();
                (if refused { Terminal::Refused } else { Terminal::Failed }, Some(error))
            }
            Outcome::Ended(terminal, error) => (terminal, Some(error)),
        };
        self.settle(terminal, error);
    }

    fn settle(&mut self, terminal: Terminal, error: Option<&ApiError>) {
        let Some(reservation) = self.reservation.take() else { return };
        let (usage, source) = self.counter.settled(self.streamed, terminal == Terminal::Completed);
        let Usage { prompt_tokens, completion_tokens } = usage;
        reservation.settle(prompt_tokens.saturating_add(completion_tokens));
        if let Some(error) = error
            && self.status != 200
        {
            self.status = error.status().as_u16();
        }
        let reason = error.map(|error| Arc::<str>::from(error.reason()));
        let duration = self.record.elapsed();
        let mut facts = self.record.facts();
        if reason.is_some() {
            facts.failure.clone_from(&reason);
        }
        facts.prompt_tokens = prompt_tokens;
        facts.completion_tokens = completion_tokens;
        facts.source = source;
        facts.terminal = Some(terminal);
        let (target, attempts, first_token) = (facts.target.clone(), facts.attempts.len(), facts.first_token);
        drop(facts);
        self.metrics.finished(&FinishedCompletion {
            terminal,
            duration,
            prompt_tokens,
            completion_tokens,
            source,
            intervals: &self.counter.intervals,
            reported_tokens: self.counter.in_metrics,
        });
        self.usage_recorder.record(UsageRecord {
            at: Timestamp::now(),
            request_id: Some(Arc::clone(self.record.id())),
            key_id: Arc::clone(&self.principal.id),
            key: Arc::clone(&self.principal.name),
            operation: self.operation,
            model: Arc::clone(&self.model),
            target,
            attempts: u32::try_from(attempts).unwrap_or(u32::MAX),
            streamed: self.streamed,
            prompt_tokens,
            completion_tokens,
            source,
            first_token,
            duration,
            terminal,
            reason,
            status: self.status,
            answered: self.answered.take(),
        });
    }
}

impl Drop for UsageGuard {
    /// Settles a completion that was not finished: its response was dropped.
    fn drop(&mut self) {
        if self.reservation.is_none() {
            return;
        }
        if std::thread::panicking() {
            // The task unwinds: a fault of the server, which the client must not be blamed for.
            return self.settle(Terminal::Failed, Some(&ApiError::internal()));
        }
        if self.abort.is_raised() {
            return self.settle(Terminal::Shutdown, Some(&ApiError::shutting_down()));
        }
        self.status = CLIENT_CLOSED_REQUEST;
        let stalled = self.deadline.was_cut();
        self.settle(if stalled { Terminal::ClientStalled } else { Terminal::ClientGone }, None);
    }
}

#[cfg(test)]
pub(super) mod tests;
