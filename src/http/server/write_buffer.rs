//! What goes out: heads, and pieces of bodies in their framing, in as few writes as can be.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::AsyncWrite;

/// Pieces up to this are copied behind what waits: one write of one buffer costs less than one of several.
pub(super) const COPY_THRESHOLD: usize = 4 * 1024;
/// With so much waiting, it goes out before more is asked for, bytes.
const MANY: usize = 16 * 1024;

/// What waits to be written, in this order. Never more than [`MANY`] and one piece.
#[derive(Debug, Default)]
pub(super) struct WriteBuffer {
    buffer: BytesMut,
    /// A piece that was too large to be copied.
    piece: Bytes,
    /// What its framing has behind it.
    tail: &'static [u8],
}

impl WriteBuffer {
    /// To write a head into. Nothing may wait behind it.
    pub(super) const fn buffer(&mut self) -> &mut BytesMut {
        &mut self.buffer
    }

    /// Adds `before`, `piece` and `behind`.
    pub(super) fn push(&mut self, before: &[u8], piece: Bytes, behind: &'static [u8]) {
        let copied = piece.len() <= COPY_THRESHOLD;
        let length = if copied { piece.len() + behind.len() } else { 0 };
        self.buffer.reserve(before.len() + length);
        self.buffer.extend_from_slice(before);
        if copied {
            self.buffer.extend_from_slice(&piece);
            self.buffer.extend_from_slice(behind);
        } else {
            (self.piece, self.tail) = (piece, behind);
        }
    }

    /// Whether it has to go out before there is room for more.
    pub(super) fn is_full(&self) -> bool {
        !self.piece.is_empty() || !self.tail.is_empty() || self.buffer.len() >= MANY
    }

    /// Writes all of it.
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
                // Nobody knows when more comes.
                self.buffer = BytesMut::new();
                return Poll::Ready(Ok(()));
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

    /// Takes so many bytes at a time, and then nothing for once.
    struct Slow {
        at_once: usize,
        tired: bool,
        taken: Vec<u8>,
    }

    impl AsyncWrite for Slow {
        fn poll_write(mut self: Pin<&mut Self>, _: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
            self.tired = !self.tired;
            if self.tired {
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
    fn everything_goes_out_in_its_order_however_little_is_taken_at_once() {
        let mut cx = Context::from_waker(Waker::noop());
        for at_once in [1, 2, 1_000, usize::MAX] {
            let mut slow = Slow { at_once, tired: false, taken: Vec::new() };
            let (mut out, mut expected) = (WriteBuffer::default(), Vec::new());
            for size in [0, 1, COPY_THRESHOLD, COPY_THRESHOLD + 1, 3, COPY_THRESHOLD + 2] {
                // As a body is asked: whenever there is room.
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
