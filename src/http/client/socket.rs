//! A socket whose unread data can be checked by a system call, without the runtime.

use std::io::{self, Read};
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::transport::Transport;

/// Length of the header of a TLS record: type, version, length (RFC 8446, section 5.1).
const RECORD_HEADER: usize = 5;

/// A socket that records whether it was written to and, under TLS, whether it is in the middle of a record.
pub(super) struct Socket {
    transport: Transport,
    /// The operating system has accepted bytes since this was last cleared.
    pub(super) has_written: bool,
    /// The position in the received TLS records; none without TLS.
    records: Option<RecordTracker>,
}

impl Socket {
    pub(super) const fn plain(transport: Transport) -> Self {
        Self { transport, has_written: false, records: None }
    }

    /// To be used from the first byte of the handshake on.
    pub(super) fn tls(transport: Transport) -> Self {
        Self { transport, has_written: false, records: Some(RecordTracker::default()) }
    }

    pub(super) const fn transport(&self) -> &Transport {
        &self.transport
    }

    /// The same socket, registered with the current runtime. To be called between two requests without TLS.
    pub(super) fn move_here(self) -> io::Result<Self> {
        self.transport.move_here().map(Self::plain)
    }

    /// Whether nothing can be read now, not even the end of the stream. One system call.
    pub(super) fn is_empty(&self) -> bool {
        let peeked = SockRef::from(&self.transport).peek(&mut [MaybeUninit::uninit()]);
        peeked.is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock)
    }

    /// A non-blocking reader that bypasses the runtime.
    pub(super) const fn nonblocking(&mut self) -> NonBlocking<'_> {
        NonBlocking(self)
    }

    /// Whether every record that has begun was received to its end. True without TLS.
    pub(super) fn is_between_records(&self) -> bool {
        self.records.as_ref().is_none_or(RecordTracker::is_between)
    }

    fn received(&mut self, bytes: &[u8]) {
        if let Some(records) = &mut self.records {
            records.advance(bytes);
        }
    }

    fn written(&mut self, count: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        self.has_written |= matches!(count, Poll::Ready(Ok(1..)));
        count
    }
}

/// See [`Socket::nonblocking`].
pub(super) struct NonBlocking<'a>(&'a mut Socket);

impl Read for NonBlocking<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let count = (&*SockRef::from(&self.0.transport)).read(buf)?;
        self.0.received(&buf[..count]);
        Ok(count)
    }
}

/// Follows TLS records by their headers.
#[derive(Debug, Default)]
struct RecordTracker {
    /// Bytes of the current header that were received.
    header: usize,
    /// In the header: the length read so far. Then: the bytes that are left of the record.
    left: usize,
}

impl RecordTracker {
    const fn is_between(&self) -> bool {
        self.header == 0
    }

    fn advance(&mut self, mut bytes: &[u8]) {
        while let Some((first, behind)) = bytes.split_first() {
            if self.header < RECORD_HEADER {
                // The length is in its last two bytes.
                if self.header >= RECORD_HEADER - 2 {
                    self.left = self.left << 8 | usize::from(*first);
                }
                self.header += 1;
                bytes = behind;
            } else {
                let count = self.left.min(bytes.len());
                self.left -= count;
                bytes = &bytes[count..];
            }
            if self.header == RECORD_HEADER && self.left == 0 {
                self.header = 0;
            }
        }
    }
}

impl AsyncRead for Socket {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.transport).poll_read(cx, buf))?;
        self.received(&buf.filled()[before..]);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Socket {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let count = Pin::new(&mut self.transport).poll_write(cx, buf);
        self.written(count)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let count = Pin::new(&mut self.transport).poll_write_vectored(cx, bufs);
        self.written(count)
    }

    fn is_write_vectored(&self) -> bool {
        self.transport.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.transport).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.transport).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tls_records_are_tracked_in_any_split() {
        let record = |length: u16| {
            let [high, low] = length.to_be_bytes();
            [&[23, 3, 3, high, low][..], &vec![7; usize::from(length)]].concat()
        };
        let all = [record(3), record(0), record(300)].concat();
        let ends = [0, 8, 13, all.len()];
        for split in 0..all.len() {
            let mut records = RecordTracker::default();
            records.advance(&all[..split]);
            assert_eq!(records.is_between(), ends.contains(&split), "{split} bytes");
            records.advance(&all[split..]);
            assert!(records.is_between(), "split at {split}");
        }
    }
}
