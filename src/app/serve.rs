//! Accepting connections, serving them, and letting them end.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
use http::Request;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Sleep;

use super::tcp::{Tcp, prepare};
use super::workers::Workers;
use crate::api::{Answering, Entrance, Front};
use crate::config::Limits;
use crate::http::server::{Connection, ConnectionOptions, RequestBody};
use crate::middleware::authenticate::Peer;
use crate::time::clock;
use crate::time::{Listener, ResponseDeadline, Signal};

/// Pause after a failed accept: what fails is memory or file descriptors, and those come back.
const BREATHER: Duration = Duration::from_millis(50);

/// How long an error frame may take to reach its client once requests are cut.
const FINAL_FLUSH_TIMEOUT: Duration = Duration::from_secs(1);

/// A listener and what it serves.
pub(super) struct Server {
    listener: TcpListener,
    places: Arc<Semaphore>,
    workers: Workers,
    service: Arc<Service>,
}

/// The steps of a shutdown.
#[derive(Clone, Default)]
pub(super) struct Signals {
    /// Raised from outside when shutdown begins.
    pub(super) stopping: Signal,
    /// Raised from outside when the drain must not be waited for.
    pub(super) end_now: Signal,
    /// Raised here when running requests may take no longer: at the drain deadline, or with `end_now`.
    pub(super) cutting: Signal,
}

/// What every connection gets.
struct Service {
    front: Front,
    terms: ConnectionOptions,
    write_idle: Duration,
    signals: Signals,
}

impl Server {
    pub(super) fn new(
        listener: TcpListener,
        front: Front,
        limits: &Limits,
        workers: Workers,
        signals: Signals,
    ) -> Self {
        let terms = ConnectionOptions { head: limits.head, first_head: limits.header_read, idle: limits.keep_alive };
        Self {
            listener,
            places: Arc::new(Semaphore::new(limits.connections.min(Semaphore::MAX_PERMITS))),
            workers,
            service: Arc::new(Service { front, terms, write_idle: limits.write_idle, signals }),
        }
    }

    /// Serves until shutdown begins, then lets running requests go on for at most `drain`, or until `end_now`.
    pub(super) async fn run(self, drain: Duration) {
        let Self { listener, places, workers, service } = self;
        let Signals { stopping, end_now, cutting } = &service.signals;
        let stopping = stopping.token();
        while let Some((tcp, peer, place)) = stopping.run_until_cancelled(accept(&listener, &places)).await {
            workers.spawn(serve(Arc::clone(&service), tcp, peer, place));
        }
        // New connections are refused from here on, and not left in a queue that nobody serves.
        drop(listener);
        let why = tokio::select! {
            () = workers.idle() => return,
            () = tokio::time::sleep(drain) => "cut at the drain deadline",
            () = end_now.token().cancelled() => "cut before the drain deadline, as was asked for",
        };
        tracing::warn!(connections = workers.len(), "{why}");
        cutting.raise();
        workers.idle().await;
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
    ) -> impl Future<Output = io::Result<()>> + Send + 'static {
        prepare(&tcp);
        let mut entrance = self.front.entrance();
        let ends_at = ResponseDeadline::default();
        let tcp = Tcp::new(tcp, self.write_idle, ends_at.clone());
        let service = move |request| answer(&mut entrance, request, peer, ends_at.clone());
        Served {
            http: Connection::new(tcp, self.terms, service, self.front.refuser()),
            stopping: Some(self.signals.stopping.listen()),
            cutting: self.signals.cutting.listen(),
            last_words: None,
            _place: place,
        }
    }
}

/// One connection until its end: its own, or the shutdown's.
struct Served<S> {
    http: Connection<Tcp, S, Answering, Body>,
    /// None once it has been told.
    stopping: Option<Listener>,
    cutting: Listener,
    /// Once requests are cut, how long last words may take.
    last_words: Option<Pin<Box<Sleep>>>,
    _place: OwnedSemaphorePermit,
}

impl<S: FnMut(Request<RequestBody>) -> Answering + Unpin> Future for Served<S> {
    type Output = io::Result<()>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        if this.stopping.as_mut().is_some_and(|stopping| stopping.poll_is_over(cx)) {
            this.stopping = None;
            this.http.finish();
        }
        if this.cutting.poll_is_over(cx) && this.last_words.is_none() {
            // The streams hear that it is over when their connections do, and have a moment to tell their clients.
            this.last_words = Some(Box::pin(tokio::time::sleep(FINAL_FLUSH_TIMEOUT)));
        }
        let ended = clock::still(|| Pin::new(&mut this.http).poll(cx));
        let rung = this.last_words.as_mut().is_some_and(|alarm| alarm.as_mut().poll(cx).is_ready());
        if ended.is_pending() && rung { Poll::Ready(Ok(())) } else { ended }
    }
}

fn answer(
    entrance: &mut Entrance,
    mut request: Request<RequestBody>,
    peer: SocketAddr,
    ends_at: ResponseDeadline,
) -> Answering {
    ends_at.begin();
    request.extensions_mut().insert(Peer { address: peer, ends_at });
    entrance.answer(request.map(Body::new))
}

/// A connection that broke is the client's business; the request's own line says what became of it.
fn log(ended: io::Result<()>) {
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection broke");
    }
}
