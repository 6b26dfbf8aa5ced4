//! What is to be sent: heads and framed pieces of bodies, in as few writes as possible.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::AsyncWrite;

/// Pieces of up to this many bytes are copied into the buffer: one write of one buffer costs less than one of several.
pub(super) const COPY_THRESHOLD: usize = 4 * 1024;
/// With this much in the buffer, it is flushed before more is added, bytes.
const HIGH_WATER_MARK: usize = 16 * 1024;

/// Unsent bytes, in this order: `buffer`, `piece`, `tail`. Holds at most [`HIGH_WATER_MARK`] and one piece.
#[derive(Debug, Default)]
pub(super) struct WriteBuffer {
    buffer: BytesMut,
    /// A piece that is too large to be copied.
    piece: Bytes,
    /// The framing behind that piece.
    tail: &'static [u8],
}

impl WriteBuffer {
    /// The buffer, to append a head to. Only while [`Self::is_full`] is false.
    pub(super) const fn buffer(&mut self) -> &mut BytesMut {
        &mut self.buffer
    }

    /// Appends `before`, `piece` and `after`. Only while [`Self::is_full`] is false.
    pub(super) fn push(&mut self, before: &[u8], piece: Bytes, after: &'static [u8]) {
        let copied = piece.len() <= COPY_THRESHOLD;
        let length = if copied { piece.len() + after.len() } else { 0 };
        self.buffer.reserve(before.len() + length);
        self.buffer.extend_from_slice(before);
        if copied {
            self.buffer.extend_from_slice(&piece);
            self.buffer.extend_from_slice(after);
        } else {
            (self.piece, self.tail) = (piece, after);
        }
    }

    /// Whether it must be flushed before more is added.
    pub(super) fn is_full(&self) -> bool {
        !self.piece.is_empty() || !self.tail.is_empty() || self.buffer.len() >= HIGH_WATER_MARK
    }

    /// Writes everything.
    pub(super) fn poll_flush(
        &mut self,
        to: &mut (impl AsyncWrite + Unpin),
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        loop {
            let to = Pin::new(&mut *to);
            let count = if !self.piece.is_empty() {
                let all = [&self.buffer[..], &self.piece, self.tail].map(IoSlice::new);
                ready!(to.poll_write_vectored(cx, &all))?
            } else if !self.buffer.is_empty() {
                ready!(to.poll_write(cx, &self.buffer))?
            } else if !self.tail.is_empty() {
                ready!(to.poll_write(cx, self.tail))?
            } else {
                // The stream may be silent for long: it keeps no buffer.
                self.buffer = BytesMut::new();
                // Of TLS, the last records may not have been sent.
                return to.poll_flush(cx);
            };
            if count == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.advance(count);
        }
    }

    fn advance(&mut self, count: usize) {
        let of_buffer = count.min(self.buffer.len());
        let of_piece = (count - of_buffer).min(self.piece.len());
        self.buffer.advance(of_buffer);
        self.piece.advance(of_piece);
        self.tail = &self.tail[count - of_buffer - of_piece..];
        if self.piece.is_empty() {
            self.piece = Bytes::new();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use super::*;

    /// Takes a limited number of bytes at a time, and is pending every other time.
    struct Slow {
        at_once: usize,
        pending: bool,
        taken: Vec<u8>,
    }

    impl AsyncWrite for Slow {
        fn poll_write(mut self: Pin<&mut Self>, _: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
            self.pending = !self.pending;
            if self.pending {
                return Poll::Pending;
            }
            let count = buf.len().min(self.at_once);
            self.taken.extend_from_slice(&buf[..count]);
            Poll::Ready(Ok(count))
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    #[test]
    fn everything_is_sent_in_order_however_little_is_taken_at_once() {
        let mut cx = Context::from_waker(Waker::noop());
        for at_once in [1, 2, 1_000, usize::MAX] {
            let mut slow = Slow { at_once, pending: false, taken: Vec::new() };
            let (mut out, mut expected) = (WriteBuffer::default(), Vec::new());
            for size in [0, 1, COPY_THRESHOLD, COPY_THRESHOLD + 1, 3, COPY_THRESHOLD + 2] {
                // As a body is polled: whenever there is room.
                while out.is_full() {
                    let _ = out.poll_flush(&mut slow, &mut cx);
                }
                let piece = Bytes::from(vec![b'x'; size]);
                out.push(b"<", piece.clone(), b">\r\n");
                expected.extend_from_slice(&[b"<", &piece[..], b">\r\n"].concat());
            }
            while out.poll_flush(&mut slow, &mut cx).is_pending() {}
            assert!(slow.taken == expected, "{at_once} bytes at a time");
        }
    }
}
