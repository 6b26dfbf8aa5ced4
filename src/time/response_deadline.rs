//! The deadline of the response that is being sent, shared with the owner of the client's socket.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::time::Instant;

/// The deadline of the response on a connection, set by the response and enforced by the owner of the socket.
///
/// A response body isn't polled while its client reads nothing, so it can't enforce its own deadline; the owner of the
/// socket can. One per connection; clones share their state.
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
    /// The deadline; none: the response may take any time.
    #[must_use]
    pub fn get(&self) -> Option<Instant> {
        self.state().at
    }

    /// Sets or clears the deadline.
    pub fn set(&self, at: Option<Instant>) {
        self.state().at = at;
    }

    /// Resets it for the next request: no deadline, and the response doesn't end with the client.
    pub fn begin(&self) {
        let mut state = self.state();
        (state.at, state.ends_with_client) = (None, false);
    }

    /// Aborts the response when the client closes its side of the connection. For responses that are long or
    /// expensive: a half-close can't be distinguished from a client that has left.
    pub fn end_with_client(&self) {
        self.state().ends_with_client = true;
    }

    /// Whether the response is aborted when the client closes its side of the connection.
    #[must_use]
    pub fn ends_with_client(&self) -> bool {
        self.state().ends_with_client
    }

    /// Records that the connection was cut: its reader took no byte for too long, or had not taken the whole response
    /// by the deadline.
    pub fn cut(&self) {
        self.state().cut = true;
    }

    /// Whether the connection was cut because its reader was too slow.
    #[must_use]
    pub fn was_cut(&self) -> bool {
        self.state().cut
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
