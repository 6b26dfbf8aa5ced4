//! A running server: its handle, and the order of its end.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::task::JoinHandle;

use super::background::BackgroundTasks;
use super::generation::CurrentServing;
use super::listener_address::ListenerAddress;
use super::reload::Reloader;
use super::server::Server;
use crate::api::Route;
use crate::store::Store;
use crate::time::Shutdown;

/// How long a scrape of metrics may go on after everything else has ended.
const METRICS_DRAIN: Duration = Duration::from_secs(1);

/// A server that accepts connections.
pub struct Running {
    /// The addresses of the listeners, in the order of the configuration.
    pub addresses: Vec<ListenerAddress>,
    /// The address of the metrics listener, if there is one.
    pub metrics_address: Option<SocketAddr>,
    /// The secret of the first key, if one was made because there was none.
    pub first_key: Option<String>,
    /// Every route of the API.
    pub routes: Vec<Route>,
    pub(super) reloader: Reloader,
    pub(super) shutdown: Shutdown,
    pub(super) done: JoinHandle<()>,
}

impl Running {
    /// Begins to shut down: not ready; after `drain.delay` no new connections; running requests go on until they end or
    /// until the drain deadline.
    pub fn stop(&self) {
        self.shutdown.leaving.raise();
    }

    /// The address of the first TCP listener; none if all are unix sockets.
    #[must_use]
    pub fn tcp_address(&self) -> Option<SocketAddr> {
        self.addresses.iter().find_map(ListenerAddress::tcp)
    }

    /// Replaces the configuration.
    #[must_use]
    pub const fn reloader(&self) -> &Reloader {
        &self.reloader
    }

    /// The phases of the shutdown. The owner of the server may raise `leaving` and `skip_drain`.
    #[must_use]
    pub const fn shutdown(&self) -> &Shutdown {
        &self.shutdown
    }

    /// Waits until the server has ended and the database is closed.
    pub async fn stopped(self) {
        // An error is a panic, which was logged where it happened; the server has ended with it.
        let _ = self.done.await;
    }
}

/// Everything that has to end, in the order of [`Shutdown`].
pub(super) struct Lifetime {
    pub(super) server: Server,
    /// Has the times of the drain.
    pub(super) serving: CurrentServing,
    pub(super) metrics_server: Option<Server>,
    pub(super) usage_writer: JoinHandle<()>,
    pub(super) tasks: BackgroundTasks,
    pub(super) store: Store,
}

impl Lifetime {
    /// Serves until the shutdown, then ends everything.
    pub(super) async fn run(self) {
        let Self { server, serving, metrics_server, usage_writer, tasks, store } = self;
        let shutdown = tasks.shutdown.clone();
        let main = async {
            let workers = server.run(|| serving.load().drain.at_most).await;
            shutdown.disconnected.raise();
            // Writes what is queued, for a few seconds at most.
            let _ = usage_writer.await;
            shutdown.flushed.raise();
            workers
        };
        let metrics = async {
            match metrics_server {
                Some(server) => Some(server.run(|| METRICS_DRAIN).await),
                None => None,
            }
        };
        let leave = async {
            shutdown.leaving.token().cancelled().await;
            shutdown.skip_drain.token().run_until_cancelled(tokio::time::sleep(serving.load().drain.delay)).await;
            shutdown.stop.raise();
        };
        let (workers, _, ()) = tokio::join!(main, metrics, leave);
        tasks.finished().await;
        // Waits for connections that tasks on the workers still give back. One that is dropped with its runtime would
        // be closed some time later, perhaps never, and the write-ahead log would stay beside the database.
        store.close().await;
        drop(workers);
    }
}
