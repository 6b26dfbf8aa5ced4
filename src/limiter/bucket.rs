//! Tokens a minute: a bucket that can be given back to. Governor's can't, and how many tokens an answer takes is known
//! only at its end.

use std::num::NonZeroU64;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::state::LimitState;
use super::{Limit, Quota, RateLimited};

/// One token, in the unit of levels. With nanoseconds in a minute as the unit, a bucket of N tokens a minute gains
/// exactly N units a nanosecond: no rounding, ever.
const TOKEN: i128 = 60_000_000_000;

/// See the module. More may be used than fits in: what went beyond the estimate is owed.
pub(super) struct Bucket {
    limit: NonZeroU64,
    /// Kept when the limit changes, so that what is reserved under the old one is settled under the new.
    // std Mutex: never held across .await
    state: Arc<Mutex<State>>,
}

struct State {
    /// What is missing from a full bucket, in units of which [`TOKEN`] make a token.
    used: i128,
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

    fn refilled(&self, now: u64) -> MutexGuard<'_, State> {
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

    /// Why `tokens` can't be taken when so much is used, if they can't. Even a request for nothing waits until what is
    /// owed has been paid.
    fn refuses(&self, scope: &LimitState, used: i128, tokens: u64) -> Option<RateLimited> {
        let over = used + units(tokens) - units(self.limit.get());
        if over <= 0 {
            return None;
        }
        Some(RateLimited {
            what: Limit::Tokens,
            whose: scope.whose(),
            limit: self.limit.get(),
            used: tokens_up(used),
            requested: tokens,
            retry_after: (tokens <= self.limit.get()).then(|| self.time_to_gain(over)),
        })
    }
}

/// Tokens set aside for one completion. Dropped without being settled, they stay taken: never free, never twice.
pub struct Reservation {
    key: Arc<LimitState>,
    total: Arc<LimitState>,
    tokens: u64,
}

impl Reservation {
    /// Takes `tokens` from both or from none.
    pub(super) fn take(key: &Arc<LimitState>, total: &Arc<LimitState>, tokens: u64) -> Result<Self, RateLimited> {
        // Always in this order: a key's bucket before the total's, so that two can't wait for each other.
        let now = total.clock().nanos();
        let mut own = key.bucket().map(|bucket| (bucket, bucket.refilled(now)));
        let mut shared = total.bucket().map(|bucket| (bucket, bucket.refilled(now)));
        for (scope, side) in [(key, &own), (total, &shared)] {
            let refused = side.as_ref().and_then(|(bucket, state)| bucket.refuses(scope, state.used, tokens));
            if let Some(limited) = refused {
                return Err(limited);
            }
        }
        for (_, state) in [&mut own, &mut shared].into_iter().flatten() {
            state.used += units(tokens);
        }
        drop((own, shared));
        Ok(Self { key: Arc::clone(key), total: Arc::clone(total), tokens })
    }

    /// How many tokens are set aside.
    #[must_use]
    pub const fn tokens(&self) -> u64 {
        self.tokens
    }

    /// Sets aside more, or says that there is no more.
    pub fn extend(&mut self, tokens: u64) -> bool {
        let Ok(more) = Self::take(&self.key, &self.total, tokens) else { return false };
        // One reservation from here on: two would be settled twice.
        self.tokens += more.tokens;
        true
    }

    /// Replaces the estimate by the real number.
    pub fn settle(self, actual: u64) {
        let now = self.total.clock().nanos();
        for scope in [&self.key, &self.total] {
            if let Some(bucket) = scope.bucket() {
                let mut state = bucket.refilled(now);
                state.used = (state.used + units(actual) - units(self.tokens)).max(0);
            }
        }
    }
}

fn units(tokens: u64) -> i128 {
    i128::from(tokens) * TOKEN
}

/// Whole tokens, rounded up.
fn tokens_up(units: i128) -> u64 {
    let token = TOKEN.unsigned_abs();
    u64::try_from(u128::try_from(units).unwrap_or(0).div_ceil(token)).unwrap_or(u64::MAX)
}
