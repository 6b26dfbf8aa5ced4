//! Rate limits, for each key and for all keys together: requests per minute, tokens per minute, concurrent streams.
//!
//! A request is charged to its key first, then to the total, so that a key over its own limit can't use up what all
//! share. A request that only the total refuses still counts against its key, as refused requests do with OpenAI.
//! Open streams are counted without a limit too; otherwise limits that are not set cost nothing. Time comes from a [`Clock`] that is passed in.
//!
//! State is held by this process, or shared by all replicas, see `shared`.

mod admission;
mod blocked;
mod bucket;
mod clock;
mod level;
mod limits;
mod quota;
mod quotas;
mod rate_limited;
mod requests;
mod reservation;
mod shared;
mod state;
mod stream_permit;
mod streams;
mod tokens;

pub use admission::{Admission, Allotment};
pub use blocked::Blocked;
pub use clock::Clock;
pub use limits::Limiter;
pub use quota::Quota;
pub use rate_limited::{Cause, Limit, LimitOwner, RateLimited};
pub use reservation::Reservation;
pub use shared::{ExchangeTask, Mode, SharedLimits};
pub use stream_permit::StreamPermit;

#[cfg(test)]
mod tests;
