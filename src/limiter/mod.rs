//! How much a key may do, and all keys together: requests a minute, tokens a minute, streams at once.
//!
//! What is not limited costs nothing. A request is charged to its key first, then to the total: a key that is over its
//! own limit can't use up what others share. One that only the total refuses has still used up one of its own, as
//! refused requests do with the real API.
//!
//! State is this process's own; several replicas each grant the whole limit.

mod bucket;
mod clock;
mod permits;
mod rate_limited;
mod state;

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use crate::config::RateLimits;

pub use bucket::Reservation;
pub use clock::Clock;
pub use permits::StreamPermit;
pub use rate_limited::{Limit, LimitOwner, RateLimited};

use state::LimitState;

/// The map is looked through for idle keys when it has grown to this, and then at twice what was left.
const FIRST_PURGE: usize = 1024;

/// The limits in force; clones share their state.
#[derive(Clone)]
pub struct Limiter {
    shared: Arc<Shared>,
}

struct Shared {
    clock: Clock,
    total: Arc<LimitState>,
    /// The state of requests that are not charged to a key.
    unlimited: Arc<LimitState>,
    // std RwLock: never held across .await
    keys: RwLock<HashMap<Arc<str>, Arc<LimitState>>>,
    purge_at: AtomicUsize,
}

/// What is left of a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quota {
    /// A minute's worth.
    pub limit: u64,
    /// What is left now.
    pub remaining: u64,
    /// Until it is whole again.
    pub reset: Duration,
}

/// A request that has passed the limit of requests, and may go on to ask for a stream and for tokens.
#[derive(Clone)]
pub struct Admission {
    key: Arc<LimitState>,
    total: Arc<LimitState>,
    requests: Option<Quota>,
}

impl Limiter {
    /// Nothing used yet; `total` holds for all keys together.
    #[must_use]
    pub fn new(total: RateLimits, clock: Clock) -> Self {
        let total = Arc::new(LimitState::new(LimitOwner::Total, total, clock.clone()));
        let unlimited = Arc::new(LimitState::new(LimitOwner::Key, RateLimits::default(), clock.clone()));
        let shared =
            Shared { clock, total, unlimited, keys: RwLock::default(), purge_at: AtomicUsize::new(FIRST_PURGE) };
        Self { shared: Arc::new(shared) }
    }

    /// Charges one request to the key named `id`. `limits` are the key's own; when they have changed since the last
    /// request, what the key has used up counts against the new ones.
    ///
    /// # Errors
    /// [`RateLimited`] by the key's or the total limit of requests.
    pub fn request(&self, id: &Arc<str>, limits: RateLimits) -> Result<Admission, RateLimited> {
        let key = self.key(id, limits);
        let now = self.shared.clock.nanos();
        let own = key.request(now)?;
        let shared = self.shared.total.request(now)?;
        let requests = tighter(own, shared);
        Ok(Admission { key, total: Arc::clone(&self.shared.total), requests })
    }

    /// An admission for a request that is not charged: only the total limits its streams and tokens.
    #[must_use]
    pub fn unmetered(&self) -> Admission {
        let Shared { unlimited, total, .. } = &*self.shared;
        Admission { key: Arc::clone(unlimited), total: Arc::clone(total), requests: None }
    }

    /// How many keys have state here.
    #[must_use]
    pub fn keys(&self) -> usize {
        self.shared.keys.read().unwrap_or_else(PoisonError::into_inner).len()
    }

    fn key(&self, id: &Arc<str>, limits: RateLimits) -> Arc<LimitState> {
        let known = self.shared.keys.read().unwrap_or_else(PoisonError::into_inner).get(id).cloned();
        if let Some(scope) = known.filter(|scope| *scope.limits() == limits) {
            return scope;
        }
        let mut keys = self.shared.keys.write().unwrap_or_else(PoisonError::into_inner);
        let scope = match keys.get(id) {
            Some(scope) if *scope.limits() == limits => return Arc::clone(scope),
            Some(old) => old.with_limits(limits),
            None => LimitState::new(LimitOwner::Key, limits, self.shared.clock.clone()),
        };
        let scope = Arc::new(scope);
        keys.insert(Arc::clone(id), Arc::clone(&scope));
        if keys.len() > self.shared.purge_at.load(Ordering::Relaxed) {
            // A key that has all its quota back is as good as new.
            keys.retain(|_, scope| Arc::strong_count(scope) > 1 || !scope.is_as_new());
            self.shared.purge_at.store(FIRST_PURGE.max(keys.len() * 2), Ordering::Relaxed);
        }
        scope
    }
}

impl Admission {
    /// A permit for one more stream.
    ///
    /// # Errors
    /// [`RateLimited`] by the key's or the total number of streams at once.
    pub fn stream(&self) -> Result<StreamPermit, RateLimited> {
        StreamPermit::take(&self.key, &self.total)
    }

    /// Sets aside `tokens`, to be settled when the real number is known.
    ///
    /// # Errors
    /// [`RateLimited`] by the key's or the total tokens a minute; with no `retry_after` if that many can never fit.
    pub fn reserve(&self, tokens: u64) -> Result<Reservation, RateLimited> {
        Reservation::take(&self.key, &self.total, tokens)
    }

    /// What was left of the requests after this one; the tighter of the key's and the total.
    #[must_use]
    pub const fn requests(&self) -> Option<Quota> {
        self.requests
    }

    /// What is left of the tokens now; the tighter of the key's and the total.
    #[must_use]
    pub fn tokens(&self) -> Option<Quota> {
        let now = self.total.clock().nanos();
        tighter(self.key.tokens(now), self.total.tokens(now))
    }
}

fn tighter(one: Option<Quota>, other: Option<Quota>) -> Option<Quota> {
    match (one, other) {
        (Some(one), Some(other)) => Some(if other.remaining < one.remaining { other } else { one }),
        (one, other) => one.or(other),
    }
}

#[cfg(test)]
mod tests;
