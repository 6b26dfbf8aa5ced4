//! The count of a limit's open streams.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

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

    /// Counts one more; the number of open streams if that exceeds the limit.
    pub(super) fn take(&self) -> Result<Place, u32> {
        let limit = self.limit.get();
        self.open
            .try_update(Ordering::AcqRel, Ordering::Relaxed, |open| (open < limit).then_some(open + 1))
            .map(|_| Place(Arc::clone(&self.open)))
    }
}

/// One open stream of a limit; counted until it is dropped.
pub(super) struct Place(Arc<AtomicU32>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}
