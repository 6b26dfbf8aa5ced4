//! Where writers and subscribers find the server, and how they learn that it is over.

use std::net::SocketAddr;

use petstream::wire::event::{LastSeqs, Topics};
use tokio::sync::watch;

use test_support::http::Connection;
use test_support::soon;

/// How things stand.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Life {
    /// Where the server listens; none while there is none.
    pub(crate) address: Option<SocketAddr>,
    /// How many there have been.
    pub(crate) generation: usize,
    /// No further writes.
    pub(crate) settled: bool,
    /// The last event of each topic, when there will be no more.
    pub(crate) ends: Option<LastSeqs>,
}

/// What all writers and subscribers share.
pub(crate) struct SharedState {
    life: watch::Sender<Life>,
    /// How many requests that change something have gone out.
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

    /// A connection to the server, when there is one.
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

    /// A request that changes something is going out.
    pub(crate) fn note_sent(&self) {
        self.sent.send_modify(|sent| *sent += 1);
    }

    /// Waits until `count` more have gone out.
    pub(crate) async fn sent(&self, count: usize) {
        let enough = *self.sent.borrow() + count;
        soon("writes", self.sent.subscribe().wait_for(|sent| *sent >= enough)).await.unwrap();
    }

    /// Waits for `restarts` further servers, or until there will be no more.
    pub(crate) async fn away(&self, restarts: usize) {
        let until = self.life().generation + restarts;
        let over = |life: &Life| life.generation >= until || life.settled;
        self.life.subscribe().wait_for(over).await.unwrap();
    }

    /// Waits until nothing more will happen; gives the last event of `topics`.
    pub(crate) async fn end(&self, topics: Topics) -> u64 {
        let mut life = self.life.subscribe();
        let life = life.wait_for(|life| life.ends.is_some()).await.unwrap();
        life.ends.unwrap().of(topics)
    }
}
