//! What is measured of the client.

use std::time::Duration;

/// How a call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallResult {
    /// Redis has answered.
    Ok,
    /// Redis has answered with an error.
    Error,
    /// There was no answer in time.
    TimedOut,
    /// There was no connection, or it was closed.
    Down,
    /// Too many calls were waiting for an answer.
    Busy,
}

impl CallResult {
    /// Its name in metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Error => "error",
            Self::TimedOut => "timeout",
            Self::Down => "down",
            Self::Busy => "busy",
        }
    }
}

/// Receives what happens, for metrics. It is called on the path of requests, and must not wait.
pub trait Observer: Send + Sync + 'static {
    /// A call has ended; `time` is none if it was not sent.
    fn called(&self, result: CallResult, time: Option<Duration>);
    /// Redis is reached, or is not any more.
    fn reached(&self, is_up: bool);
    /// A connection was made in place of one that had failed.
    fn reconnected(&self);
}

/// Ignores everything.
#[derive(Clone, Copy, Debug)]
pub struct Unobserved;

impl Observer for Unobserved {
    fn called(&self, _: CallResult, _: Option<Duration>) {}

    fn reached(&self, _: bool) {}

    fn reconnected(&self) {}
}
