//! Accepting connections, serving them, and letting them end.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::response::Response;
use http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::Service;

use super::connection::Connection;
use crate::config::Limits;
use crate::deadline::EndsAt;
use crate::layer::authenticate::Peer;

/// Pause after a failed accept: what fails is memory or file descriptors, and those come back.
const BREATHER: Duration = Duration::from_millis(50);

/// How long an error frame may take to reach its client after the drain deadline.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// A listener and what it serves.
pub(super) struct Server {
    listener: TcpListener,
    router: Router,
    http: http1::Builder,
    write_idle: Duration,
    places: Arc<Semaphore>,
    /// Cancelled when shutdown begins.
    stopping: CancellationToken,
    /// Cancelled when it may take no longer.
    cutting: CancellationToken,
    connections: TaskTracker,
}

impl Server {
    pub(super) fn new(
        listener: TcpListener,
        router: Router,
        limits: &Limits,
        stopping: CancellationToken,
        cutting: CancellationToken,
    ) -> Self {
        let mut http = http1::Builder::new();
        http.timer(TokioTimer::new())
            .header_read_timeout(limits.header_read)
            .max_buf_size(limits.head)
            .pipeline_flush(false);
        Self {
            listener,
            router,
            http,
            write_idle: limits.write_idle,
            places: Arc::new(Semaphore::new(limits.connections.min(Semaphore::MAX_PERMITS))),
            stopping,
            cutting,
            connections: TaskTracker::new(),
        }
    }

    /// Serves until shutdown begins, then lets running requests go on for at most `drain`.
    pub(super) async fn run(self, drain: Duration) {
        while let Some((tcp, peer, place)) = self.stopping.run_until_cancelled(self.accept()).await {
            self.connections.spawn(self.serve(tcp, peer, place));
        }
        // New connections are refused from here on, and not left in a queue that nobody serves.
        drop(self.listener);
        self.connections.close();
        if tokio::time::timeout(drain, self.connections.wait()).await.is_err() {
            tracing::warn!(connections = self.connections.len(), "cut at the drain deadline");
            self.cutting.cancel();
            self.connections.wait().await;
        }
    }

    /// The next connection, when there is a place for it. Further ones wait in the kernel's queue.
    async fn accept(&self) -> (TcpStream, SocketAddr, OwnedSemaphorePermit) {
        loop {
            let Ok(place) = Arc::clone(&self.places).acquire_owned().await else {
                // Nobody closes the semaphore.
                std::future::pending::<()>().await;
                continue;
            };
            match self.listener.accept().await {
                Ok((tcp, peer)) => return (tcp, peer, place),
                Err(error) => {
                    tracing::warn!(%error, "a connection can't be accepted");
                    tokio::time::sleep(BREATHER).await;
                }
            }
        }
    }

    fn serve(
        &self,
        tcp: TcpStream,
        peer: SocketAddr,
        place: OwnedSemaphorePermit,
    ) -> impl Future<Output = ()> + Send + 'static {
        // A token must not wait for the acknowledgement of the one before it.
        if let Err(error) = tcp.set_nodelay(true) {
            tracing::debug!(%error, "TCP_NODELAY");
        }
        let router = self.router.clone();
        let ends_at = EndsAt::default();
        let io = TokioIo::new(Connection::new(tcp, self.write_idle, ends_at.clone()));
        let service = service_fn(move |request| answer(router.clone(), request, peer, ends_at.clone()));
        let connection = self.http.serve_connection(io, service);
        let (stopping, cutting) = (self.stopping.clone(), self.cutting.clone());
        async move {
            let _place = place;
            let mut connection = std::pin::pin!(connection);
            tokio::select! {
                ended = connection.as_mut() => return log(ended),
                () = stopping.cancelled() => connection.as_mut().graceful_shutdown(),
            }
            tokio::select! {
                ended = connection => log(ended),
                () = last_words(&cutting) => {}
            }
        }
    }
}

/// The streams hear that it is over when their connections do, and have a moment to tell their clients.
async fn last_words(cutting: &CancellationToken) {
    cutting.cancelled().await;
    tokio::time::sleep(LAST_WORDS).await;
}

async fn answer(
    mut router: Router,
    mut request: Request<Incoming>,
    peer: SocketAddr,
    ends_at: EndsAt,
) -> Result<Response, Infallible> {
    request.extensions_mut().insert(Peer(peer));
    request.extensions_mut().insert(ends_at);
    router.call(request.map(Body::new)).await
}

/// A connection that broke is the client's business; the request's own line says what became of it.
fn log(ended: Result<(), hyper::Error>) {
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection broke");
    }
}
