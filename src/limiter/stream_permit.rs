//! The permit of one stream, of its key's limit and of the total.

use super::shared::Stop;
use super::state::LimitState;
use super::streams::Place;

/// The permit of one open stream, given back by its drop.
pub struct StreamPermit {
    _key: Place,
    _total: Place,
}

impl StreamPermit {
    pub(super) fn take(key: &LimitState, total: &LimitState, may_wait: bool) -> Result<Self, Stop> {
        let now = total.clock().nanos();
        // If the total refuses, the key's place is given back by its drop.
        let own = key.streams().take(now, may_wait)?;
        let shared = total.streams().take(now, may_wait)?;
        Ok(Self { _key: own, _total: shared })
    }
}
