//! One limit of one key, or of all keys together, that replicas share.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use super::exchange::Reply;
use super::lease::{Begun, Lease, Purpose};

/// See the module.
pub(in crate::limiter) struct Scope {
    /// The name of its hash, without the prefix of the installation.
    name: String,
    /// The kind of limit, for metrics.
    kind: &'static str,
    // std Mutex: never held across .await
    lease: Mutex<Lease>,
    /// Permits in use; none for requests and tokens.
    open: Option<Arc<AtomicU32>>,
    /// An exchange has ended, or none will be made.
    answered: Notify,
}

impl Scope {
    pub(super) fn new(name: String, kind: &'static str, limit: u64, open: Option<Arc<AtomicU32>>) -> Self {
        let lease = Mutex::new(Lease::new(limit, open.is_none()));
        Self { name, kind, lease, open, answered: Notify::new() }
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) const fn kind(&self) -> &'static str {
        self.kind
    }

    pub(super) fn lease(&self) -> MutexGuard<'_, Lease> {
        self.lease.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) const fn answered(&self) -> &Notify {
        &self.answered
    }

    /// Permits in use.
    pub(super) const fn open(&self) -> Option<&Arc<AtomicU32>> {
        self.open.as_ref()
    }

    fn open_count(&self) -> u64 {
        self.open.as_ref().map_or(0, |open| u64::from(open.load(Ordering::Acquire)))
    }

    /// Begins an exchange, unless one is under way.
    pub(super) fn begin(&self, purpose: Purpose, number: u64, replicas: u64, now: u64) -> Option<Begun> {
        let mut lease = self.lease();
        lease.queued = false;
        if std::mem::replace(&mut lease.under_way, true) {
            return None;
        }
        // Read under the lock: a permit is either idle or in use.
        Some(lease.begin(purpose, number, replicas, self.open_count(), now))
    }

    /// Ends an exchange, with its answer if one came, and wakes the requests that wait for it.
    pub(super) fn finish(&self, begun: &Begun, reply: Option<&Reply>, counts: bool, now: u64) {
        let mut lease = self.lease();
        lease.under_way = false;
        if let Some(reply) = reply {
            lease.finish(begun, reply, counts, now);
        }
        drop(lease);
        self.answered.notify_waiters();
    }

    /// No exchange will be made: requests that wait decide without one.
    pub(super) fn dismiss(&self) {
        self.lease().queued = false;
        self.answered.notify_waiters();
    }

    pub(super) fn is_due(&self, now: u64) -> bool {
        let mut lease = self.lease();
        lease.is_due(self.open_count(), now)
    }

    /// Whether anything is held, owed, or known to be used.
    pub(super) fn is_in_use(&self, now: u64) -> bool {
        self.lease().is_in_use(self.open_count(), now)
    }

    /// Whether it stays in the list of scopes in use; if not, it is marked as not listed.
    pub(super) fn stays_listed(&self, now: u64) -> bool {
        let mut lease = self.lease();
        lease.listed = lease.is_in_use(self.open_count(), now);
        lease.listed
    }
}
