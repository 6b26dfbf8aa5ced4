//! State that writers, subscribers and the killer share: the address of the server, and the end of the run.

use std::net::SocketAddr;

use petstream::wire::event::{LastSeqs, Topics};
use tokio::sync::watch;

use test_support::http::Connection;
use test_support::soon;

/// The current phase.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Life {
    /// The address of the server; none while none runs.
    pub(crate) address: Option<SocketAddr>,
    /// The number of servers so far.
    pub(crate) generation: usize,
    /// Set when writers must stop.
    pub(crate) settled: bool,
    /// The last event of each topic, once all writes are over.
    pub(crate) ends: Option<LastSeqs>,
}

/// The shared state.
pub(crate) struct SharedState {
    life: watch::Sender<Life>,
    /// The number of writes that have been sent.
    sent: watch::Sender<usize>,
}

impl SharedState {
    pub(crate) fn new() -> Self {
        Self { life: watch::Sender::new(Life::default()), sent: watch::Sender::new(0) }
    }

    pub(crate) fn life(&self) -> Life {
        *self.life.borrow()
    }

    pub(crate) fn change(&self, how: impl FnOnce(&mut Life)) {
        self.life.send_modify(how);
    }

    /// Connects to the server, as soon as one runs.
    pub(crate) async fn connect(&self) -> Connection {
        let mut life = self.life.subscribe();
        loop {
            let address =
                soon("a server", life.wait_for(|life| life.address.is_some())).await.unwrap().address.unwrap();
            if let Some(connection) = Connection::open_unless_gone(address).await {
                return connection;
            }
            tokio::task::yield_now().await;
        }
    }

    /// Counts a write that is sent.
    pub(crate) fn note_sent(&self) {
        self.sent.send_modify(|sent| *sent += 1);
    }

    /// Waits for `count` further writes.
    pub(crate) async fn sent(&self, count: usize) {
        let enough = *self.sent.borrow() + count;
        soon("writes", self.sent.subscribe().wait_for(|sent| *sent >= enough)).await.unwrap();
    }

    /// Waits for `restarts` further servers, or for the end of the run.
    pub(crate) async fn away(&self, restarts: usize) {
        let until = self.life().generation + restarts;
        let over = |life: &Life| life.generation >= until || life.settled;
        self.life.subscribe().wait_for(over).await.unwrap();
    }

    /// Waits for the end of all writes; returns the last event of `topics`.
    pub(crate) async fn end(&self, topics: Topics) -> u64 {
        let mut life = self.life.subscribe();
        let life = life.wait_for(|life| life.ends.is_some()).await.unwrap();
        life.ends.unwrap().of(topics)
    }
}
