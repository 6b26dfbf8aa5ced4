//! The limits of one key, or of all keys together, and how much of each is used.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::clock::Clock;
use super::quota::Quota;
use super::quotas::Account;
use super::requests::Requests;
use super::shared::Stop;
use super::streams::Streams;
use super::tokens::Tokens;
use crate::config::RateLimits;

const MINUTE: Duration = Duration::from_secs(60);

/// See the module.
pub(super) struct LimitState {
    account: Account,
    limits: RateLimits,
    clock: Clock,
    requests: Option<Requests>,
    tokens: Option<Tokens>,
    streams: Streams,
    /// Nanoseconds of the clock.
    last_request: AtomicU64,
}

impl LimitState {
    pub(super) fn new(account: Account, limits: RateLimits, clock: Clock) -> Self {
        let now = clock.nanos();
        Self {
            limits,
            requests: limits.requests_per_minute.map(|limit| Requests::new(limit, &account, &clock)),
            tokens: limits.tokens_per_minute.map(|limit| Tokens::full(limit, &account, now)),
            streams: Streams::new(limits.concurrent_streams, &account),
            last_request: AtomicU64::new(now),
            clock,
            account,
        }
    }

    /// The same state under new limits: what is used stays used, open streams stay counted. Requests and tokens are
    /// counted while they have a limit only.
    pub(super) fn with_limits(&self, limits: RateLimits) -> Self {
        let (account, clock, now) = (self.account.clone(), self.clock.clone(), self.clock.nanos());
        let requests = limits.requests_per_minute.map(|limit| match &self.requests {
            Some(old) => old.with_limit(limit, &account, &clock),
            None => Requests::new(limit, &account, &clock),
        });
        let tokens = limits.tokens_per_minute.map(|limit| match &self.tokens {
            Some(old) => old.with_limit(limit),
            None => Tokens::full(limit, &account, now),
        });
        let streams = self.streams.with_limit(limits.concurrent_streams, &account);
        Self { account, limits, requests, tokens, streams, last_request: AtomicU64::new(now), clock }
    }

    pub(super) const fn limits(&self) -> &RateLimits {
        &self.limits
    }

    pub(super) const fn account(&self) -> &Account {
        &self.account
    }

    pub(super) const fn clock(&self) -> &Clock {
        &self.clock
    }

    pub(super) const fn token_limit(&self) -> Option<&Tokens> {
        self.tokens.as_ref()
    }

    pub(super) const fn streams(&self) -> &Streams {
        &self.streams
    }

    /// Charges one request, `now` by the clock.
    pub(super) fn request(&self, now: u64, may_wait: bool) -> Result<Option<Quota>, Stop> {
        let Some(requests) = &self.requests else { return Ok(None) };
        self.last_request.store(now, Ordering::Relaxed);
        requests.charge(self.account.owner, &self.clock, now, may_wait).map(Some)
    }

    /// Takes back a request that was charged just now to a shared limit.
    pub(super) fn take_back_request(&self) {
        if let Some(requests) = &self.requests {
            requests.take_back();
        }
    }

    /// Tokens left, `now` by the clock.
    pub(super) fn tokens(&self, now: u64) -> Option<Quota> {
        self.tokens.as_ref().map(|tokens| tokens.quota(now))
    }

    /// Whether nothing is used, so that the state can be removed.
    pub(super) fn is_as_new(&self) -> bool {
        let now = self.clock.nanos();
        let quiet = Duration::from_nanos(now.saturating_sub(self.last_request.load(Ordering::Relaxed)));
        quiet >= MINUTE
            && self.requests.as_ref().is_none_or(|requests| requests.is_as_new(now))
            && self.tokens.as_ref().is_none_or(|tokens| tokens.is_full(now))
            && self.streams.is_idle()
    }
}
