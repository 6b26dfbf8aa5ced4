//! The permit of one stream, of its key's limit and of the total.

use std::time::Duration;

use super::rate_limited::{Limit, RateLimited};
use super::state::LimitState;
use super::streams::Place;

/// The `retry-after` of a refused stream: when another one ends is unknown.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// The permit of one open stream, given back by its drop.
pub struct StreamPermit {
    _key: Place,
    _total: Place,
}

impl StreamPermit {
    pub(super) fn take(key: &LimitState, total: &LimitState) -> Result<Self, RateLimited> {
        // If the total refuses, the key's place is given back by its drop.
        let own = place(key)?;
        let shared = place(total)?;
        Ok(Self { _key: own, _total: shared })
    }
}

fn place(state: &LimitState) -> Result<Place, RateLimited> {
    state.streams().take().map_err(|full| RateLimited {
        what: Limit::Streams,
        owner: state.owner(),
        limit: u64::from(full.limit),
        used: u64::from(full.open),
        requested: 1,
        retry_after: Some(RETRY_AFTER),
    })
}
