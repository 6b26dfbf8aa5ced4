//! Tokens per minute: a token bucket whose tokens can be given back, which governor's can't. How many tokens a
//! completion takes is known only at its end.

use std::num::NonZeroU64;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::level::{Level, time_to_gain, tokens_up, units};
use super::quota::Quota;
use super::rate_limited::{Cause, Limit, LimitOwner, RateLimited};

/// See the module. More may be used than its limit: what exceeds the estimate is paid with time.
pub(super) struct Bucket {
    limit: NonZeroU64,
    /// Kept when the limit changes, so that what is reserved under the old one is settled under the new.
    // std Mutex: never held across .await
    level: Arc<Mutex<Level>>,
}

impl Bucket {
    pub(super) fn full(limit: NonZeroU64, now: u64) -> Self {
        Self { limit, level: Arc::new(Mutex::new(Level { used: 0, at: now })) }
    }

    /// The same bucket under another limit: what is used up stays used up.
    pub(super) fn with_limit(&self, limit: NonZeroU64) -> Self {
        Self { limit, level: Arc::clone(&self.level) }
    }

    pub(super) fn is_full(&self, now: u64) -> bool {
        self.refilled(now).used == 0
    }

    pub(super) fn quota(&self, now: u64) -> Quota {
        let missing = self.refilled(now).used;
        Quota {
            limit: self.limit.get(),
            remaining: self.limit.get().saturating_sub(tokens_up(missing)),
            reset: time_to_gain(missing, self.limit.get()),
        }
    }

    pub(super) fn refilled(&self, now: u64) -> MutexGuard<'_, Level> {
        let mut level = self.level.lock().unwrap_or_else(PoisonError::into_inner);
        level.refill(self.limit.get(), now);
        level
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
            retry_after: (tokens <= self.limit.get()).then(|| time_to_gain(over, self.limit.get())),
            cause: Cause::UsedUp,
        })
    }
}
