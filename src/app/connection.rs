//! One connection: the HTTP server on its socket, until its own end or that of the shutdown.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
use http::Request;
use tokio::net::TcpStream;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Sleep;

use super::client_socket::{ClientSocket, prepare};
use super::generation::CurrentServing;
use crate::api::ResponseFuture;
use crate::http::server::{Connection, RequestBody};
use crate::middleware::context::ConnectionContext;
use crate::time::{ResponseDeadline, Shutdown, ShutdownWatcher, TaskTimer};

/// How long a connection may take to send its last error frame after `abort`.
const FINAL_FLUSH_TIMEOUT: Duration = Duration::from_secs(1);

/// What all connections of a listener share. Settings of the connection itself (`limits.head`, `header_read`,
/// `keep_alive`, `write_idle`) are those of when it was accepted.
pub(super) struct ConnectionFactory {
    pub(super) serving: CurrentServing,
    pub(super) shutdown: Shutdown,
}

impl ConnectionFactory {
    /// Serves a connection; ready when it is closed, which also releases `permit`.
    pub(super) fn serve(
        &self,
        tcp: TcpStream,
        peer: SocketAddr,
        permit: OwnedSemaphorePermit,
    ) -> impl Future<Output = io::Result<()>> + Send + 'static {
        prepare(&tcp);
        let serving = self.serving.clone();
        let now = serving.load();
        let (options, write_idle, refuser) = (now.options, now.write_idle, now.api.refuser());
        drop(now);
        let ends_at = ResponseDeadline::default();
        let socket = ClientSocket::new(tcp, write_idle, ends_at.clone());
        let timer = TaskTimer::default();
        let context = ConnectionContext { peer: Some(peer), deadline: ends_at, timer: timer.clone() };
        let service = move |request| {
            context.deadline.begin();
            // Once for each request: all of it is served under one configuration.
            serving.load().api.call(context.clone(), request)
        };
        ConnectionTask {
            http: Connection::new(socket, options, timer, service, refuser),
            stop: Some(self.shutdown.stop.watch()),
            abort: self.shutdown.abort.watch(),
            final_flush: None,
            _permit: permit,
        }
    }
}

/// A connection that also follows the shutdown.
struct ConnectionTask<S> {
    http: Connection<ClientSocket, S, ResponseFuture, Body>,
    /// None once the connection finishes after its current response.
    stop: Option<ShutdownWatcher>,
    abort: ShutdownWatcher,
    /// Set at `abort`: the end of the connection.
    final_flush: Option<Pin<Box<Sleep>>>,
    _permit: OwnedSemaphorePermit,
}

impl<S: FnMut(Request<RequestBody>) -> ResponseFuture + Unpin> Future for ConnectionTask<S> {
    type Output = io::Result<()>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        if this.stop.as_mut().is_some_and(|stop| stop.poll_raised(cx)) {
            this.stop = None;
            this.http.finish();
        }
        if this.abort.poll_raised(cx) && this.final_flush.is_none() {
            // Streams read the signal when their connection polls them, here, and then have this long to send their
            // end.
            this.final_flush = Some(Box::pin(tokio::time::sleep(FINAL_FLUSH_TIMEOUT)));
        }
        let ended = Pin::new(&mut this.http).poll(cx);
        let timed_out = this.final_flush.as_mut().is_some_and(|timer| timer.as_mut().poll(cx).is_ready());
        if ended.is_pending() && timed_out { Poll::Ready(Ok(())) } else { ended }
    }
}
