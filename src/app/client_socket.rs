//! The socket of a client: a byte stream with two timeouts that the HTTP engine can't have.
//!
//! A write that the client does not take in time fails with `TimedOut`; a close lingers until the client has read the
//! last answer. Depends on tokio and the `Socket` trait of the HTTP server.

use std::future::Future;
use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep};

use super::client_stream::ClientStream;
use crate::http::server::Socket;
use crate::time::ResponseDeadline;

/// How long a close waits for a client that still sends.
const LINGER_TIMEOUT: Duration = Duration::from_secs(2);
/// Bytes that are read and discarded at once meanwhile.
const DISCARD_CHUNK: usize = 4096;

/// A client's socket. A body is not polled while its last frame waits to be written, so a client that has stopped
/// reading can be detected only here.
pub(super) struct ClientSocket {
    stream: ClientStream,
    /// Longest time for which a write may wait.
    write_idle: Duration,
    /// When the answer that is being written must be over.
    ends_at: ResponseDeadline,
    /// The end of the current wait. Allocated at the first one: most connections never wait.
    write_timer: Option<Pin<Box<Sleep>>>,
    write_waits: bool,
    /// The bytes that the client had been sent when a write last made progress, where writes are buffered.
    sent: u64,
    /// Set while the connection lingers after its last byte.
    linger_timer: Option<Pin<Box<Sleep>>>,
}

impl ClientSocket {
    pub(super) const fn new(stream: ClientStream, write_idle: Duration, ends_at: ResponseDeadline) -> Self {
        Self { stream, write_idle, ends_at, write_timer: None, write_waits: false, sent: 0, linger_timer: None }
    }

    /// The result of a write; an error if the client has taken nothing for too long, or the answer's time is up.
    fn check_timeout<T>(&mut self, cx: &mut Context<'_>, write: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        // TLS accepts a record although nothing can be sent: that is no progress of the client's.
        let has_progressed = match self.stream.sent() {
            None => write.is_ready(),
            Some(sent) => std::mem::replace(&mut self.sent, sent) != sent,
        };
        if has_progressed {
            self.write_waits = false;
        }
        if write.is_ready() {
            return write;
        }
        let until = Instant::now() + self.write_idle;
        let until = self.ends_at.get().map_or(until, |ends_at| ends_at.min(until));
        let timer = self.write_timer.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(until)));
        if !self.write_waits {
            timer.as_mut().reset(until);
            self.write_waits = true;
        }
        match timer.as_mut().poll(cx) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(()) => {
                self.ends_at.cut();
                Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
            }
        }
    }
}

impl AsyncRead for ClientSocket {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for ClientSocket {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let write = Pin::new(&mut self.stream).poll_write(cx, buf);
        self.check_timeout(cx, write)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let write = Pin::new(&mut self.stream).poll_write_vectored(cx, bufs);
        self.check_timeout(cx, write)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flush = Pin::new(&mut self.stream).poll_flush(cx);
        self.check_timeout(cx, flush)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

impl Socket for ClientSocket {
    fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream.poll_readable(cx)
    }

    fn ends_with_client(&self) -> bool {
        self.ends_at.ends_with_client()
    }

    /// Closes the sending half. If bytes are `unread` or still arrive, then reads and discards them until the client
    /// has closed too, for two seconds at most: a close with unread bytes resets the connection, and the client may
    /// lose the last answer to the reset, for example a 413 for a body that was not read.
    fn poll_close(&mut self, cx: &mut Context<'_>, unread: bool) -> Poll<io::Result<()>> {
        if self.linger_timer.is_none() {
            // Of TLS, the last record may have to wait.
            let shutdown = Pin::new(&mut self.stream).poll_shutdown(cx);
            ready!(self.check_timeout(cx, shutdown))?;
            if !unread && !self.stream.has_unread() {
                return Poll::Ready(Ok(()));
            }
        }
        let timer = self.linger_timer.get_or_insert_with(|| Box::pin(tokio::time::sleep(LINGER_TIMEOUT)));
        let over = timer.as_mut().poll(cx);
        // Bounded, so that a client that sends fast does not starve the other connections of this thread.
        for _ in 0..64 {
            let mut discarded = [MaybeUninit::uninit(); DISCARD_CHUNK];
            let mut buf = ReadBuf::uninit(&mut discarded);
            match self.stream.poll_read_raw(cx, &mut buf) {
                Poll::Ready(Ok(())) if !buf.filled().is_empty() => {}
                Poll::Ready(_) => return Poll::Ready(Ok(())),
                Poll::Pending => return over.map(Ok),
            }
        }
        if over.is_pending() {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::AsyncWriteExt;
    use tokio::net::{TcpListener, TcpStream};

    #[tokio::test]
    async fn a_client_that_takes_nothing_is_cut() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let _silent = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (tcp, _) = listener.accept().await.unwrap();
        let mut connection =
            ClientSocket::new(ClientStream::Tcp(tcp), Duration::from_millis(50), ResponseDeadline::default());
        let written = connection.write_all(&vec![0; 64 << 20]).await;
        assert_eq!(written.unwrap_err().kind(), io::ErrorKind::TimedOut);
    }

    #[tokio::test]
    async fn an_answer_is_cut_at_its_deadline_although_the_write_timeout_is_longer() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let _silent = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (tcp, _) = listener.accept().await.unwrap();
        let ends_at = ResponseDeadline::default();
        ends_at.set(Some(Instant::now() + Duration::from_millis(50)));
        let mut connection = ClientSocket::new(ClientStream::Tcp(tcp), Duration::from_secs(3_600), ends_at);
        let written = connection.write_all(&vec![0; 64 << 20]).await;
        assert_eq!(written.unwrap_err().kind(), io::ErrorKind::TimedOut);
    }

    #[tokio::test]
    async fn a_close_waits_for_unread_bytes_although_the_cooperative_budget_is_used_up() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (tcp, _) = listener.accept().await.unwrap();
        let mut connection =
            ClientSocket::new(ClientStream::Tcp(tcp), Duration::from_secs(1), ResponseDeadline::default());
        client.write_all(b"unread").await.unwrap();
        std::future::poll_fn(|cx| connection.poll_readable(cx)).await.unwrap();
        let closed = std::future::poll_fn(|cx| {
            while let Poll::Ready(turn) = tokio::task::coop::poll_proceed(cx) {
                turn.made_progress();
            }
            Poll::Ready(connection.poll_close(cx, false))
        });
        assert!(closed.await.is_pending());
    }
}
