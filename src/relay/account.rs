//! What a completion holds and owes: its stream's permit, its reserved tokens, its place in the log.

use crate::error::ApiError;
use crate::limiter::{Reservation, StreamPermit};
use crate::telemetry::record::{Record, Source};
use crate::wire::chunk::Usage;
use crate::wire::request::ChatRequest;

use super::Caller;

/// A token of English prose or code is about four bytes: OpenAI's own rule of thumb.
pub(super) const BYTES_A_TOKEN: u64 = 4;

/// Dropped with the body of the answer, at its last byte or when the client leaves; settles then.
pub(super) struct Account {
    record: Record,
    reservation: Option<Reservation>,
    /// Freed on drop.
    _permit: Option<StreamPermit>,
    usage: Option<Usage>,
    prompt_estimate: u64,
    /// Tokens that went to the client, as far as we can tell: upstreams send one a chunk.
    counted: u64,
    closed: bool,
}

impl Account {
    /// Takes a permit if this is a stream, and reserves an estimate of the tokens.
    pub(super) fn open(caller: &Caller, request: &ChatRequest) -> Result<Self, ApiError> {
        let limited = |limited: crate::limiter::Limited| ApiError::from(&limited);
        let permit = if request.stream { Some(caller.admission.stream().map_err(limited)?) } else { None };
        let prompt_estimate = request.messages_bytes as u64 / BYTES_A_TOKEN;
        let most = request.max_tokens.unwrap_or(0).saturating_mul(request.n);
        let reservation = caller.admission.reserve(prompt_estimate.saturating_add(most)).map_err(limited)?;
        Ok(Self {
            record: caller.record.clone(),
            reservation: Some(reservation),
            _permit: permit,
            usage: None,
            prompt_estimate,
            counted: 0,
            closed: false,
        })
    }

    pub(super) const fn record(&self) -> &Record {
        &self.record
    }

    /// The first token is there.
    pub(super) fn first_token(&self) {
        let elapsed = self.record.elapsed();
        self.record.facts().first_token.get_or_insert(elapsed);
    }

    /// The counts, from whoever generated the tokens.
    pub(super) const fn exact(&mut self, usage: Usage) {
        self.usage = Some(usage);
    }

    /// Tokens that went to the client, for an estimate should no count come.
    pub(super) const fn counted(&mut self, tokens: u64) {
        self.counted += tokens;
    }

    /// A target is about to be asked.
    pub(super) fn attempt(&self, target: &str) {
        let mut facts = self.record.facts();
        facts.target = Some(target.to_owned());
        facts.attempts += 1;
    }

    /// The answer is complete, or has failed for a reason.
    pub(super) fn close(&mut self, failure: Option<&str>) {
        self.closed = true;
        self.record.facts().failure = failure.map(str::to_owned);
    }

    /// Nothing was generated: the request costs nothing.
    pub(super) fn free(&mut self) {
        self.prompt_estimate = 0;
    }
}

impl Drop for Account {
    fn drop(&mut self) {
        let source = if self.usage.is_some() { Source::Exact } else { Source::Estimated };
        let usage =
            self.usage.unwrap_or(Usage { prompt_tokens: self.prompt_estimate, completion_tokens: self.counted });
        if let Some(reservation) = self.reservation.take() {
            reservation.settle(usage.prompt_tokens.saturating_add(usage.completion_tokens));
        }
        let mut facts = self.record.facts();
        facts.prompt_tokens = usage.prompt_tokens;
        facts.completion_tokens = usage.completion_tokens;
        facts.source = Some(source);
        facts.client_gone |= !self.closed;
    }
}
