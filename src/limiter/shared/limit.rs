//! One limit that replicas share, as [`LimitState`](super::super::state) uses it.

use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use std::time::Duration;

use super::super::level::{time_to_gain, units};
use super::super::quota::Quota;
use super::super::rate_limited::{Cause, Limit, LimitOwner, RateLimited};
use super::scope::Scope;
use super::shared_limits::{Missing, SharedLimits, Verdict};

/// When to try again what Redis could not tell.
const UNAVAILABLE: Duration = Duration::from_secs(1);

/// Why a limit does not admit a request.
pub(in crate::limiter) enum Stop {
    /// It is refused.
    Limited(RateLimited),
    /// An exchange has to tell.
    Unknown(Missing),
}

/// See the module.
#[derive(Clone)]
pub(in crate::limiter) struct SharedLimit {
    limits: SharedLimits,
    scope: Arc<Scope>,
    what: Limit,
    owner: LimitOwner,
}

impl SharedLimit {
    /// The limit of requests or tokens of the key `id`, or of all keys together.
    pub(in crate::limiter) fn per_minute(
        limits: &SharedLimits,
        (owner, id): (LimitOwner, &str),
        what: Limit,
        limit: u64,
    ) -> Self {
        let scope = limits.scope(&owner_name(owner, id), what.name(), limit, None);
        Self { limits: limits.clone(), scope, what, owner }
    }

    /// The limit of streams at once; `open` counts those of this replica.
    pub(in crate::limiter) fn permits(
        limits: &SharedLimits,
        (owner, id): (LimitOwner, &str),
        limit: u64,
        open: &Arc<AtomicU32>,
    ) -> Self {
        let what = Limit::Streams;
        let scope = limits.scope(&owner_name(owner, id), what.name(), limit, Some(Arc::clone(open)));
        Self { limits: limits.clone(), scope, what, owner }
    }

    /// The same limit with another number: what is used stays used.
    pub(in crate::limiter) fn with_limit(&self, limit: u64) -> Self {
        self.scope.lease().set_limit(limit);
        self.clone()
    }

    /// Spends `tokens`; a permit is counted as in use.
    pub(in crate::limiter) fn spend(&self, tokens: u64, now: u64, may_wait: bool) -> Result<(), Stop> {
        let limit = self.scope.lease().limit();
        if tokens > limit {
            return Err(self.limited(tokens, None, Cause::UsedUp, now));
        }
        match self.limits.spend(&self.scope, tokens, now, may_wait) {
            Verdict::Admitted => Ok(()),
            Verdict::UsedUp(wait) => Err(self.limited(tokens, Some(wait), Cause::UsedUp, now)),
            Verdict::Unavailable => Err(self.limited(tokens, Some(UNAVAILABLE), Cause::Unavailable, now)),
            Verdict::Unknown => {
                let (limits, scope) = (self.limits.clone(), Arc::clone(&self.scope));
                Err(Stop::Unknown(Missing::new(limits, scope, tokens)))
            }
        }
    }

    /// Takes back what was spent just now.
    pub(in crate::limiter) fn unspend(&self, tokens: u64) {
        self.limits.unspend(&self.scope, tokens);
    }

    /// Spends tokens of a stream that runs. If only an exchange can tell, they are owed and the exchange is begun.
    pub(in crate::limiter) fn spend_or_owe(&self, tokens: u64, now: u64) -> bool {
        match self.spend(tokens, now, true) {
            Ok(()) => true,
            Err(Stop::Unknown(_)) => {
                self.settle(0, tokens, now);
                self.limits.refresh(&self.scope);
                true
            }
            Err(Stop::Limited(_)) => false,
        }
    }

    /// Replaces `spent` tokens by those that were used.
    pub(in crate::limiter) fn settle(&self, spent: u64, used: u64, now: u64) {
        let clamp = |tokens| i64::try_from(tokens).unwrap_or(i64::MAX);
        self.limits.settle(&self.scope, clamp(used).saturating_sub(clamp(spent)), now);
    }

    /// A permit is not in use any more.
    pub(in crate::limiter) fn release(&self) {
        self.limits.release(&self.scope);
    }

    /// What is left, as far as is known.
    pub(in crate::limiter) fn quota(&self, now: u64) -> Quota {
        let lease = self.scope.lease();
        let (limit, used) = (lease.limit(), lease.used_tokens(now));
        Quota { limit, remaining: limit.saturating_sub(used), reset: time_to_gain(units(used), limit) }
    }

    /// Whether nothing is held, owed or used, so that the state can be removed.
    pub(in crate::limiter) fn is_as_new(&self, now: u64) -> bool {
        !self.scope.is_in_use(now)
    }

    fn limited(&self, requested: u64, retry_after: Option<Duration>, cause: Cause, now: u64) -> Stop {
        let lease = self.scope.lease();
        let (limit, used) = (lease.limit(), lease.used_tokens(now));
        Stop::Limited(RateLimited { what: self.what, owner: self.owner, limit, used, requested, retry_after, cause })
    }
}

fn owner_name(owner: LimitOwner, id: &str) -> String {
    match owner {
        LimitOwner::Key => format!("key:{id}"),
        LimitOwner::Total => "total".to_owned(),
    }
}
