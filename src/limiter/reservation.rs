//! Tokens reserved for one completion, of its key's limit and of the total.

use std::sync::Arc;

use super::bucket::units;
use super::rate_limited::RateLimited;
use super::state::LimitState;

/// Tokens reserved for one completion. They stay taken if it is dropped without being settled.
pub struct Reservation {
    key: Arc<LimitState>,
    total: Arc<LimitState>,
    tokens: u64,
}

impl Reservation {
    /// Takes `tokens` from both or from none.
    pub(super) fn take(key: &Arc<LimitState>, total: &Arc<LimitState>, tokens: u64) -> Result<Self, RateLimited> {
        // A key's bucket is always locked before the total's: no deadlock.
        let now = total.clock().nanos();
        let mut own = key.bucket().map(|bucket| (bucket, bucket.refilled(now)));
        let mut shared = total.bucket().map(|bucket| (bucket, bucket.refilled(now)));
        for (state, side) in [(key, &own), (total, &shared)] {
            let refused = side.as_ref().and_then(|(bucket, level)| bucket.refuses(state.owner(), level.used, tokens));
            if let Some(limited) = refused {
                return Err(limited);
            }
        }
        for (_, level) in [&mut own, &mut shared].into_iter().flatten() {
            level.used += units(tokens);
        }
        drop((own, shared));
        Ok(Self { key: Arc::clone(key), total: Arc::clone(total), tokens })
    }

    /// How many tokens are reserved.
    #[must_use]
    pub const fn tokens(&self) -> u64 {
        self.tokens
    }

    /// Reserves more; false if the limits have no more.
    pub fn extend(&mut self, tokens: u64) -> bool {
        let Ok(more) = Self::take(&self.key, &self.total, tokens) else { return false };
        // `more` has no drop: its tokens are part of this reservation now.
        self.tokens += more.tokens;
        true
    }

    /// Replaces the reserved tokens by those that were used.
    pub fn settle(self, actual: u64) {
        let now = self.total.clock().nanos();
        for state in [&self.key, &self.total] {
            if let Some(bucket) = state.bucket() {
                let mut level = bucket.refilled(now);
                level.used = (level.used + units(actual) - units(self.tokens)).max(0);
            }
        }
    }
}
