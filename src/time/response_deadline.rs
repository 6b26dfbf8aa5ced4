//! What the owner of a client's socket must know of the response that is being sent.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::time::Instant;

/// The deadline of the response on a connection, set by the response and enforced by the owner of the socket.
///
/// A response body isn't polled while its client reads nothing, so it can't notice that its time is up; the owner of the
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

    /// Gives the response up when the client ends its side of the connection. For responses that take long or cost much: a
    /// client that has left can't be told from one that only sends no more.
    pub fn end_with_client(&self) {
        self.state().ends_with_client = true;
    }

    /// Whether the response is given up when the client ends its side of the connection.
    #[must_use]
    pub fn ends_with_client(&self) -> bool {
        self.state().ends_with_client
    }

    /// Records that the connection was cut: its reader took no byte for too long, or had not taken the whole response by the
    /// deadline.
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
