//! A request that has passed the limit of requests.

use std::sync::Arc;

use super::blocked::Blocked;
use super::quota::{Quota, tighter};
use super::reservation::Reservation;
use super::shared::Stop;
use super::state::LimitState;
use super::stream_permit::StreamPermit;

/// A request that has passed the limit of requests; takes its stream's permit and its tokens from the same limits.
#[derive(Clone)]
pub struct Admission {
    pub(super) key: Arc<LimitState>,
    pub(super) total: Arc<LimitState>,
    pub(super) requests: Option<Quota>,
}

/// What a completion has taken of the limits.
pub struct Allotment {
    /// The permit of a stream.
    pub permit: Option<StreamPermit>,
    /// Its tokens.
    pub reservation: Reservation,
}

impl Admission {
    /// Takes a permit for a `stream`, and reserves `tokens`, to be settled when the real number is known.
    ///
    /// # Errors
    /// [`RateLimited`](super::RateLimited) by the key's or the total number of streams at once or tokens a minute; with
    /// no `retry_after` if that many tokens can never fit.
    pub fn take(&self, stream: bool, tokens: u64) -> Result<Allotment, Blocked<Allotment>> {
        self.try_take(stream, tokens, true).map_err(|stop| {
            let this = self.clone();
            Blocked::new(stop, move |may_wait| this.try_take(stream, tokens, may_wait))
        })
    }

    fn try_take(&self, stream: bool, tokens: u64, may_wait: bool) -> Result<Allotment, Stop> {
        // If tokens are refused, the permit is given back by its drop.
        let permit = if stream { Some(StreamPermit::take(&self.key, &self.total, may_wait)?) } else { None };
        let reservation = Reservation::take(&self.key, &self.total, tokens, may_wait)?;
        Ok(Allotment { permit, reservation })
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
