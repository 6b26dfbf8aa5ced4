//! Idle connections to one endpoint.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::connection::{Connection, RuntimeId};

/// Most idle connections; further ones are closed.
const MAX_IDLE: usize = 256;
/// Connections that a sweep checks before it yields.
const SWEEP_BATCH: usize = 16;
/// How long a connection is kept. Common servers close idle ones after 60 to 75 s.
const MAX_IDLE_TIME: Duration = Duration::from_secs(55);

/// A stack: the connection that was used last is the one least likely to be stale. Connections whose socket is
/// registered with the runtime of the calling thread come first: data on any other wakes another thread.
#[derive(Default)]
pub(super) struct Pool {
    // std Mutex: never held across .await
    idle: Mutex<Vec<Idle>>,
}

struct Idle {
    connection: Box<Connection>,
    since: Instant,
}

impl Pool {
    /// A connection that is not too old `now`. Whether it is still usable is checked right before a request is written to it
    /// ([`Connection::send`]): an earlier check would be out of date by then.
    pub(super) fn take(&self, now: Instant) -> Option<Box<Connection>> {
        loop {
            let idle = self.pop()?;
            if now.saturating_duration_since(idle.since) < MAX_IDLE_TIME
                && let Some(connection) = idle.connection.move_here()
            {
                return Some(connection);
            }
        }
    }

    fn pop(&self) -> Option<Idle> {
        let here = RuntimeId::current();
        let mut idle = self.idle();
        if let Some(index) = idle.iter().rposition(|idle| idle.connection.runtime() == here) {
            return Some(idle.remove(index));
        }
        idle.pop()
    }

    /// Keeps a connection whose response has been read to the end. Whether the server has closed it or sends more is not
    /// asked here but when it is taken or swept: that takes a system call, and the answer would be out of date by then.
    pub(super) fn put(&self, connection: Box<Connection>) {
        if !connection.is_done() {
            return;
        }
        let mut idle = self.idle();
        if idle.len() < MAX_IDLE {
            idle.push(Idle { connection, since: Instant::now() });
        }
    }

    /// Closes connections that are too old, were closed by the peer, or have received something that belongs to no
    /// request. An idle connection is not polled, so without this its socket would stay half closed until it is taken.
    /// The lock is not held while connections are checked, a few at a time: a check is at least one system call.
    pub(super) async fn sweep(&self) {
        let mut seen = 0;
        loop {
            let mut batch = self.remove_batch(seen);
            if batch.is_empty() {
                return;
            }
            batch.retain_mut(|idle| Instant::now() - idle.since < MAX_IDLE_TIME && idle.connection.is_usable());
            seen += self.put_back(seen, batch);
            tokio::task::yield_now().await;
        }
    }

    /// Removes a few connections, from this position on.
    fn remove_batch(&self, from: usize) -> Vec<Idle> {
        let mut idle = self.idle();
        let from = from.min(idle.len());
        let to = idle.len().min(from + SWEEP_BATCH);
        idle.drain(from..to).collect()
    }

    /// Puts connections back at their position, up to [`MAX_IDLE`]. Returns how many.
    fn put_back(&self, at: usize, batch: Vec<Idle>) -> usize {
        let mut idle = self.idle();
        let at = at.min(idle.len());
        let count = batch.len().min(MAX_IDLE.saturating_sub(idle.len()));
        idle.splice(at..at, batch.into_iter().take(count));
        count
    }

    pub(super) fn len(&self) -> usize {
        self.idle().len()
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Idle>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
