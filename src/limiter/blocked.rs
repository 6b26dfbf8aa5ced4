//! What is not admitted, or not yet.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use tokio::time::Instant;

use super::rate_limited::RateLimited;
use super::shared::{Missing, Stop};

/// Longest time that a request waits for Redis.
const MAX_WAIT: Duration = Duration::from_millis(50);

/// What is not admitted, or not yet.
pub enum Blocked<T> {
    /// It is refused.
    Limited(RateLimited),
    /// Redis has to tell. With limits of this process only, this does not happen. The future ends within 50 ms.
    Pending(Pin<Box<dyn Future<Output = Result<T, RateLimited>> + Send>>),
}

impl<T: Send + 'static> Blocked<T> {
    /// What becomes of an attempt that was stopped. It is repeated while an exchange with Redis has to tell; its argument
    /// is whether it may be stopped for that.
    pub(super) fn new(stop: Stop, attempt: impl FnMut(bool) -> Result<T, Stop> + Send + 'static) -> Self {
        match stop {
            Stop::Limited(limited) => Self::Limited(limited),
            unknown @ Stop::Unknown(_) => Self::Pending(Box::pin(repeat(unknown, attempt))),
        }
    }
}

async fn repeat<T>(mut stop: Stop, mut attempt: impl FnMut(bool) -> Result<T, Stop>) -> Result<T, RateLimited> {
    let deadline = Instant::now() + MAX_WAIT;
    // What was kept for this request of each limit, until it has what it needs of all: while it waits for one, it must
    // not lose another.
    let mut kept: Vec<Missing> = Vec::new();
    loop {
        let missing = match stop {
            Stop::Limited(limited) => return Err(limited),
            Stop::Unknown(missing) => missing,
        };
        let may_wait = missing.exchanged(deadline).await;
        stop = match attempt(may_wait) {
            Ok(value) => return Ok(value),
            Err(stop) => stop,
        };
        kept.retain(|other| !other.is_of_same_limit(&missing));
        kept.push(missing);
    }
}
