//! The server of a listener: accepts connections, passes them to the workers, and drains at the shutdown.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::connection::ConnectionFactory;
use super::generation::CurrentServing;
use super::workers::Workers;
use crate::time::Shutdown;

/// Pause after a failed accept. It fails for want of memory or file descriptors, which come back when others close.
const ACCEPT_RETRY_DELAY: Duration = Duration::from_millis(50);

/// A listener and what it serves.
pub(super) struct Server {
    listener: TcpListener,
    /// One permit for each connection, at most as many as are allowed.
    permits: Arc<Semaphore>,
    workers: Workers,
    connections: Arc<ConnectionFactory>,
    shutdown: Shutdown,
}

impl Server {
    /// A server of what `serving` has at each request, with at most so many connections at once, which ends by `shutdown`: at `stop` it drains, and it raises `abort` at the drain deadline.
    pub(super) fn new(
        listener: TcpListener,
        serving: CurrentServing,
        max_connections: usize,
        workers: Workers,
        shutdown: Shutdown,
    ) -> Self {
        let connections = ConnectionFactory { serving, shutdown: shutdown.clone() };
        Self {
            listener,
            permits: Arc::new(Semaphore::new(max_connections.min(Semaphore::MAX_PERMITS))),
            workers,
            connections: Arc::new(connections),
            shutdown,
        }
    }

    /// Serves until `stop`, then lets running requests go on for at most `drain`, which is asked then, or until
    /// `skip_drain`. Returns when the last connection has ended.
    ///
    /// The workers are returned, since tasks that requests left behind still run on them: those that give connections
    /// back to the database's pools. They must outlive the database.
    #[must_use = "the database is closed before the workers are dropped"]
    pub(super) async fn run(self, drain: impl FnOnce() -> Duration) -> Workers {
        let Self { listener, permits, workers, connections, shutdown } = self;
        while let Some((tcp, peer, permit)) =
            shutdown.stop.token().run_until_cancelled(accept(&listener, &permits)).await
        {
            workers.spawn(serve(Arc::clone(&connections), tcp, peer, permit));
        }
        // From here on the kernel refuses new connections instead of queueing them.
        drop(listener);
        let why = tokio::select! {
            () = workers.idle() => return workers,
            () = tokio::time::sleep(drain()) => "cut at the drain deadline",
            () = shutdown.skip_drain.token().cancelled() => "cut before the drain deadline, as was asked for",
        };
        tracing::warn!(connections = workers.len(), "{why}");
        shutdown.abort.raise();
        workers.idle().await;
        workers
    }
}

/// The next connection, once a permit is free. Further ones wait in the kernel's queue.
async fn accept(
    listener: &TcpListener,
    permits: &Arc<Semaphore>,
) -> (std::net::TcpStream, SocketAddr, OwnedSemaphorePermit) {
    loop {
        let Ok(permit) = Arc::clone(permits).acquire_owned().await else {
            // Unreachable: the semaphore is never closed.
            std::future::pending::<()>().await;
            continue;
        };
        // Deregistered from this thread's poller: the connection belongs to a worker's runtime from here on.
        let accepted = listener.accept().await.and_then(|(tcp, peer)| Ok((tcp.into_std()?, peer)));
        match accepted {
            Ok((tcp, peer)) => return (tcp, peer, permit),
            Err(error) => {
                tracing::warn!(%error, "a connection can't be accepted");
                tokio::time::sleep(ACCEPT_RETRY_DELAY).await;
            }
        }
    }
}

/// Serves one connection to its end. The client may break it at any time, which the line of its request in the log
/// reports; here it is a matter of debugging.
async fn serve(
    connections: Arc<ConnectionFactory>,
    tcp: std::net::TcpStream,
    peer: SocketAddr,
    permit: OwnedSemaphorePermit,
) {
    match TcpStream::from_std(tcp) {
        Ok(tcp) => {
            if let Err(error) = connections.serve(tcp, peer, permit).await {
                tracing::debug!(%error, "a connection broke");
            }
        }
        Err(error) => tracing::warn!(%error, "a connection can't be served"),
    }
}
