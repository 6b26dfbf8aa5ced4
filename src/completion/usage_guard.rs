//! What a completion holds and owes: its stream's permit, its reserved tokens, its usage record.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

use crate::auth::keyring::Principal;
use crate::error::ApiError;
use crate::limiter::{RateLimited, Reservation, StreamPermit};
use crate::telemetry::metrics::{FinishedCompletion, GaugeGuard, IntervalHistogram, ModelMetrics};
use crate::telemetry::record::{Record, Source, Terminal};
use crate::time::{ResponseDeadline, ShutdownSignal};
use crate::upstream::Failure;
use crate::usage::{UsageRecord, UsageRecorder};
use crate::wire::chunk::Usage;
use crate::wire::members::string_member;
use crate::wire::request::ChatRequest;

use super::{Caller, beginning};

/// A token of English prose or code is about four bytes: OpenAI's own rule of thumb.
pub(super) const BYTES_A_TOKEN: u64 = 4;
/// Most tokens of a prompt, or of a completion whose request sets no maximum, that an upstream is believed. No model has
/// a context of this length, and reasoning that is not seen makes any smaller bound wrong.
const MAX_TOKENS: u64 = 10_000_000;
/// How many tokens a stream that has used up its reservation sets aside at once.
const MORE: u64 = 16;
/// Time between two moments in which a stream tells how far it is: what it tells to is shared by all.
const TELL: Duration = Duration::from_secs(1);
/// What the log and the usage records say when the client left before there was a status.
const CLIENT_CLOSED_REQUEST: u16 = 499;

/// Dropped with the body of the answer, at its last byte or when the client leaves; settles then. It goes from hand to hand,
/// so it stays in one place on the heap.
pub(super) struct UsageGuard {
    record: Record,
    usage_recorder: UsageRecorder,
    metrics: Arc<ModelMetrics>,
    principal: Arc<Principal>,
    model: Arc<str>,
    streamed: bool,
    socket: ResponseDeadline,
    /// The end of the drain, which drops answers that have not begun.
    abort: ShutdownSignal,
    reservation: Option<Reservation>,
    /// Freed on drop.
    _permit: Option<StreamPermit>,
    _in_flight: Option<GaugeGuard>,
    tally: UsageCounter,
    /// How the answer ended. None: it has not, so what drops the account is the client's leaving.
    ended: Option<(Terminal, Option<Arc<str>>)>,
    status: u16,
    /// The model that answered.
    answered: Option<Arc<str>>,
}

/// What has been counted.
#[derive(Default)]
struct UsageCounter {
    /// What the upstream told. A zero in it says nothing.
    usage: Option<Usage>,
    /// The usage is that of the whole answer, and not of a part of it.
    usage_is_final: bool,
    /// Most tokens of the completion that an upstream is believed.
    most: u64,
    prompt_estimate: u64,
    /// Tokens that went to the client, as far as we can tell: upstreams send one a chunk.
    counted: u64,
    gaps: IntervalHistogram,
    /// Tokens of the completion that others have been told of.
    told: u64,
    /// When they are told of more; none: the stream has only begun.
    tell_at: Option<Instant>,
}

impl UsageGuard {
    /// Takes a permit if this is a stream, and reserves an estimate of the tokens.
    pub(super) fn open(
        caller: &Caller,
        request: &ChatRequest,
        usage_recorder: &UsageRecorder,
        metrics: &Arc<ModelMetrics>,
        abort: &ShutdownSignal,
    ) -> Result<Box<Self>, RateLimited> {
        let permit = if request.stream { Some(caller.admission.stream()?) } else { None };
        let prompt_estimate = request.prompt_estimate;
        let most = request.max_tokens.unwrap_or(0).saturating_mul(request.n);
        let reservation = caller.admission.reserve(prompt_estimate.saturating_add(most))?;
        Ok(Box::new(Self {
            record: caller.record.clone(),
            usage_recorder: usage_recorder.clone(),
            metrics: Arc::clone(metrics),
            principal: Arc::clone(&caller.principal),
            model: Arc::clone(&request.model),
            streamed: request.stream,
            socket: caller.ends_at.clone(),
            abort: abort.clone(),
            reservation: Some(reservation),
            _permit: permit,
            _in_flight: request.stream.then(|| metrics.stream_begins()),
            tally: UsageCounter { prompt_estimate, most: most_believed(request), ..UsageCounter::default() },
            ended: None,
            status: CLIENT_CLOSED_REQUEST,
            answered: None,
        }))
    }

    pub(super) const fn record(&self) -> &Record {
        &self.record
    }

    /// An answer, or a chunk of it, which may name the model that answers.
    pub(super) fn answered_with(&mut self, data: &[u8]) {
        let model = std::str::from_utf8(data).ok().and_then(|text| string_member(text, "model"));
        if let Some(model) = model.filter(|model| !model.is_empty()) {
            let asked = &self.model;
            self.answered = Some(if *model == **asked { Arc::clone(asked) } else { beginning(&model.as_ref().into()) });
        }
    }

    /// Whether it is known which model answers.
    pub(super) const fn knows_who_answers(&self) -> bool {
        self.answered.is_some()
    }

    /// The id of the key that asks.
    pub(super) fn caller(&self) -> &Arc<str> {
        &self.principal.id
    }

    /// The first token is there.
    pub(super) fn first_token(&self) {
        let elapsed = self.record.elapsed();
        self.record.facts().first_token.get_or_insert(elapsed);
        self.metrics.first_token(elapsed);
    }

    /// The answer begins with 200, whatever comes of it.
    pub(super) const fn begin(&mut self) {
        self.status = 200;
    }

    /// So much time was between two chunks, of which the second has come `now`.
    pub(super) fn gap(&mut self, gap: Duration, now: Instant) {
        self.tally.gaps.record(gap);
        self.progress(now);
    }

    /// The stream goes on; says how far it is when it is time for that.
    pub(super) fn progress(&mut self, now: Instant) {
        let tell_at = *self.tally.tell_at.get_or_insert_with(|| now + TELL);
        if now < tell_at {
            return;
        }
        self.tally.tell_at = Some(now + TELL);
        let tokens = self.tally.completion_so_far();
        self.metrics.progress(&mut self.tally.gaps, tokens.saturating_sub(self.tally.told));
        self.tally.told = self.tally.told.max(tokens);
    }

    /// The counts of the whole answer, from the local model.
    pub(super) const fn exact(&mut self, usage: Usage) {
        self.tally.usage = Some(usage);
        self.tally.usage_is_final = true;
    }

    /// Counts from an upstream: of the whole answer, or of what came so far.
    pub(super) fn told(&mut self, usage: Usage, is_final: bool) {
        if !self.tally.tell(usage, is_final) {
            let Usage { prompt_tokens, completion_tokens } = usage;
            let request_id = &**self.record.id();
            tracing::warn!(request_id, prompt_tokens, completion_tokens, "an upstream's token counts are impossible");
        }
    }

    /// Tokens that went to the client, should no count come.
    pub(super) const fn counted(&mut self, tokens: u64) {
        self.tally.counted = self.tally.counted.saturating_add(tokens);
    }

    /// Whether the limits have tokens for what has been sent so far; sets more aside where need be.
    pub(super) fn can_afford(&mut self) -> bool {
        let used = self.tally.so_far();
        let Some(reservation) = &mut self.reservation else { return true };
        let missing = used.saturating_sub(reservation.tokens());
        // Not for every token, but the last ones one by one.
        missing == 0 || reservation.extend(missing.max(MORE)) || reservation.extend(missing)
    }

    /// The answer is complete.
    pub(super) fn complete(&mut self) {
        self.tally.usage_is_final |= self.tally.usage.is_some();
        self.status = 200;
        self.ended = Some((Terminal::Completed, None));
    }

    /// The answer was cut, or never begun; the client is told of `error`.
    pub(super) fn fail(&mut self, terminal: Terminal, error: &ApiError) {
        if self.status != 200 {
            self.status = error.status().as_u16();
        }
        let reason = Arc::<str>::from(error.reason());
        self.record.facts().failure = Some(Arc::clone(&reason));
        self.ended = Some((terminal, Some(reason)));
    }

    /// As [`UsageGuard::fail`], for an upstream's failure. Where the upstream did no work, none is charged.
    pub(super) fn fail_with(&mut self, failure: &Failure, error: &ApiError) {
        if failure.cost_nothing() && self.tally.counted == 0 {
            self.free();
        }
        let refused = matches!(failure, Failure::Refused(_)) && !error.status().is_server_error();
        self.fail(if refused { Terminal::Refused } else { Terminal::Failed }, error);
    }

    /// Nothing was generated: the request costs nothing.
    pub(super) const fn free(&mut self) {
        self.tally.prompt_estimate = 0;
    }

    fn ending(&mut self) -> (Terminal, Option<Arc<str>>) {
        if let Some(ended) = self.ended.take() {
            return ended;
        }
        if self.abort.is_raised() {
            // The answer was dropped before it had a head.
            let error = ApiError::shutting_down();
            self.fail(Terminal::Shutdown, &error);
            return self.ending();
        }
        self.status = CLIENT_CLOSED_REQUEST;
        (if self.socket.was_cut() { Terminal::ClientStalled } else { Terminal::ClientGone }, None)
    }
}

/// Most tokens of a completion that an upstream is believed: as many as were asked for, all choices together.
fn most_believed(request: &ChatRequest) -> u64 {
    request.max_tokens.map_or(MAX_TOKENS, |most| most.saturating_mul(request.n).min(MAX_TOKENS))
}

impl UsageCounter {
    /// Takes note of an upstream's counts, unless they are impossible: whoever sends one such count has none to trust.
    /// Zeros replace nothing.
    fn tell(&mut self, usage: Usage, is_final: bool) -> bool {
        if usage.prompt_tokens > MAX_TOKENS || usage.completion_tokens > self.most {
            return false;
        }
        let known = self.usage.get_or_insert_default();
        if usage.prompt_tokens > 0 {
            known.prompt_tokens = usage.prompt_tokens;
        }
        if usage.completion_tokens > 0 {
            known.completion_tokens = usage.completion_tokens;
        }
        self.usage_is_final = is_final;
        true
    }

    /// What has been used, if the answer ends here.
    fn used(&self) -> Usage {
        let told = self.usage.unwrap_or_default();
        Usage {
            prompt_tokens: if told.prompt_tokens == 0 { self.prompt_estimate } else { told.prompt_tokens },
            completion_tokens: self.completion_so_far(),
        }
    }

    fn so_far(&self) -> u64 {
        let Usage { prompt_tokens, completion_tokens } = self.used();
        prompt_tokens.saturating_add(completion_tokens)
    }

    /// The larger of told and counted: what was told may be older than what has come since.
    fn completion_so_far(&self) -> u64 {
        self.usage.map_or(0, |usage| usage.completion_tokens).max(self.counted)
    }

    /// What is charged, and where the counts come from; none where there was nothing to count.
    fn settled(&self, streamed: bool, complete: bool) -> (Usage, Option<Source>) {
        let mut used = self.used();
        if let Some(told) = self.usage {
            // What is said of a whole answer counts, although it may have come in more chunks than tokens.
            if complete && told.completion_tokens > 0 {
                used.completion_tokens = told.completion_tokens;
            }
            if used == told {
                return (used, Some(if self.usage_is_final { Source::Exact } else { Source::Running }));
            }
        }
        if used == Usage::default() {
            return (used, None);
        }
        if !streamed {
            // From the length of the whole body, and so too great for a short answer.
            used.completion_tokens = used.completion_tokens.min(self.most);
        }
        (used, Some(if streamed { Source::Counted } else { Source::Estimated }))
    }
}

impl Drop for UsageGuard {
    fn drop(&mut self) {
        let (terminal, reason) = self.ending();
        let (usage, source) = self.tally.settled(self.streamed, terminal == Terminal::Completed);
        let Usage { prompt_tokens, completion_tokens } = usage;
        if let Some(reservation) = self.reservation.take() {
            reservation.settle(prompt_tokens.saturating_add(completion_tokens));
        }
        let duration = self.record.elapsed();
        let mut facts = self.record.facts();
        facts.prompt_tokens = prompt_tokens;
        facts.completion_tokens = completion_tokens;
        facts.source = source;
        facts.terminal = Some(terminal);
        let (target, attempts, first_token) = (facts.target.clone(), facts.attempts.len(), facts.first_token);
        drop(facts);
        let UsageCounter { gaps, told, .. } = &self.tally;
        let finished = FinishedCompletion {
            terminal,
            duration,
            prompt_tokens,
            completion_tokens,
            source,
            intervals: gaps,
            reported_tokens: *told,
        };
        self.metrics.finished(&finished);
        self.usage_recorder.record(UsageRecord {
            at: Timestamp::now(),
            request_id: Some(Arc::clone(self.record.id())),
            key_id: Arc::clone(&self.principal.id),
            key: Arc::clone(&self.principal.name),
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

#[cfg(test)]
mod tests;
