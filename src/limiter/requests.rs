//! A limit of requests a minute.

use std::num::NonZeroU32;
use std::time::Duration;

use governor::middleware::StateInformationMiddleware;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota as GovernorQuota, RateLimiter};

use super::clock::Clock;
use super::quota::Quota;
use super::quotas::Account;
use super::rate_limited::{Cause, Limit, LimitOwner, RateLimited};
use super::shared::{SharedLimit, Stop};

type Governor = RateLimiter<NotKeyed, InMemoryState, Clock, StateInformationMiddleware>;

const MINUTE: Duration = Duration::from_secs(60);

/// A limit of requests a minute.
pub(super) enum Requests {
    /// Counted in this process.
    Local(NonZeroU32, Governor),
    /// Counted for all replicas.
    Shared(SharedLimit),
}

impl Requests {
    pub(super) fn new(limit: NonZeroU32, account: &Account, clock: &Clock) -> Self {
        account.shared(Limit::Requests, u64::from(limit.get())).map_or_else(
            || {
                let quota = GovernorQuota::per_minute(limit);
                let governor = RateLimiter::direct_with_clock(quota, clock.clone());
                Self::Local(limit, governor.with_middleware::<StateInformationMiddleware>())
            },
            Self::Shared,
        )
    }

    /// The same limit with another number: what is used stays used.
    pub(super) fn with_limit(&self, limit: NonZeroU32, account: &Account, clock: &Clock) -> Self {
        match self {
            Self::Shared(shared) => Self::Shared(shared.with_limit(u64::from(limit.get()))),
            Self::Local(old_limit, old) => {
                let new = Self::new(limit, account, clock);
                // Governor has no way to read its state without charging a request.
                let used =
                    old.check().map_or(old_limit.get(), |after| old_limit.get() - after.remaining_burst_capacity() - 1);
                if let (Self::Local(_, governor), Some(used)) = (&new, NonZeroU32::new(used.min(limit.get()))) {
                    let _ = governor.check_n(used);
                }
                new
            }
        }
    }

    /// Charges one request, `now` by the clock.
    pub(super) fn charge(&self, owner: LimitOwner, clock: &Clock, now: u64, may_wait: bool) -> Result<Quota, Stop> {
        let (limit, governor) = match self {
            Self::Local(limit, governor) => (limit.get(), governor),
            Self::Shared(shared) => return shared.spend(1, now, may_wait).map(|()| shared.quota(now)),
        };
        match governor.check() {
            Ok(after) => {
                let used = limit.saturating_sub(after.remaining_burst_capacity());
                Ok(Quota {
                    limit: u64::from(limit),
                    remaining: u64::from(after.remaining_burst_capacity()),
                    reset: MINUTE.mul_f64(f64::from(used) / f64::from(limit)),
                })
            }
            Err(not_yet) => Err(Stop::Limited(RateLimited {
                what: Limit::Requests,
                owner,
                limit: u64::from(limit),
                used: u64::from(limit),
                requested: 1,
                retry_after: Some(not_yet.wait_time_from(governor::clock::Clock::now(clock))),
                cause: Cause::UsedUp,
            })),
        }
    }

    /// Takes back a request that was charged just now to a shared limit, since another one has to be waited for.
    pub(super) fn take_back(&self) {
        if let Self::Shared(shared) = self {
            shared.unspend(1);
        }
    }

    /// Whether nothing of it is used, apart from requests of the last minute that a local limit has counted.
    pub(super) fn is_as_new(&self, now: u64) -> bool {
        match self {
            Self::Local(..) => true,
            Self::Shared(shared) => shared.is_as_new(now),
        }
    }
}
