//! Tokens per minute: a token bucket whose tokens can be given back, which governor's can't. How many tokens a
//! completion takes is known only at its end.

use std::num::NonZeroU64;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::quota::Quota;
use super::rate_limited::{Limit, LimitOwner, RateLimited};

/// One token, in the unit of levels. With nanoseconds in a minute as the unit, a bucket of N tokens a minute gains
/// exactly N units a nanosecond: no rounding, ever.
const TOKEN: i128 = 60_000_000_000;

/// See the module. More may be used than its limit: what exceeds the estimate is paid with time.
pub(super) struct Bucket {
    limit: NonZeroU64,
    /// Kept when the limit changes, so that what is reserved under the old one is settled under the new.
    // std Mutex: never held across .await
    state: Arc<Mutex<State>>,
}

pub(super) struct State {
    /// Units missing from a full bucket; [`TOKEN`] of them are a token.
    pub(super) used: i128,
    /// Nanoseconds of the clock at which that was so.
    at: u64,
}

impl Bucket {
    pub(super) fn full(limit: NonZeroU64, now: u64) -> Self {
        Self { limit, state: Arc::new(Mutex::new(State { used: 0, at: now })) }
    }

    /// The same bucket under another limit: what is used up stays used up.
    pub(super) fn with_limit(&self, limit: NonZeroU64) -> Self {
        Self { limit, state: Arc::clone(&self.state) }
    }

    pub(super) const fn limit(&self) -> NonZeroU64 {
        self.limit
    }

    pub(super) fn is_full(&self, now: u64) -> bool {
        self.refilled(now).used == 0
    }

    pub(super) fn quota(&self, now: u64) -> Quota {
        let missing = self.refilled(now).used;
        Quota {
            limit: self.limit.get(),
            remaining: self.limit.get().saturating_sub(tokens_up(missing)),
            reset: self.time_to_gain(missing),
        }
    }

    pub(super) fn refilled(&self, now: u64) -> MutexGuard<'_, State> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let gained = i128::from(now.saturating_sub(state.at)) * i128::from(self.limit.get());
        state.used = (state.used - gained).max(0);
        state.at = state.at.max(now);
        state
    }

    fn time_to_gain(&self, units: i128) -> Duration {
        let nanos = u128::try_from(units).unwrap_or(0).div_ceil(u128::from(self.limit.get()));
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }

    /// Why `tokens` can't be taken when `used` is used, if they can't. Even a request for no tokens waits until the
    /// bucket is not overdrawn.
    pub(super) fn refuses(&self, owner: LimitOwner, used: i128, tokens: u64) -> Option<RateLimited> {
        let over = used + units(tokens) - units(self.limit.get());
        if over <= 0 {
            return None;
        }
        Some(RateLimited {
            what: Limit::Tokens,
            owner,
            limit: self.limit.get(),
            used: tokens_up(used),
            requested: tokens,
            retry_after: (tokens <= self.limit.get()).then(|| self.time_to_gain(over)),
        })
    }
}

/// Tokens in units.
pub(super) fn units(tokens: u64) -> i128 {
    i128::from(tokens) * TOKEN
}

/// Whole tokens, rounded up.
fn tokens_up(units: i128) -> u64 {
    let token = TOKEN.unsigned_abs();
    u64::try_from(u128::try_from(units).unwrap_or(0).div_ceil(token)).unwrap_or(u64::MAX)
}
