//! Accepting connections, serving them, and letting them end.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use http::Request;
use http_body::{Body as HttpBody, Frame, SizeHint};
use hyper::body::Incoming;
use hyper::rt::{Read, Write};
use hyper::server::conn::http1;
use hyper::service::{HttpService, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Sleep;
use tokio_util::task::TaskTracker;
use tower::Service;

use super::connection::{Connection, prepare};
use crate::config::Limits;
use crate::deadline::{EndsAt, Listener, Signal};
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
    header_read: Duration,
    places: Arc<Semaphore>,
    /// Raised when shutdown begins.
    stopping: Signal,
    /// Raised when it may take no longer.
    cutting: Signal,
    connections: TaskTracker,
}

impl Server {
    pub(super) fn new(
        listener: TcpListener,
        router: Router,
        limits: &Limits,
        stopping: Signal,
        cutting: Signal,
    ) -> Self {
        let mut http = http1::Builder::new();
        http.timer(TokioTimer::new())
            // Runs while a kept connection is idle too; the head of the first request has a limit of its own.
            .header_read_timeout(limits.keep_alive)
            .max_buf_size(limits.head)
            .pipeline_flush(false);
        Self {
            listener,
            router,
            http,
            write_idle: limits.write_idle,
            header_read: limits.header_read,
            places: Arc::new(Semaphore::new(limits.connections.min(Semaphore::MAX_PERMITS))),
            stopping,
            cutting,
            connections: TaskTracker::new(),
        }
    }

    /// Serves until shutdown begins, then lets running requests go on for at most `drain`.
    pub(super) async fn run(self, drain: Duration) {
        while let Some((tcp, peer, place)) = self.stopping.token().run_until_cancelled(self.accept()).await {
            self.connections.spawn(self.serve(tcp, peer, place));
        }
        // New connections are refused from here on, and not left in a queue that nobody serves.
        drop(self.listener);
        self.connections.close();
        if tokio::time::timeout(drain, self.connections.wait()).await.is_err() {
            tracing::warn!(connections = self.connections.len(), "cut at the drain deadline");
            self.cutting.raise();
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
        prepare(&tcp);
        let router = self.router.clone();
        let ends_at = EndsAt::default();
        let greeted = Arc::new(AtomicBool::new(false));
        let unread = Arc::new(AtomicBool::new(false));
        let io = TokioIo::new(Connection::new(tcp, self.write_idle, ends_at.clone(), Arc::clone(&unread)));
        let greets = Arc::clone(&greeted);
        let service = service_fn(move |request| {
            greets.store(true, Ordering::Relaxed);
            let body = |incoming| Watched { incoming, unread: Arc::clone(&unread) };
            answer(router.clone(), request.map(body), peer, ends_at.clone())
        });
        let served = Served {
            http: Box::pin(self.http.serve_connection(io, service)),
            stopping: Some(self.stopping.listen()),
            cutting: self.cutting.listen(),
            greeted,
            alarm: Some(Box::pin(tokio::time::sleep(self.header_read))),
            _place: place,
        };
        async move { log(served.await) }
    }
}

/// One connection until its end: its own, the shutdown's, or that of a client that never says what it wants.
struct Served<C> {
    http: Pin<Box<C>>,
    /// None once it has been told.
    stopping: Option<Listener>,
    cutting: Listener,
    /// A first request has come.
    greeted: Arc<AtomicBool>,
    /// At first when the head of a first request must be there; after the drain deadline, how long last words may take.
    alarm: Option<Pin<Box<Sleep>>>,
    _place: OwnedSemaphorePermit,
}

impl<C: Gracefully> Future for Served<C> {
    type Output = Result<(), hyper::Error>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        if this.stopping.as_mut().is_some_and(|stopping| stopping.poll_is_over(cx)) {
            this.stopping = None;
            this.http.as_mut().finish();
        }
        let cut = this.cutting.poll_is_over(cx);
        if this.alarm.is_some() && !cut && this.greeted.load(Ordering::Relaxed) {
            this.alarm = None;
        }
        if cut && (this.alarm.is_none() || !this.greeted.load(Ordering::Relaxed)) {
            // The streams hear that it is over when their connections do, and have a moment to tell their clients.
            this.greeted.store(true, Ordering::Relaxed);
            this.alarm = Some(Box::pin(tokio::time::sleep(LAST_WORDS)));
        }
        let ended = this.http.as_mut().poll(cx);
        let rung = this.alarm.as_mut().is_some_and(|alarm| alarm.as_mut().poll(cx).is_ready());
        if ended.is_pending() && rung { Poll::Ready(Ok(())) } else { ended }
    }
}

/// A connection that can be asked to end after the answer that is on it.
trait Gracefully: Future<Output = Result<(), hyper::Error>> {
    fn finish(self: Pin<&mut Self>);
}

impl<I, S> Gracefully for http1::Connection<I, S>
where
    S: HttpService<Incoming, ResBody = Body>,
    S::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    I: Read + Write + Unpin,
{
    fn finish(self: Pin<&mut Self>) {
        self.graceful_shutdown();
    }
}

/// A request's body, which tells when it is dropped before its end.
struct Watched {
    incoming: Incoming,
    unread: Arc<AtomicBool>,
}

impl HttpBody for Watched {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        Pin::new(&mut self.incoming).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.size_hint()
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        if !self.incoming.is_end_stream() {
            self.unread.store(true, Ordering::Relaxed);
        }
    }
}

async fn answer(
    mut router: Router,
    mut request: Request<Watched>,
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
