//! What a completion holds and owes: its stream's permit, its reserved tokens, its place in the records.

use crate::error::ApiError;
use crate::limiter::{Reservation, StreamPermit};
use crate::telemetry::record::{Record, Source};
use crate::upstream::Failure;
use crate::wire::chunk::Usage;
use crate::wire::request::ChatRequest;

use super::Caller;

/// A token of English prose or code is about four bytes: OpenAI's own rule of thumb.
pub(super) const BYTES_A_TOKEN: u64 = 4;
/// How many tokens a stream that has used up its reservation sets aside at once.
const MORE: u64 = 16;

/// Dropped with the body of the answer, at its last byte or when the client leaves; settles then.
pub(super) struct Account {
    record: Record,
    reservation: Option<Reservation>,
    /// Freed on drop.
    _permit: Option<StreamPermit>,
    usage: Option<Usage>,
    /// The usage is that of the whole answer, and not of a part of it.
    usage_is_final: bool,
    prompt_estimate: u64,
    /// Tokens that went to the client, as far as we can tell: upstreams send one a chunk.
    counted: u64,
    streamed: bool,
    /// The answer has ended, well or not: what drops the account now is not the client's leaving.
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
            usage_is_final: false,
            prompt_estimate,
            counted: 0,
            streamed: request.stream,
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

    /// The counts of the whole answer, from whoever generated the tokens.
    pub(super) const fn exact(&mut self, usage: Usage) {
        self.usage = Some(usage);
        self.usage_is_final = true;
    }

    /// The counts so far, from an upstream that puts them on every chunk.
    pub(super) const fn running(&mut self, usage: Usage) {
        self.usage = Some(usage);
    }

    /// Tokens that went to the client, should no count come.
    pub(super) const fn counted(&mut self, tokens: u64) {
        self.counted += tokens;
    }

    /// Whether the limits have tokens for what has been sent so far; sets more aside where need be.
    pub(super) fn can_afford(&mut self) -> bool {
        let used = match self.usage {
            Some(usage) => usage.prompt_tokens.saturating_add(usage.completion_tokens),
            None => self.prompt_estimate + self.counted,
        };
        let Some(reservation) = &mut self.reservation else { return true };
        used <= reservation.tokens() || reservation.extend((used - reservation.tokens()).max(MORE))
    }

    /// The answer is complete.
    pub(super) fn complete(&mut self) {
        self.usage_is_final |= self.usage.is_some();
        self.close(None);
    }

    /// The answer was cut, or never begun, for a reason.
    pub(super) fn fail(&mut self, reason: &str) {
        self.close(Some(reason));
    }

    /// As [`Account::fail`], for an upstream's failure. Where the upstream did no work, none is charged.
    pub(super) fn fail_with(&mut self, failure: &Failure, reason: &str) {
        if matches!(failure, Failure::Unreachable(_) | Failure::Refused(_) | Failure::AllOut(_)) && self.counted == 0 {
            self.free();
        }
        self.close(Some(reason));
    }

    /// Nothing was generated: the request costs nothing.
    pub(super) const fn free(&mut self) {
        self.prompt_estimate = 0;
    }

    fn close(&mut self, failure: Option<&str>) {
        self.closed = true;
        self.record.facts().failure = failure.map(str::to_owned);
    }

    fn settled(&self) -> (Usage, Source) {
        match self.usage {
            Some(usage) if self.usage_is_final => (usage, Source::Exact),
            Some(usage) => (usage, Source::Running),
            None => {
                let usage = Usage { prompt_tokens: self.prompt_estimate, completion_tokens: self.counted };
                (usage, if self.streamed { Source::Counted } else { Source::Estimated })
            }
        }
    }
}

impl Drop for Account {
    fn drop(&mut self) {
        let (usage, source) = self.settled();
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
