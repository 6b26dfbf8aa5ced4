//! Streams at once: a count that goes up with a permit and down with its end.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use super::state::LimitState;
use super::{Limit, RateLimited};

/// Nobody can know when a stream ends; this is when to ask again.
const ASK_AGAIN: Duration = Duration::from_secs(1);

/// How many streams are open.
pub(super) struct Streams {
    limit: NonZeroU32,
    /// Shared with permits, and kept when the limit changes.
    open: Arc<AtomicU32>,
}

impl Streams {
    pub(super) fn new(limit: NonZeroU32) -> Self {
        Self { limit, open: Arc::default() }
    }

    pub(super) fn with_limit(&self, limit: NonZeroU32) -> Self {
        Self { limit, open: Arc::clone(&self.open) }
    }

    pub(super) const fn limit(&self) -> NonZeroU32 {
        self.limit
    }

    pub(super) fn is_idle(&self) -> bool {
        self.open.load(Ordering::Relaxed) == 0
    }

    fn take(&self) -> Result<Place, u32> {
        let limit = self.limit.get();
        self.open
            .try_update(Ordering::AcqRel, Ordering::Relaxed, |open| (open < limit).then_some(open + 1))
            .map(|_| Place(Arc::clone(&self.open)))
    }
}

/// One place among the streams of a scope; free again when dropped.
struct Place(Arc<AtomicU32>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

/// Leave to have one stream open. Freed on drop.
pub struct StreamPermit {
    _key: Option<Place>,
    _total: Option<Place>,
}

impl StreamPermit {
    pub(super) fn take(key: &LimitState, total: &LimitState) -> Result<Self, RateLimited> {
        // The key's place is given back by its drop when there is none left of the total.
        let own = place(key)?;
        let shared = place(total)?;
        Ok(Self { _key: own, _total: shared })
    }
}

fn place(scope: &LimitState) -> Result<Option<Place>, RateLimited> {
    let Some(streams) = scope.streams() else { return Ok(None) };
    streams.take().map(Some).map_err(|open| RateLimited {
        what: Limit::Streams,
        whose: scope.whose(),
        limit: u64::from(streams.limit.get()),
        used: u64::from(open),
        requested: 1,
        retry_after: Some(ASK_AGAIN),
    })
}
