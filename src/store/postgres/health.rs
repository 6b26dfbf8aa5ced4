//! Whether Postgres can be reached.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use crate::store::error::StoreError;

/// Statements in a row that fail before others are not sent any more: one connection may be lost for itself.
const MAX_FAILURES: u32 = 3;
/// Longest wait for a free connection, or for a new one.
pub(super) const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(5);

/// What the last statements have shown.
#[derive(Debug)]
pub(in crate::store) struct PostgresHealth {
    /// Connections go through a pooler, which gives each transaction any connection of the server.
    pooled: bool,
    // std Mutex: never held across .await
    state: Mutex<State>,
    /// Notified when requests begin to be refused.
    refuses: Notify,
}

#[derive(Debug)]
struct State {
    /// When a statement has reached the server last.
    reached_at: Instant,
    /// Since when no statement has reached the server; `None`: it can be reached.
    unreachable_since: Option<Instant>,
    /// Number of statements that have not reached it since the last one that has.
    failures: u32,
    /// When a server has refused to write last, as one that is no longer the primary does.
    refused_at: Option<Instant>,
}

impl PostgresHealth {
    /// The health of a server that was just reached.
    pub(super) fn new(pooled: bool) -> Self {
        let state = State { reached_at: Instant::now(), unreachable_since: None, failures: 0, refused_at: None };
        Self { pooled, state: Mutex::new(state), refuses: Notify::new() }
    }

    pub(in crate::store) const fn is_pooled(&self) -> bool {
        self.pooled
    }

    /// Since when no statement has reached the server; `None`: it can be reached.
    pub(in crate::store) fn unreachable_since(&self) -> Option<Instant> {
        self.state().unreachable_since
    }

    /// Fails if several statements could not reach the server, so that requests do not wait for it one after the other. It
    /// is tried again in the background.
    ///
    /// # Errors
    /// [`StoreError::Unreachable`]
    pub(in crate::store) fn check(&self) -> Result<(), StoreError> {
        if self.state().failures >= MAX_FAILURES { Err(StoreError::Unreachable) } else { Ok(()) }
    }

    /// Waits until requests are refused without asking the server.
    pub(in crate::store) async fn refused(&self) {
        while self.check().is_ok() {
            self.refuses.notified().await;
        }
    }

    /// Whether a connection that was made at `connected` may lead to a server that is no longer the primary.
    pub(super) fn is_outdated(&self, connected: Instant) -> bool {
        self.state().refused_at.is_some_and(|refused| connected <= refused)
    }

    /// Records the result of a statement, and logs a change.
    pub(in crate::store) fn record<T>(&self, done: &Result<T, StoreError>) {
        let mut state = self.state();
        let now = Instant::now();
        let waited = done.as_ref().is_err_and(StoreError::is_pool_timeout);
        if waited && now - state.reached_at < ACQUIRE_TIMEOUT {
            // All connections were in use, and others have reached the server meanwhile.
            return;
        }
        // The pool waits for a server that refuses connections as for a free connection.
        let error = done.as_ref().err().filter(|error| waited || error.is_unreachable());
        if error.is_some_and(StoreError::is_read_only_server) {
            state.refused_at = Some(now);
        }
        if error.is_none() {
            state.reached_at = now;
        }
        state.failures = if error.is_some() { state.failures.saturating_add(1) } else { 0 };
        if state.failures == MAX_FAILURES {
            self.refuses.notify_one();
        }
        if state.unreachable_since.is_some() == error.is_some() {
            return;
        }
        state.unreachable_since = error.map(|_| now);
        drop(state);
        match error {
            Some(error) => tracing::error!(%error, "Postgres can't be used; it is tried again"),
            None => tracing::info!("Postgres can be used again"),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn waited() -> Result<(), StoreError> {
        Err(sqlx::Error::PoolTimedOut.into())
    }

    #[tokio::test(start_paused = true)]
    async fn waits_for_a_connection_are_failures_once_nothing_reached_the_server_meanwhile() {
        let health = PostgresHealth::new(false);
        tokio::time::advance(ACQUIRE_TIMEOUT / 2).await;
        health.record(&Ok(()));
        tokio::time::advance(ACQUIRE_TIMEOUT / 2).await;
        (0..10).for_each(|_| health.record(&waited()));
        assert!(health.check().is_ok() && health.unreachable_since().is_none(), "others have reached it");
        tokio::time::advance(ACQUIRE_TIMEOUT / 2).await;
        (0..3).for_each(|_| health.record(&waited()));
        assert!(health.check().is_err() && health.unreachable_since().is_some());
        health.record(&Ok(()));
        assert!(health.check().is_ok() && health.unreachable_since().is_none());
    }
}
