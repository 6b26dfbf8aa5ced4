//! The client of Redis. No request waits for Redis longer than [`CALL_TIMEOUT`], and none waits for a connection.
//!
//! ```text
//!   Redis (cheap to clone) ── call, call_all, run_script ──> one multiplexed connection
//!                                                              ^ replaced by
//!   ConnectionTask::run ── drives it, and after a failure connects again, with backoff, until a probe is answered
//! ```
//!
//! A connection has failed when it is closed, when calls have timed out one after the other, or when Redis answers that
//! it can't take writes. From then on every call fails at once with [`RedisError::Down`], so that a Redis that hangs
//! costs no more than one that is gone. Only the task tries it again; no request does.
//!
//! Keys and channels begin with the configured prefix, see [`Redis::key`].

mod backoff;
mod client;
mod connection;
mod endpoint;
mod error;
mod observer;
mod open_error;
mod subscriber;
mod task;

pub use client::{Redis, RedisState};
pub use connection::CALL_TIMEOUT;
pub use error::RedisError;
pub use observer::{CallResult, Observer, Unobserved};
pub use open_error::OpenError;
pub use subscriber::{Received, Subscriber};
pub use task::ConnectionTask;
