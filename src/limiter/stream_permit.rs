//! The permit of one stream, of its key's limit and of the total.

use std::time::Duration;

use super::rate_limited::{Limit, RateLimited};
use super::state::LimitState;
use super::streams::Place;

/// The `retry-after` of a refused stream: when another one ends is unknown.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// The permit of one open stream, given back by its drop.
pub struct StreamPermit {
    _key: Option<Place>,
    _total: Option<Place>,
}

impl StreamPermit {
    pub(super) fn take(key: &LimitState, total: &LimitState) -> Result<Self, RateLimited> {
        // If the total refuses, the key's place is given back by its drop.
        let own = place(key)?;
        let shared = place(total)?;
        Ok(Self { _key: own, _total: shared })
    }
}

fn place(state: &LimitState) -> Result<Option<Place>, RateLimited> {
    let Some(streams) = state.streams() else { return Ok(None) };
    streams.take().map(Some).map_err(|open| RateLimited {
        what: Limit::Streams,
        owner: state.owner(),
        limit: u64::from(streams.limit().get()),
        used: u64::from(open),
        requested: 1,
        retry_after: Some(RETRY_AFTER),
    })
}
