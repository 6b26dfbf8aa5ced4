//! Whether limits are this process's own, or shared by all replicas.

use std::sync::Arc;
use std::sync::atomic::AtomicU32;

use super::rate_limited::{Limit, LimitOwner};
use super::shared::{SharedLimit, SharedLimits};

/// Where limits are counted.
#[derive(Clone)]
pub(super) enum Quotas {
    /// In this process.
    Local,
    /// In Redis, for all replicas.
    Shared(SharedLimits),
}

/// The owner of limits, and where they are counted.
#[derive(Clone)]
pub(super) struct Account {
    pub(super) owner: LimitOwner,
    /// The key's; empty for all keys together.
    pub(super) id: Arc<str>,
    pub(super) quotas: Quotas,
}

impl Account {
    /// The shared limit of requests or tokens; none: it is counted in this process.
    pub(super) fn shared(&self, what: Limit, limit: u64) -> Option<SharedLimit> {
        let Quotas::Shared(limits) = &self.quotas else { return None };
        Some(SharedLimit::per_minute(limits, (self.owner, &self.id), what, limit))
    }

    /// The shared limit of streams at once; none: it is counted in this process.
    pub(super) fn shared_permits(&self, limit: u64, open: &Arc<AtomicU32>) -> Option<SharedLimit> {
        let Quotas::Shared(limits) = &self.quotas else { return None };
        Some(SharedLimit::permits(limits, (self.owner, &self.id), limit, open))
    }
}
