//! The limits of one key, or of all keys together, and how much of each is used.

use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use governor::middleware::StateInformationMiddleware;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota as GovernorQuota, RateLimiter};

use super::bucket::Bucket;
use super::clock::Clock;
use super::quota::Quota;
use super::rate_limited::{Limit, LimitOwner, RateLimited};
use super::streams::Streams;
use crate::config::RateLimits;

type Requests = RateLimiter<NotKeyed, InMemoryState, Clock, StateInformationMiddleware>;

const MINUTE: Duration = Duration::from_secs(60);

/// See the module.
pub(super) struct LimitState {
    owner: LimitOwner,
    limits: RateLimits,
    clock: Clock,
    requests: Option<(NonZeroU32, Requests)>,
    tokens: Option<Bucket>,
    streams: Streams,
    /// Nanoseconds of the clock.
    last_request: AtomicU64,
}

impl LimitState {
    pub(super) fn new(owner: LimitOwner, limits: RateLimits, clock: Clock) -> Self {
        Self {
            owner,
            limits,
            requests: limits.requests_per_minute.map(|limit| (limit, requests(limit, &clock))),
            tokens: limits.tokens_per_minute.map(|limit| Bucket::full(limit, clock.nanos())),
            streams: Streams::new(limits.concurrent_streams),
            last_request: AtomicU64::new(clock.nanos()),
            clock,
        }
    }

    /// The same state under new limits: what is used stays used, open streams stay counted. Requests and tokens are
    /// counted while they have a limit only.
    pub(super) fn with_limits(&self, limits: RateLimits) -> Self {
        let mut new = Self::new(self.owner, limits, self.clock.clone());
        if let (Some((old_limit, old)), Some((new_limit, requests))) = (&self.requests, &new.requests) {
            // Governor has no way to read its state without charging a request.
            let used =
                old.check().map_or(old_limit.get(), |after| old_limit.get() - after.remaining_burst_capacity() - 1);
            if let Some(used) = NonZeroU32::new(used.min(new_limit.get())) {
                let _ = requests.check_n(used);
            }
        }
        if let (Some(old), Some(bucket)) = (&self.tokens, &mut new.tokens) {
            *bucket = old.with_limit(bucket.limit());
        }
        Self { streams: self.streams.with_limit(limits.concurrent_streams), ..new }
    }

    pub(super) const fn limits(&self) -> &RateLimits {
        &self.limits
    }

    pub(super) const fn owner(&self) -> LimitOwner {
        self.owner
    }

    pub(super) const fn clock(&self) -> &Clock {
        &self.clock
    }

    pub(super) const fn bucket(&self) -> Option<&Bucket> {
        self.tokens.as_ref()
    }

    pub(super) const fn streams(&self) -> &Streams {
        &self.streams
    }

    /// Charges one request, `now` by the clock.
    pub(super) fn request(&self, now: u64) -> Result<Option<Quota>, RateLimited> {
        let Some((limit, requests)) = &self.requests else { return Ok(None) };
        self.last_request.store(now, Ordering::Relaxed);
        match requests.check() {
            Ok(after) => {
                let used = limit.get().saturating_sub(after.remaining_burst_capacity());
                Ok(Some(Quota {
                    limit: u64::from(limit.get()),
                    remaining: u64::from(after.remaining_burst_capacity()),
                    reset: MINUTE.mul_f64(f64::from(used) / f64::from(limit.get())),
                }))
            }
            Err(not_yet) => Err(RateLimited {
                what: Limit::Requests,
                owner: self.owner,
                limit: u64::from(limit.get()),
                used: u64::from(limit.get()),
                requested: 1,
                retry_after: Some(not_yet.wait_time_from(governor::clock::Clock::now(&self.clock))),
            }),
        }
    }

    /// Tokens left, `now` by the clock.
    pub(super) fn tokens(&self, now: u64) -> Option<Quota> {
        self.tokens.as_ref().map(|bucket| bucket.quota(now))
    }

    /// Whether nothing is used, so that the state can be removed.
    pub(super) fn is_as_new(&self) -> bool {
        let now = self.clock.nanos();
        let quiet = Duration::from_nanos(now.saturating_sub(self.last_request.load(Ordering::Relaxed)));
        quiet >= MINUTE && self.tokens.as_ref().is_none_or(|bucket| bucket.is_full(now)) && self.streams.is_idle()
    }
}

fn requests(limit: NonZeroU32, clock: &Clock) -> Requests {
    RateLimiter::direct_with_clock(GovernorQuota::per_minute(limit), clock.clone())
        .with_middleware::<StateInformationMiddleware>()
}
