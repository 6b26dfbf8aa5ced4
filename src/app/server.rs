//! The server of a listener: accepts connections, passes them to the workers, and drains at the shutdown.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use super::client_stream::{AcceptedSocket, ClientStream};
use super::connection::ConnectionFactory;
use super::generation::CurrentServing;
use super::listen::{Listener, ListenerProtocol, read_header};
use super::workers::Workers;
use crate::time::Shutdown;

/// Pause after a failed accept. It fails for want of memory or file descriptors, which come back when others close.
const ACCEPT_RETRY_DELAY: Duration = Duration::from_millis(50);
/// How long a connection that has not begun may take for it after `stop`: a request may be in transit.
const FINAL_HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(1);

/// Listeners and what they serve.
pub(super) struct Server {
    listeners: Vec<Listener>,
    /// One permit for each connection, at most as many as are allowed.
    permits: Arc<Semaphore>,
    workers: Workers,
    connections: Arc<ConnectionFactory>,
    shutdown: Shutdown,
}

impl Server {
    /// A server of what `serving` has at each request, with at most `max_connections` at once on all `listeners`. It
    /// ends by `shutdown`: at `stop` it drains, and it raises `abort` at the drain deadline.
    pub(super) fn new(
        listeners: Vec<Listener>,
        serving: CurrentServing,
        max_connections: usize,
        workers: Workers,
        shutdown: Shutdown,
    ) -> Self {
        Self {
            listeners,
            permits: Arc::new(Semaphore::new(max_connections.min(Semaphore::MAX_PERMITS))),
            connections: Arc::new(ConnectionFactory { serving, shutdown: shutdown.clone() }),
            workers,
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
        let Self { listeners, permits, workers, connections, shutdown } = self;
        let accepting = listeners.iter().map(async |listener| {
            loop {
                let (socket, peer, permit) = accept(listener, &permits).await;
                let beginning = Beginning {
                    protocol: Arc::clone(&listener.protocol),
                    timeout: connections.handshake_timeout(),
                    shutdown: shutdown.clone(),
                };
                workers.spawn(serve(Arc::clone(&connections), socket, peer, permit, beginning));
            }
        });
        let _: Option<Vec<()>> = shutdown.stop.token().run_until_cancelled(join_all(accepting)).await;
        // From here on the kernel refuses new connections instead of queueing them.
        drop(listeners);
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

/// The next connection, once a permit is free. Further ones wait in the kernel's queue, except for the one that is held
/// here.
async fn accept(
    listener: &Listener,
    permits: &Arc<Semaphore>,
) -> (AcceptedSocket, Option<SocketAddr>, OwnedSemaphorePermit) {
    loop {
        // The permit last, so that an idle listener keeps none from the others.
        match listener.accept().await {
            Ok((socket, peer)) => match Arc::clone(permits).acquire_owned().await {
                Ok(permit) => return (socket, peer, permit),
                // Unreachable: the semaphore is never closed.
                Err(_closed) => std::future::pending::<()>().await,
            },
            Err(error) => {
                tracing::warn!(%error, listener = %listener.address, "a connection can't be accepted");
                tokio::time::sleep(ACCEPT_RETRY_DELAY).await;
            }
        }
    }
}

/// What precedes HTTP on a connection.
struct Beginning {
    protocol: Arc<ListenerProtocol>,
    timeout: Duration,
    shutdown: Shutdown,
}

/// Serves one connection to its end. The client may break it at any time, which the line of its request in the log
/// reports; here it is a matter of debugging.
async fn serve(
    connections: Arc<ConnectionFactory>,
    socket: AcceptedSocket,
    peer: Option<SocketAddr>,
    permit: OwnedSemaphorePermit,
    beginning: Beginning,
) {
    let stream = match ClientStream::register(socket) {
        Ok(stream) => stream,
        Err(error) => return tracing::warn!(%error, "a connection can't be served"),
    };
    let (stream, peer) = match beginning.run(stream, peer).await {
        Ok(begun) => begun,
        Err(error) => return tracing::debug!(%error, ?peer, "a connection did not begin"),
    };
    if let Err(error) = connections.serve(stream, peer, permit).await {
        tracing::debug!(%error, "a connection broke");
    }
}

impl Beginning {
    /// The stream of plain text, and the address of the client.
    async fn run(
        self,
        mut stream: ClientStream,
        peer: Option<SocketAddr>,
    ) -> std::io::Result<(ClientStream, Option<SocketAddr>)> {
        let Self { protocol, timeout: limit, shutdown } = self;
        let ListenerProtocol { proxy_protocol, tls } = &*protocol;
        if !proxy_protocol && tls.is_none() {
            return Ok((stream, peer));
        }
        let begin = async {
            let client = if *proxy_protocol { read_header(&mut stream).await? } else { None };
            let stream = match tls {
                Some(tls) => stream.with_tls(tls).await?,
                None => stream,
            };
            Ok((stream, client.or(peer)))
        };
        let last = async {
            shutdown.stop.token().cancelled().await;
            tokio::time::sleep(FINAL_HANDSHAKE_TIMEOUT).await;
        };
        tokio::select! {
            begun = timeout(limit, begin) => begun.unwrap_or_else(|_elapsed| Err(std::io::ErrorKind::TimedOut.into())),
            () = last => Err(std::io::ErrorKind::TimedOut.into()),
        }
    }
}
