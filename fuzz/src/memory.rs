//! A socket in memory with a given split of its input, and a loop that polls a future without a runtime.

use std::collections::VecDeque;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

use petstream::http::server::Socket;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// A socket whose reads return the given pieces in order and then the end of the stream. Before each piece but the
/// first it is pending once.
pub struct Memory {
    pieces: VecDeque<Vec<u8>>,
    /// Whether the next piece can be read.
    is_ready: AtomicBool,
    written: Arc<Mutex<Vec<u8>>>,
}

impl Memory {
    /// A socket with this input, and the bytes that are written to it.
    #[must_use]
    pub fn new(pieces: &[&[u8]]) -> (Self, Arc<Mutex<Vec<u8>>>) {
        let written = Arc::<Mutex<Vec<u8>>>::default();
        let pieces = pieces.iter().map(|piece| piece.to_vec()).collect();
        (Self { pieces, is_ready: AtomicBool::new(true), written: Arc::clone(&written) }, written)
    }

    fn wait(&self, cx: &Context<'_>) -> Poll<()> {
        if self.is_ready.swap(true, Ordering::Relaxed) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// The next bytes, at most `max`; empty at the end.
    fn take(&mut self, max: usize) -> Vec<u8> {
        let Some(mut piece) = self.pieces.pop_front() else { return Vec::new() };
        if piece.len() > max {
            self.pieces.push_front(piece.split_off(max));
        } else {
            self.is_ready.store(self.pieces.is_empty(), Ordering::Relaxed);
        }
        piece
    }

    fn write(&self, bytes: &[u8]) -> usize {
        self.written.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        bytes.len()
    }
}

impl AsyncRead for Memory {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        std::task::ready!(self.wait(cx));
        let bytes = self.take(buf.remaining());
        buf.put_slice(&bytes);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Memory {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(self.write(buf)))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

impl Socket for Memory {
    fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.wait(cx).map(Ok)
    }

    fn ends_with_client(&self) -> bool {
        false
    }

    fn poll_close(&mut self, _: &mut Context<'_>, _: bool) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

impl hyper::rt::Read for Memory {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut buf: hyper::rt::ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        std::task::ready!(self.wait(cx));
        let bytes = self.take(buf.remaining());
        buf.put_slice(&bytes);
        Poll::Ready(Ok(()))
    }
}

impl hyper::rt::Write for Memory {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(self.write(buf)))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

struct Flag(AtomicBool);

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Polls a future until it is ready.
///
/// # Panics
/// When it is pending without having been woken, since nothing would ever poll it again, and after a million polls.
pub fn poll_to_end<F: Future>(future: F) -> F::Output {
    const MAX_POLLS: usize = 1_000_000;
    let flag = Arc::new(Flag(AtomicBool::new(false)));
    let waker = Waker::from(Arc::clone(&flag));
    let mut future = std::pin::pin!(future);
    for _ in 0..MAX_POLLS {
        if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return output;
        }
        assert!(flag.0.swap(false, Ordering::Relaxed), "pending without a wake-up");
    }
    panic!("not ready after {MAX_POLLS} polls");
}
