//! The byte stream to a client: cut when it takes nothing for too long.

use std::future::Future;
use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep};

use crate::http::server::Socket;
use crate::time::ResponseDeadline;

/// How long a client may go on sending after its last answer.
const LINGER: Duration = Duration::from_secs(2);
/// How much of that is read at once, bytes.
const WASTE: usize = 4096;

/// A client's socket. No body is asked for more while what it gave before has not been taken, so a reader that has stopped
/// reading can be noticed only here.
pub(super) struct Tcp {
    tcp: TcpStream,
    write_idle: Duration,
    /// When the answer that is being written must be over.
    ends_at: ResponseDeadline,
    /// Set while a write waits. Made at the first wait: most connections never wait.
    deadline: Option<Pin<Box<Sleep>>>,
    waiting: bool,
    /// Set while the connection lingers after its last byte.
    lingering: Option<Pin<Box<Sleep>>>,
}

/// Most bytes that the kernel takes from us before it has sent them. It tells of room only when a third of its buffer is
/// free, which may be megabytes: a slow reader would look silent, and cost as much memory.
const UNSENT: u32 = 128 * 1024;

/// Prepares an accepted socket: a token must not wait for the acknowledgement of the one before it, and a write must
/// not look stuck while its reader takes bytes.
pub(super) fn prepare(tcp: &TcpStream) {
    let prepared = tcp.set_nodelay(true).and_then(|()| unsent(tcp));
    if let Err(error) = prepared {
        tracing::debug!(%error, "a socket's options");
    }
}

#[cfg(target_os = "linux")]
fn unsent(tcp: &TcpStream) -> io::Result<()> {
    SockRef::from(tcp).set_tcp_notsent_lowat(UNSENT)
}

#[cfg(not(target_os = "linux"))]
fn unsent(_: &TcpStream) -> io::Result<()> {
    Ok(())
}

impl Tcp {
    pub(super) const fn new(tcp: TcpStream, write_idle: Duration, ends_at: ResponseDeadline) -> Self {
        Self { tcp, write_idle, ends_at, deadline: None, waiting: false, lingering: None }
    }

    /// Passes a write's outcome on, unless it has been waiting for too long.
    fn watch(&mut self, cx: &mut Context<'_>, write: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if write.is_ready() {
            self.waiting = false;
            return write;
        }
        let until = Instant::now() + self.write_idle;
        let until = self.ends_at.get().map_or(until, |ends_at| ends_at.min(until));
        let deadline = self.deadline.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(until)));
        if !self.waiting {
            deadline.as_mut().reset(until);
            self.waiting = true;
        }
        match deadline.as_mut().poll(cx) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(()) => {
                self.ends_at.cut();
                Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
            }
        }
    }
}

impl AsyncRead for Tcp {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_read(cx, buf)
    }
}

impl AsyncWrite for Tcp {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let write = Pin::new(&mut self.tcp).poll_write(cx, buf);
        self.watch(cx, write)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let write = Pin::new(&mut self.tcp).poll_write_vectored(cx, bufs);
        self.watch(cx, write)
    }

    fn is_write_vectored(&self) -> bool {
        self.tcp.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_shutdown(cx)
    }
}

impl Socket for Tcp {
    fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.tcp.poll_read_ready(cx)
    }

    fn ends_with_client(&self) -> bool {
        self.ends_at.ends_with_client()
    }

    /// Says that no more will come, then, if something is `unread` or still comes, reads on without keeping anything until the
    /// client has closed too, for a moment: closing with bytes unread would reset the connection, and the reset would overtake
    /// the last answer, which is just what a client needs that is still sending a body nobody wants.
    fn poll_close(&mut self, cx: &mut Context<'_>, unread: bool) -> Poll<io::Result<()>> {
        if self.lingering.is_none() {
            ready!(Pin::new(&mut self.tcp).poll_shutdown(cx))?;
            if !unread && !self.has_unread() {
                return Poll::Ready(Ok(()));
            }
        }
        let until = self.lingering.get_or_insert_with(|| Box::pin(tokio::time::sleep(LINGER)));
        let over = until.as_mut().poll(cx);
        // A bounded stretch, so that a client that pours does not keep this task from others.
        for _ in 0..64 {
            let mut waste = [MaybeUninit::uninit(); WASTE];
            let mut buf = ReadBuf::uninit(&mut waste);
            match Pin::new(&mut self.tcp).poll_read(cx, &mut buf) {
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

impl Tcp {
    /// Whether something has arrived that was not read. The operating system is asked: a poll is also pending when the task's
    /// budget is used up, and closing with bytes unread would reset the connection.
    fn has_unread(&self) -> bool {
        let peeked = SockRef::from(&self.tcp).peek(&mut [MaybeUninit::uninit()]);
        matches!(peeked, Ok(1..))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::AsyncWriteExt;
    use tokio::net::TcpListener;

    #[tokio::test]
    async fn a_reader_that_takes_nothing_is_cut() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let _silent = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (tcp, _) = listener.accept().await.unwrap();
        let mut connection = Tcp::new(tcp, Duration::from_millis(50), ResponseDeadline::default());
        let written = connection.write_all(&vec![0; 64 << 20]).await;
        assert_eq!(written.unwrap_err().kind(), io::ErrorKind::TimedOut);
    }

    #[tokio::test]
    async fn an_answer_whose_time_is_up_is_cut_although_its_reader_might_come_back() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let _silent = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (tcp, _) = listener.accept().await.unwrap();
        let ends_at = ResponseDeadline::default();
        ends_at.set(Some(Instant::now() + Duration::from_millis(50)));
        let mut connection = Tcp::new(tcp, Duration::from_secs(3_600), ends_at);
        let written = connection.write_all(&vec![0; 64 << 20]).await;
        assert_eq!(written.unwrap_err().kind(), io::ErrorKind::TimedOut);
    }

    #[tokio::test]
    async fn what_has_arrived_is_read_before_it_is_closed_although_nothing_is_left_of_the_budget() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (tcp, _) = listener.accept().await.unwrap();
        let mut connection = Tcp::new(tcp, Duration::from_secs(1), ResponseDeadline::default());
        client.write_all(b"unread").await.unwrap();
        connection.tcp.readable().await.unwrap();
        let closed = std::future::poll_fn(|cx| {
            while let Poll::Ready(turn) = tokio::task::coop::poll_proceed(cx) {
                turn.made_progress();
            }
            Poll::Ready(connection.poll_close(cx, false))
        });
        assert!(closed.await.is_pending());
    }
}
