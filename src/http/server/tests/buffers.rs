//! What a connection reads ahead of a request, and writes ahead of a reader, from a socket that never makes it wait.

use std::cell::Cell;
use std::convert::Infallible;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};

use axum::body::Body;
use bytes::Bytes;
use futures_util::stream;
use http::{Request, Response};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::client::{OPTIONS, ServiceFuture, refuser};
use crate::http::server::{Connection, RequestBody, Socket};
use crate::time::TaskTimer;

/// The most that a connection reads ahead of a request or writes ahead of a reader, bytes.
const AHEAD: usize = 16 << 10;
/// The size of one read or one piece of a body, bytes.
const PIECE: usize = 4 << 10;

/// A client that sends a request and endless bytes behind it, and takes nothing.
struct Endless {
    request: &'static [u8],
    /// Bytes behind the request that were read.
    read: Rc<Cell<usize>>,
    /// Whether bytes follow the request.
    goes_on: bool,
}

impl AsyncRead for Endless {
    fn poll_read(mut self: Pin<&mut Self>, _: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let size = buf.remaining().min(PIECE);
        if !self.request.is_empty() {
            buf.put_slice(std::mem::take(&mut self.request));
        } else if self.goes_on {
            buf.put_slice(&vec![b'x'; size]);
            self.read.set(self.read.get() + size);
        } else {
            return Poll::Pending;
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Endless {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, _: &[u8]) -> Poll<io::Result<usize>> {
        Poll::Pending
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Pending
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Pending
    }
}

impl Socket for Endless {
    fn poll_readable(&self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.goes_on || !self.request.is_empty() { Poll::Ready(Ok(())) } else { Poll::Pending }
    }

    fn ends_with_client(&self) -> bool {
        false
    }

    fn poll_close(&mut self, _: &mut Context<'_>, _: bool) -> Poll<io::Result<()>> {
        Poll::Pending
    }
}

/// Polls the connection of this client until it can make no more progress, and far more often than it needs. Returns
/// the bytes that it read behind the request.
fn serve(
    request: &'static [u8],
    goes_on: bool,
    service: impl FnMut(Request<RequestBody>) -> ServiceFuture + Unpin,
) -> usize {
    let read = Rc::new(Cell::new(0));
    let client = Endless { request, read: Rc::clone(&read), goes_on };
    let mut connection = Connection::new(client, OPTIONS, TaskTimer::default(), service, refuser());
    for _ in 0..1_000 {
        assert!(Pin::new(&mut connection).poll(&mut Context::from_waker(Waker::noop())).is_pending());
    }
    read.get()
}

#[tokio::test]
async fn at_most_16_kib_and_one_read_are_buffered_behind_a_request() {
    let never = |_| -> ServiceFuture { Box::pin(std::future::pending()) };
    let read = serve(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n", true, never);
    assert!((AHEAD..AHEAD + PIECE).contains(&read), "{read}");
    // A body that the service does not read is no different.
    let holds = |request| -> ServiceFuture {
        Box::pin(async move {
            let _held: Request<RequestBody> = request;
            std::future::pending().await
        })
    };
    let read = serve(b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 1000000\r\n\r\n", true, holds);
    assert!((AHEAD..AHEAD + PIECE).contains(&read), "{read}");
}

#[tokio::test]
async fn at_most_16_kib_and_one_piece_of_a_body_are_written_ahead_of_a_reader() {
    for size in [100, PIECE, 1 << 20] {
        let sent = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&sent);
        let pieces = stream::repeat_with(move || {
            counted.fetch_add(size, Ordering::Relaxed);
            Ok::<_, Infallible>(Bytes::from(vec![b'x'; size]))
        });
        let mut response = Some(Response::new(Body::from_stream(pieces)));
        let respond = move |_| -> ServiceFuture { Box::pin(std::future::ready(Ok(response.take().unwrap()))) };
        assert_eq!(serve(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n", false, respond), 0);
        let sent = sent.load(Ordering::Relaxed);
        assert!((1..AHEAD + size).contains(&sent), "{sent} bytes in pieces of {size}");
    }
}
