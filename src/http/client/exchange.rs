//! One request and its response, on a kept connection or a new one.

use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use httparse::Header;
use tokio::time::Instant;

use super::connection::Connection;
use super::connector::Connector;
use super::endpoint::Endpoint;
use super::error::Error;
use super::pool::Pool;
use super::request::Request;
use super::response::{Response, ResponseBody};
use super::response_head::ResponseHead;

/// Longest time between a request and the break of its kept connection in which the request counts as unseen by the
/// server. Later, the server may have worked on it and crashed.
const STALE_WITHIN: Duration = Duration::from_secs(1);

/// The client of one endpoint, with its idle connections.
pub struct Client {
    connector: Connector,
    pool: Arc<Pool>,
}

impl Client {
    /// A client without a connection. `connect_timeout` bounds name resolution, TCP and TLS together; none: no bound.
    #[must_use]
    pub fn new(endpoint: Endpoint, connect_timeout: Option<Duration>) -> Self {
        Self { connector: Connector { endpoint, timeout: connect_timeout }, pool: Arc::default() }
    }

    /// A client of the same endpoint with the same connections, and another bound of the time to connect.
    #[must_use]
    pub fn with_connect_timeout(&self, connect_timeout: Option<Duration>) -> Self {
        let connector = Connector { endpoint: self.connector.endpoint.clone(), timeout: connect_timeout };
        Self { connector, pool: Arc::clone(&self.pool) }
    }

    /// Sends a request and awaits the head of the response. `read_headers` extracts the headers that the caller needs.
    /// `request` is called once for each connection that is tried.
    ///
    /// Kept connections that were closed, or have received something since their last response, are dropped, any
    /// number of them: nothing was written to them. One that breaks on the request, or is answered 408, before the
    /// server can have seen the request, is replaced once, by a new one: nothing was answered, so nothing can have
    /// been done twice (RFC 9112, section 9.3.1; RFC 9110, section 15.5.9).
    ///
    /// # Errors
    /// [`Error`]; any status is a response.
    pub async fn send<H>(
        &self,
        request: impl Fn() -> Request,
        read_headers: impl Fn(StatusCode, &[Header<'_>]) -> H,
    ) -> Result<Response<H>, Error> {
        let mut sent = Instant::now();
        while let Some(mut connection) = self.pool.take(sent) {
            let is_early = || Instant::now() - sent < STALE_WITHIN;
            match connection.send(request(), &read_headers).await {
                Ok(head) if head.status == StatusCode::REQUEST_TIMEOUT && is_early() => break,
                Ok(head) => return Ok(self.response(head, connection)),
                Err(failed) if failed.unsent => sent = Instant::now(),
                Err(failed) if failed.safe_to_retry && is_early() => break,
                Err(failed) => return Err(failed.error),
            }
        }
        // On the heap: the future of a handshake is large, and kept connections need none.
        let mut connection = Box::pin(self.connector.connect()).await?;
        match connection.send(request(), &read_headers).await {
            Ok(head) => Ok(self.response(head, connection)),
            Err(failed) => Err(failed.error),
        }
    }

    fn response<H>(&self, head: ResponseHead<H>, connection: Box<Connection>) -> Response<H> {
        let ResponseHead { status, headers, decoder, keep_alive } = head;
        let pool = keep_alive.then(|| Arc::clone(&self.pool));
        Response { status, headers, body: ResponseBody::new(decoder, connection, pool) }
    }

    /// The endpoint that it connects to.
    #[must_use]
    pub const fn endpoint(&self) -> &Endpoint {
        &self.connector.endpoint
    }

    /// Closes the idle connections that are too old, were closed by the server, or have received something that
    /// belongs to no request. To be called every few seconds.
    pub async fn sweep(&self) {
        self.pool.sweep().await;
    }

    /// The number of idle connections.
    #[must_use]
    pub fn idle_connections(&self) -> usize {
        self.pool.len()
    }
}
