//! The limits in force: one state for each key in use, and one for all keys.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use super::admission::Admission;
use super::blocked::Blocked;
use super::clock::Clock;
use super::quota::tighter;
use super::quotas::{Account, Quotas};
use super::rate_limited::LimitOwner;
use super::shared::{SharedLimits, Stop};
use super::state::LimitState;
use crate::config::RateLimits;

/// Number of keys at which idle ones are removed first; later at twice the number that was left.
const FIRST_PURGE: usize = 1024;

/// The limits in force; clones share their state.
#[derive(Clone)]
pub struct Limiter {
    total: Arc<LimitState>,
    shared: Arc<Shared>,
}

/// What all limiters of one server share, whatever their total.
struct Shared {
    clock: Clock,
    /// The state of requests that are not charged to a key.
    unlimited: Arc<LimitState>,
    // std RwLock: never held across .await
    keys: RwLock<HashMap<Arc<str>, Arc<LimitState>>>,
    purge_at: AtomicUsize,
}

impl Limiter {
    /// A limiter of this process alone, with nothing used; `total` holds for all keys together.
    #[must_use]
    pub fn new(total: RateLimits, clock: Clock) -> Self {
        Self::with_quotas(total, clock, Quotas::Local)
    }

    /// A limiter whose limits hold for all replicas together.
    #[must_use]
    pub fn shared(total: RateLimits, clock: Clock, limits: SharedLimits) -> Self {
        Self::with_quotas(total, clock, Quotas::Shared(limits))
    }

    fn with_quotas(total: RateLimits, clock: Clock, quotas: Quotas) -> Self {
        let account = Account { owner: LimitOwner::Total, id: "".into(), quotas };
        let total = Arc::new(LimitState::new(account.clone(), total, clock.clone()));
        let account = Account { owner: LimitOwner::Key, ..account };
        let unlimited = Arc::new(LimitState::new(account, RateLimits::default(), clock.clone()));
        let shared = Shared { clock, unlimited, keys: RwLock::default(), purge_at: AtomicUsize::new(FIRST_PURGE) };
        Self { total, shared: Arc::new(shared) }
    }

    /// The same limiter with another `total`: what is used stays used, open streams stay counted. The one before must
    /// not admit further requests: they would not count here.
    #[must_use]
    pub fn with_total(&self, total: RateLimits) -> Self {
        let same = *self.total.limits() == total;
        let total = if same { Arc::clone(&self.total) } else { Arc::new(self.total.with_limits(total)) };
        Self { total, shared: Arc::clone(&self.shared) }
    }

    /// Charges one request to the key named `id`. `limits` are the key's own; when they have changed since the last
    /// request, what the key has used up counts against the new ones.
    ///
    /// # Errors
    /// [`RateLimited`](super::RateLimited) by the key's or the total limit of requests.
    pub fn request(&self, id: &Arc<str>, limits: RateLimits) -> Result<Admission, Blocked<Admission>> {
        let key = self.key(id, limits);
        self.charge(&key, true).map_err(|stop| {
            let this = self.clone();
            Blocked::new(stop, move |may_wait| this.charge(&key, may_wait))
        })
    }

    fn charge(&self, key: &Arc<LimitState>, may_wait: bool) -> Result<Admission, Stop> {
        let now = self.shared.clock.nanos();
        let own = key.request(now, may_wait)?;
        let shared = match self.total.request(now, may_wait) {
            Ok(shared) => shared,
            Err(stop) => {
                if let Stop::Unknown(_) = stop {
                    // The attempt is repeated. A request that the total refuses stays charged to its key.
                    key.take_back_request();
                }
                return Err(stop);
            }
        };
        let requests = tighter(own, shared);
        Ok(Admission { key: Arc::clone(key), total: Arc::clone(&self.total), requests })
    }

    /// An admission for a request that is not charged: only the total limits its streams and tokens.
    #[must_use]
    pub fn unmetered(&self) -> Admission {
        Admission { key: Arc::clone(&self.shared.unlimited), total: Arc::clone(&self.total), requests: None }
    }

    /// Number of keys with state.
    #[must_use]
    pub fn keys(&self) -> usize {
        self.shared.keys.read().unwrap_or_else(PoisonError::into_inner).len()
    }

    fn key(&self, id: &Arc<str>, limits: RateLimits) -> Arc<LimitState> {
        let known = self.shared.keys.read().unwrap_or_else(PoisonError::into_inner).get(id).cloned();
        if let Some(state) = known.filter(|state| *state.limits() == limits) {
            return state;
        }
        let mut keys = self.shared.keys.write().unwrap_or_else(PoisonError::into_inner);
        let state = match keys.get(id) {
            Some(state) if *state.limits() == limits => return Arc::clone(state),
            Some(old) => old.with_limits(limits),
            None => {
                let quotas = self.total.account().quotas.clone();
                let account = Account { owner: LimitOwner::Key, id: Arc::clone(id), quotas };
                LimitState::new(account, limits, self.shared.clock.clone())
            }
        };
        let state = Arc::new(state);
        keys.insert(Arc::clone(id), Arc::clone(&state));
        if keys.len() > self.shared.purge_at.load(Ordering::Relaxed) {
            // A key with nothing used needs no state.
            keys.retain(|_, state| Arc::strong_count(state) > 1 || !state.is_as_new());
            self.shared.purge_at.store(FIRST_PURGE.max(keys.len() * 2), Ordering::Relaxed);
        }
        state
    }
}
