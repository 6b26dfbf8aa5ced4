//! A client that sends and receives raw bytes, and the connection that serves it.

use std::convert::Infallible;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
use futures_util::future::BoxFuture;
use http::{Request, Response};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;

use crate::http::server::{Connection, ConnectionOptions, Refuser, RequestBody, Socket};
use crate::time::TaskTimer;

/// A TCP socket, and the result of [`Socket::ends_with_client`].
struct Plain(TcpStream, bool);

impl AsyncRead for Plain {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buf)
    }
}

impl AsyncWrite for Plain {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write_vectored(cx, bufs)
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

impl Socket for Plain {
    fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.poll_read_ready(cx)
    }

    fn ends_with_client(&self) -> bool {
        self.1
    }

    fn poll_close(&mut self, cx: &mut Context<'_>, unread: bool) -> Poll<io::Result<()>> {
        if !unread {
            return Pin::new(&mut self.0).poll_shutdown(cx);
        }
        std::task::ready!(Pin::new(&mut self.0).poll_shutdown(cx))?;
        let mut discarded = [0; 4096];
        loop {
            let mut buf = ReadBuf::new(&mut discarded);
            match Pin::new(&mut self.0).poll_read(cx, &mut buf) {
                Poll::Ready(Ok(())) if !buf.filled().is_empty() => {}
                Poll::Ready(_) => return Poll::Ready(Ok(())),
                Poll::Pending => return Poll::Pending,
            }
        }
    }
}

pub(super) type ServiceFuture = BoxFuture<'static, Result<Response<Body>, Infallible>>;

pub(super) const OPTIONS: ConnectionOptions =
    ConnectionOptions { head: 8 * 1024, first_head: HOUR, idle: HOUR, age: None };
const HOUR: Duration = Duration::from_secs(3_600);

/// The client's side of a connection, and the result of the server's side.
pub(super) struct Client {
    pub(super) tcp: TcpStream,
    pub(super) served: oneshot::Receiver<io::Result<()>>,
    pub(super) finish: Option<oneshot::Sender<()>>,
}

/// A connection whose responses end with the client.
pub(super) async fn connect<S>(options: ConnectionOptions, service: S) -> Client
where
    S: FnMut(Request<RequestBody>) -> ServiceFuture + Unpin + Send + 'static,
{
    connect_with(options, true, TaskTimer::default(), service).await
}

pub(super) async fn connect_with<S>(
    options: ConnectionOptions,
    ends_with_client: bool,
    timer: TaskTimer,
    service: S,
) -> Client
where
    S: FnMut(Request<RequestBody>) -> ServiceFuture + Unpin + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let tcp = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    tcp.set_nodelay(true).unwrap();
    let (accepted, _) = listener.accept().await.unwrap();
    let (result, served) = oneshot::channel();
    let (finish, finish_requested) = oneshot::channel();
    let mut finish_requested = Some(finish_requested);
    tokio::spawn(async move {
        let mut connection = Connection::new(Plain(accepted, ends_with_client), options, timer, service, refuser());
        let served = std::future::poll_fn(|cx| {
            let polled = finish_requested.as_mut().map(|requested| Pin::new(requested).poll(cx));
            if let Some(Poll::Ready(request)) = polled {
                finish_requested = None;
                // Not if the test has dropped the sender.
                request.map(|()| connection.finish()).unwrap_or_default();
            }
            Pin::new(&mut connection).poll(cx)
        });
        let _ = result.send(served.await);
    });
    Client { tcp, served, finish: Some(finish) }
}

/// Answers with the method and the target of the refused request.
pub(super) fn refuser() -> Refuser<Body> {
    Arc::new(|refused| {
        let mut response = Response::new(Body::from(format!("{} {}", refused.method, refused.target)));
        *response.status_mut() = refused.status;
        response
    })
}

impl Client {
    pub(super) async fn send(&mut self, text: &str) {
        self.tcp.write_all(text.as_bytes()).await.unwrap();
    }

    /// Reads until the text ends with `end`.
    pub(super) async fn until(&mut self, end: &str) -> String {
        let mut text = String::new();
        while !text.ends_with(end) {
            let mut byte = [0];
            assert_eq!(self.tcp.read(&mut byte).await.unwrap(), 1, "closed after {text}");
            text.push(char::from(byte[0]));
        }
        text
    }

    /// Reads to the end of the connection.
    pub(super) async fn rest(&mut self) -> String {
        let mut text = String::new();
        self.tcp.read_to_string(&mut text).await.unwrap();
        text
    }

    /// Reads to the end of the connection; returns the status and the text.
    pub(super) async fn last_status(&mut self) -> (u16, String) {
        let rest = self.rest().await;
        (rest[9..12].parse().unwrap(), rest)
    }
}
