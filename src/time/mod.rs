//! Time: the clock, timers and timeouts, the deadline of an answer, and the signal that shuts the server down.

mod alarm;
pub mod clock;
mod host;
mod shutdown;
mod timeout;

pub use alarm::LazyTimer;
pub use host::hosted;
pub use shutdown::{Shutdown, ShutdownSignal, ShutdownWatcher};
pub use timeout::timeout;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::time::Instant;

/// When the answer on a connection must be over, told by whoever answers to whoever owns the socket: a body is not asked
/// for more while its client reads nothing, so it can't notice that its time is up, and the socket's owner can.
///
/// Clones are the same.
#[derive(Clone, Debug, Default)]
// std Mutex: never held across .await
pub struct ResponseDeadline(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    at: Option<Instant>,
    ends_with_client: bool,
    cut: bool,
}

impl ResponseDeadline {
    /// The moment, if there is one.
    #[must_use]
    pub fn get(&self) -> Option<Instant> {
        self.state().at
    }

    /// Sets or clears the moment.
    pub fn set(&self, at: Option<Instant>) {
        self.state().at = at;
    }

    /// Says that another answer begins, of which nothing is known yet.
    pub fn begin(&self) {
        let mut state = self.state();
        (state.at, state.ends_with_client) = (None, false);
    }

    /// Says that the answer is given up when the client ends its side of the connection: it takes long or costs much, and a
    /// client that has left can't be told from one that only sends no more.
    pub fn end_with_client(&self) {
        self.state().ends_with_client = true;
    }

    /// Whether the answer is given up when the client ends its side of the connection.
    #[must_use]
    pub fn ends_with_client(&self) -> bool {
        self.state().ends_with_client
    }

    /// Says that the connection was cut because its reader took too long, or still had not taken it all when the answer's
    /// time was up.
    pub fn cut(&self) {
        self.state().cut = true;
    }

    /// Whether the connection was cut because its reader took too long.
    #[must_use]
    pub fn was_cut(&self) -> bool {
        self.state().cut
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
