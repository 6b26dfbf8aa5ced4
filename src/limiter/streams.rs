//! The count of a limit's open streams.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use super::quotas::Account;
use super::rate_limited::{Cause, Limit, LimitOwner, RateLimited};
use super::shared::{SharedLimit, Stop};

/// The `retry-after` of a refused stream: when another one ends is unknown.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// How many streams are open; counted without a limit too, since one may be set while they run.
pub(super) struct Streams {
    owner: LimitOwner,
    limit: Option<NonZeroU32>,
    /// The limit that replicas share.
    shared: Option<SharedLimit>,
    /// Those of this process. Shared with permits, and kept when the limit changes.
    open: Arc<AtomicU32>,
}

impl Streams {
    pub(super) fn new(limit: Option<NonZeroU32>, account: &Account) -> Self {
        let open = Arc::default();
        let shared = limit.and_then(|limit| account.shared_permits(u64::from(limit.get()), &open));
        Self { owner: account.owner, limit, shared, open }
    }

    pub(super) fn with_limit(&self, limit: Option<NonZeroU32>, account: &Account) -> Self {
        let open = Arc::clone(&self.open);
        let shared = limit.and_then(|limit| match &self.shared {
            Some(old) => Some(old.with_limit(u64::from(limit.get()))),
            None => account.shared_permits(u64::from(limit.get()), &open),
        });
        Self { owner: self.owner, limit, shared, open }
    }

    pub(super) fn is_idle(&self) -> bool {
        self.open.load(Ordering::Relaxed) == 0
    }

    /// Counts one more.
    pub(super) fn take(&self, now: u64, may_wait: bool) -> Result<Place, Stop> {
        if let Some(shared) = &self.shared {
            return match shared.spend(1, now, may_wait) {
                Ok(()) => Ok(Place { open: Arc::clone(&self.open), shared: Some(shared.clone()) }),
                Err(Stop::Limited(limited)) => {
                    Err(Stop::Limited(RateLimited { retry_after: Some(RETRY_AFTER), ..limited }))
                }
                Err(unknown) => Err(unknown),
            };
        }
        let limit = self.limit.map_or(u32::MAX, NonZeroU32::get);
        self.open
            .try_update(Ordering::AcqRel, Ordering::Relaxed, |open| (open < limit).then_some(open + 1))
            .map(|_| Place { open: Arc::clone(&self.open), shared: None })
            .map_err(|open| {
                Stop::Limited(RateLimited {
                    what: Limit::Streams,
                    owner: self.owner,
                    limit: u64::from(limit),
                    used: u64::from(open),
                    requested: 1,
                    retry_after: Some(RETRY_AFTER),
                    cause: Cause::UsedUp,
                })
            })
    }
}

/// One open stream of a limit; counted until it is dropped.
pub(super) struct Place {
    open: Arc<AtomicU32>,
    /// The limit that the permit is of, if replicas share it.
    shared: Option<SharedLimit>,
}

impl Drop for Place {
    fn drop(&mut self) {
        match &self.shared {
            None => drop(self.open.fetch_sub(1, Ordering::AcqRel)),
            Some(shared) => shared.release(),
        }
    }
}
