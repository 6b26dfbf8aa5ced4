//! One connection: the HTTP server on its socket, until its own end or that of the shutdown.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
use http::Request;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Sleep;

use super::client_socket::ClientSocket;
use super::client_stream::ClientStream;
use super::generation::CurrentServing;
use crate::api::ResponseFuture;
use crate::http::server::{Connection, ConnectionOptions, RequestBody};
use crate::middleware::context::ConnectionContext;
use crate::time::{ResponseDeadline, Shutdown, ShutdownWatcher, TaskTimer, jitter};
use crate::wire::api_key::KeyHash;

/// How long a connection may take to send its last error frame after `abort`.
const FINAL_FLUSH_TIMEOUT: Duration = Duration::from_secs(1);

/// What all connections of a listener share. Settings of the connection itself (`limits.head`, `header_read`,
/// `keep_alive`, `write_idle`) are those of when it was accepted.
pub(super) struct ConnectionFactory {
    pub(super) serving: CurrentServing,
    pub(super) shutdown: Shutdown,
}

impl ConnectionFactory {
    /// Longest time for what precedes HTTP on a connection: the header of the PROXY protocol and the TLS handshake.
    pub(super) fn handshake_timeout(&self) -> Duration {
        self.serving.load().options.first_head
    }

    /// Serves a connection; ready when it is closed, which also releases `permit`. `peer` is the client's address, none
    /// behind a unix socket.
    pub(super) fn serve(
        &self,
        stream: ClientStream,
        peer: Option<SocketAddr>,
        permit: OwnedSemaphorePermit,
    ) -> impl Future<Output = io::Result<()>> + Send + 'static {
        let names = stream.certificate_names();
        let hashes = || names.iter().map(KeyHash::of_certificate).collect();
        let certificates = (!names.is_empty()).then(hashes);
        let serving = self.serving.clone();
        let now = serving.load();
        // At random, so that connections that began together do not end together.
        let age = now.connection_age.map(|age| age.mul_f64(0.9) + jitter(age / 5));
        let options = ConnectionOptions { age, ..now.options };
        let (write_idle, refuser) = (now.write_idle, now.api.refuser());
        drop(now);
        let ends_at = ResponseDeadline::default();
        let socket = ClientSocket::new(stream, write_idle, ends_at.clone());
        let timer = TaskTimer::default();
        let context = ConnectionContext { peer, certificates, deadline: ends_at, timer: timer.clone() };
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
