//! The count of a limit's open streams.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

/// How many streams are open; counted without a limit too, since one may be set while they run.
pub(super) struct Streams {
    limit: Option<NonZeroU32>,
    /// Shared with permits, and kept when the limit changes.
    open: Arc<AtomicU32>,
}

impl Streams {
    pub(super) fn new(limit: Option<NonZeroU32>) -> Self {
        Self { limit, open: Arc::default() }
    }

    pub(super) fn with_limit(&self, limit: Option<NonZeroU32>) -> Self {
        Self { limit, open: Arc::clone(&self.open) }
    }

    pub(super) fn is_idle(&self) -> bool {
        self.open.load(Ordering::Relaxed) == 0
    }

    /// Counts one more.
    pub(super) fn take(&self) -> Result<Place, Full> {
        let limit = self.limit.map_or(u32::MAX, NonZeroU32::get);
        self.open
            .try_update(Ordering::AcqRel, Ordering::Relaxed, |open| (open < limit).then_some(open + 1))
            .map(|_| Place(Arc::clone(&self.open)))
            .map_err(|open| Full { limit, open })
    }
}

/// One more stream would exceed the limit.
pub(super) struct Full {
    pub(super) limit: u32,
    pub(super) open: u32,
}

/// One open stream of a limit; counted until it is dropped.
pub(super) struct Place(Arc<AtomicU32>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}
