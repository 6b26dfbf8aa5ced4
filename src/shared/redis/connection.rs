//! One connection, and what decides that it has failed.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use tokio::sync::Notify;

/// Longest time of a call.
pub const CALL_TIMEOUT: Duration = Duration::from_millis(50);
/// Calls in a row without an answer in time after which a connection has failed.
const MAX_TIMEOUTS: u32 = 3;

/// A connection that calls use together.
pub(super) struct Connection {
    multiplexed: MultiplexedConnection,
    /// Calls that timed out since the last answer.
    timeouts: AtomicU32,
    /// Whether a call was answered.
    is_proven: AtomicBool,
    /// Why it has failed.
    failure: OnceLock<String>,
    failed: Notify,
}

impl Connection {
    pub(super) fn new(multiplexed: MultiplexedConnection) -> Self {
        Self {
            multiplexed,
            timeouts: AtomicU32::new(0),
            is_proven: AtomicBool::new(false),
            failure: OnceLock::new(),
            failed: Notify::new(),
        }
    }

    /// The library's handle, for one call.
    pub(super) fn multiplexed(&self) -> MultiplexedConnection {
        self.multiplexed.clone()
    }

    /// A call was answered.
    pub(super) fn answered(&self) {
        // Written only when it changes: calls of all threads share these.
        if self.timeouts.load(Ordering::Relaxed) != 0 {
            self.timeouts.store(0, Ordering::Relaxed);
        }
        if !self.is_proven.load(Ordering::Relaxed) {
            self.is_proven.store(true, Ordering::Relaxed);
        }
    }

    /// A call was not answered in time.
    pub(super) fn timed_out(&self) {
        if self.timeouts.fetch_add(1, Ordering::Relaxed) + 1 >= MAX_TIMEOUTS {
            self.fail("calls are not answered in time".to_owned());
        }
    }

    /// No further call may use it.
    pub(super) fn fail(&self, why: String) {
        if self.failure.set(why).is_ok() {
            self.failed.notify_one();
        }
    }

    /// Why it has failed.
    pub(super) fn failure(&self) -> Option<&str> {
        self.failure.get().map(String::as_str)
    }

    /// Whether a call was answered since it was made.
    pub(super) fn is_proven(&self) -> bool {
        self.is_proven.load(Ordering::Relaxed)
    }

    /// Waits until it has failed. For one task.
    pub(super) async fn failed(&self) {
        self.failed.notified().await;
    }
}
