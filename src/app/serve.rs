//! Accepting connections, serving them, and letting them end.

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
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

use super::connection::{Connection, prepare};
use super::workers::Workers;
use crate::api::{Answering, Front};
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
    places: Arc<Semaphore>,
    workers: Workers,
    service: Arc<Service>,
}

/// What every connection gets.
struct Service {
    front: Front,
    http: http1::Builder,
    write_idle: Duration,
    header_read: Duration,
    /// Raised when shutdown begins.
    stopping: Signal,
    /// Raised when it may take no longer.
    cutting: Signal,
}

impl Server {
    pub(super) fn new(
        listener: TcpListener,
        front: Front,
        limits: &Limits,
        workers: Workers,
        (stopping, cutting): (Signal, Signal),
    ) -> Self {
        let mut http = http1::Builder::new();
        http.timer(TokioTimer::new())
            // Runs while a kept connection is idle too; the head of the first request has a limit of its own.
            .header_read_timeout(limits.keep_alive)
            .max_buf_size(limits.head)
            .pipeline_flush(false);
        let Limits { write_idle, header_read, .. } = *limits;
        Self {
            listener,
            places: Arc::new(Semaphore::new(limits.connections.min(Semaphore::MAX_PERMITS))),
            workers,
            service: Arc::new(Service { front, http, write_idle, header_read, stopping, cutting }),
        }
    }

    /// Serves until shutdown begins, then lets running requests go on for at most `drain`.
    pub(super) async fn run(self, drain: Duration) {
        let Self { listener, places, workers, service } = self;
        let stopping = service.stopping.token();
        while let Some((tcp, peer, place)) = stopping.run_until_cancelled(accept(&listener, &places)).await {
            workers.spawn(serve(Arc::clone(&service), tcp, peer, place));
        }
        // New connections are refused from here on, and not left in a queue that nobody serves.
        drop(listener);
        if tokio::time::timeout(drain, workers.idle()).await.is_err() {
            tracing::warn!(connections = workers.len(), "cut at the drain deadline");
            service.cutting.raise();
            workers.idle().await;
        }
    }
}

/// The next connection, when there is a place for it. Further ones wait in the kernel's queue.
async fn accept(
    listener: &TcpListener,
    places: &Arc<Semaphore>,
) -> (std::net::TcpStream, SocketAddr, OwnedSemaphorePermit) {
    loop {
        let Ok(place) = Arc::clone(places).acquire_owned().await else {
            // Nobody closes the semaphore.
            std::future::pending::<()>().await;
            continue;
        };
        // Away from this thread's poller: the connection is another thread's from here on.
        let accepted = listener.accept().await.and_then(|(tcp, peer)| Ok((tcp.into_std()?, peer)));
        match accepted {
            Ok((tcp, peer)) => return (tcp, peer, place),
            Err(error) => {
                tracing::warn!(%error, "a connection can't be accepted");
                tokio::time::sleep(BREATHER).await;
            }
        }
    }
}

/// Serves one connection to its end.
async fn serve(service: Arc<Service>, tcp: std::net::TcpStream, peer: SocketAddr, place: OwnedSemaphorePermit) {
    match TcpStream::from_std(tcp) {
        Ok(tcp) => log(service.connection(tcp, peer, place).await),
        Err(error) => tracing::warn!(%error, "a connection can't be served"),
    }
}

impl Service {
    fn connection(
        &self,
        tcp: TcpStream,
        peer: SocketAddr,
        place: OwnedSemaphorePermit,
    ) -> impl Future<Output = Result<(), hyper::Error>> + Send + 'static {
        prepare(&tcp);
        let front = self.front.clone();
        let ends_at = EndsAt::default();
        let greeted = Arc::new(AtomicBool::new(false));
        let unread = Arc::new(AtomicBool::new(false));
        let io = TokioIo::new(Connection::new(tcp, self.write_idle, ends_at.clone(), Arc::clone(&unread)));
        let greets = Arc::clone(&greeted);
        let service = service_fn(move |request| {
            greets.store(true, Ordering::Relaxed);
            let body = |incoming| Watched { incoming, unread: Arc::clone(&unread) };
            answer(&front, request.map(body), peer, ends_at.clone())
        });
        Served {
            http: Box::pin(self.http.serve_connection(io, service)),
            stopping: Some(self.stopping.listen()),
            cutting: self.cutting.listen(),
            greeted,
            alarm: Some(Box::pin(tokio::time::sleep(self.header_read))),
            _place: place,
        }
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

/// The answer has a box of its own: hyper keeps the place of a request's future for as long as the connection lives, also
/// while nothing but a stream of events is left of it.
fn answer(front: &Front, mut request: Request<Watched>, peer: SocketAddr, ends_at: EndsAt) -> Answering {
    request.extensions_mut().insert(Peer(peer));
    request.extensions_mut().insert(ends_at);
    front.answer(request.map(Body::new))
}

/// A connection that broke is the client's business; the request's own line says what became of it.
fn log(ended: Result<(), hyper::Error>) {
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection broke");
    }
}
