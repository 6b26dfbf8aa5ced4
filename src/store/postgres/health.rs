//! Whether Postgres can be reached.

use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;
use tokio::time::Instant;

use crate::store::error::StoreError;

/// Statements in a row that fail before others are not sent any more: one connection may be lost for itself.
const MAX_FAILURES: u32 = 3;

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

#[derive(Debug, Default)]
struct State {
    /// Since when no statement has reached the server; `None`: it can be reached.
    unreachable_since: Option<Instant>,
    /// Number of statements that have not reached it since the last one that has.
    failures: u32,
    /// When a server has refused to write last, as one that is no longer the primary does.
    refused_at: Option<Instant>,
}

impl PostgresHealth {
    pub(super) const fn new(pooled: bool) -> Self {
        Self {
            pooled,
            state: Mutex::new(State { unreachable_since: None, failures: 0, refused_at: None }),
            refuses: Notify::const_new(),
        }
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
        let error = done.as_ref().err().filter(|error| error.is_unreachable());
        let mut state = self.state();
        if error.is_some_and(StoreError::is_read_only_server) {
            state.refused_at = Some(Instant::now());
        }
        // A wait for a free connection that timed out says nothing about the server.
        if done.as_ref().is_err_and(StoreError::is_busy) {
            return;
        }
        state.failures = if error.is_some() { state.failures.saturating_add(1) } else { 0 };
        if state.failures == MAX_FAILURES {
            self.refuses.notify_one();
        }
        if state.unreachable_since.is_some() == error.is_some() {
            return;
        }
        state.unreachable_since = error.map(|_| Instant::now());
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
