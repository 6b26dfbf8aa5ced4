//! Tokens reserved for one completion, of its key's limit and of the total.

use std::sync::Arc;

use super::bucket::Bucket;
use super::level::units;
use super::shared::{SharedLimit, Stop};
use super::state::LimitState;
use super::tokens::Tokens;

/// Tokens reserved for one completion. They stay taken if it is dropped without being settled.
pub struct Reservation {
    key: Arc<LimitState>,
    total: Arc<LimitState>,
    tokens: u64,
}

impl Reservation {
    /// Takes `tokens` from both or from none.
    pub(super) fn take(
        key: &Arc<LimitState>,
        total: &Arc<LimitState>,
        tokens: u64,
        may_wait: bool,
    ) -> Result<Self, Stop> {
        let now = total.clock().nanos();
        take_local(key, total, tokens, now)?;
        take_shared(key, total, tokens, now, may_wait)?;
        Ok(Self { key: Arc::clone(key), total: Arc::clone(total), tokens })
    }

    /// How many tokens are reserved.
    #[must_use]
    pub const fn tokens(&self) -> u64 {
        self.tokens
    }

    /// Reserves more; false if the limits have no more. What only Redis can tell is reserved, and owed if there is none.
    pub fn extend(&mut self, tokens: u64) -> bool {
        let now = self.total.clock().nanos();
        let is_taken = take_local(&self.key, &self.total, tokens, now).is_ok() && self.extend_shared(tokens, now);
        if is_taken {
            self.tokens += tokens;
        }
        is_taken
    }

    fn extend_shared(&self, tokens: u64, now: u64) -> bool {
        let (own, all) = (shared(&self.key), shared(&self.total));
        if own.is_some_and(|own| !own.spend_or_owe(tokens, now)) {
            return false;
        }
        let is_taken = all.is_none_or(|all| all.spend_or_owe(tokens, now));
        if let (false, Some(own)) = (is_taken, own) {
            own.settle(tokens, 0, now);
        }
        is_taken
    }

    /// Replaces the reserved tokens by those that were used.
    pub fn settle(self, actual: u64) {
        let now = self.total.clock().nanos();
        for state in [&self.key, &self.total] {
            match state.token_limit() {
                Some(Tokens::Local(bucket)) => {
                    let mut level = bucket.refilled(now);
                    level.used = (level.used + units(actual) - units(self.tokens)).max(0);
                }
                Some(Tokens::Shared(shared)) => shared.settle(self.tokens, actual, now),
                None => {}
            }
        }
    }
}

/// Takes from the limits that are counted in this process.
fn take_local(key: &LimitState, total: &LimitState, tokens: u64, now: u64) -> Result<(), Stop> {
    // A key's bucket is always locked before the total's: no deadlock.
    let mut own = local(key).map(|bucket| (bucket, bucket.refilled(now)));
    let mut all = local(total).map(|bucket| (bucket, bucket.refilled(now)));
    for (state, side) in [(key, &own), (total, &all)] {
        let owner = state.account().owner;
        let refused = side.as_ref().and_then(|(bucket, level)| bucket.refuses(owner, level.used, tokens));
        if let Some(limited) = refused {
            return Err(Stop::Limited(limited));
        }
    }
    for (_, level) in [&mut own, &mut all].into_iter().flatten() {
        level.used += units(tokens);
    }
    Ok(())
}

/// Takes from the limits that replicas share.
fn take_shared(key: &LimitState, total: &LimitState, tokens: u64, now: u64, may_wait: bool) -> Result<(), Stop> {
    let own = shared(key);
    if let Some(own) = own {
        own.spend(tokens, now, may_wait)?;
    }
    if let Some(all) = shared(total)
        && let Err(stop) = all.spend(tokens, now, may_wait)
    {
        if let Some(own) = own {
            own.unspend(tokens);
        }
        return Err(stop);
    }
    Ok(())
}

const fn local(state: &LimitState) -> Option<&Bucket> {
    match state.token_limit() {
        Some(Tokens::Local(bucket)) => Some(bucket),
        _ => None,
    }
}

const fn shared(state: &LimitState) -> Option<&SharedLimit> {
    match state.token_limit() {
        Some(Tokens::Shared(shared)) => Some(shared),
        _ => None,
    }
}
