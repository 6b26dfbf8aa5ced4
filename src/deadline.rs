//! When the answer on a connection must be over, told by whoever answers to whoever owns the socket.
//!
//! A body is not asked for more while its client reads nothing, so it can't notice that its time is up; the socket's
//! owner can.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::time::Instant;

/// Shared by a connection and the answer that is on it; clones are the same.
#[derive(Clone, Debug, Default)]
// std Mutex: never held across .await
pub struct EndsAt(Arc<Mutex<Option<Instant>>>);

impl EndsAt {
    /// The moment, if there is one.
    #[must_use]
    pub fn get(&self) -> Option<Instant> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sets or clears the moment.
    pub fn set(&self, at: Option<Instant>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = at;
    }
}
