//! A request that has passed the limit of requests.

use std::sync::Arc;

use super::quota::{Quota, tighter};
use super::rate_limited::RateLimited;
use super::reservation::Reservation;
use super::state::LimitState;
use super::stream_permit::StreamPermit;

/// A request that has passed the limit of requests; takes its stream's permit and its tokens from the same limits.
#[derive(Clone)]
pub struct Admission {
    pub(super) key: Arc<LimitState>,
    pub(super) total: Arc<LimitState>,
    pub(super) requests: Option<Quota>,
}

impl Admission {
    /// A permit for one more stream.
    ///
    /// # Errors
    /// [`RateLimited`] by the key's or the total number of streams at once.
    pub fn stream(&self) -> Result<StreamPermit, RateLimited> {
        StreamPermit::take(&self.key, &self.total)
    }

    /// Reserves `tokens`, to be settled when the real number is known.
    ///
    /// # Errors
    /// [`RateLimited`] by the key's or the total tokens a minute; with no `retry_after` if that many can never fit.
    pub fn reserve(&self, tokens: u64) -> Result<Reservation, RateLimited> {
        Reservation::take(&self.key, &self.total, tokens)
    }

    /// Requests left after this one; the tighter of the key's and the total.
    #[must_use]
    pub const fn requests(&self) -> Option<Quota> {
        self.requests
    }

    /// Tokens left now; the tighter of the key's and the total.
    #[must_use]
    pub fn tokens(&self) -> Option<Quota> {
        let now = self.total.clock().nanos();
        tighter(self.key.tokens(now), self.total.tokens(now))
    }
}
