//! A socket to an upstream, which can be asked what it has received without a runtime in between.

use std::io::{self, Read};
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// Length of the header of a TLS record: type, version, length (RFC 8446, section 5.1).
const RECORD_HEADER: usize = 5;

/// A TCP socket that remembers whether it was written to, and where in a TLS record it stands.
pub(super) struct Socket {
    tcp: TcpStream,
    /// The operating system has taken bytes since this was last unset.
    pub(super) has_written: bool,
    /// Where it stands in the records that were received; none: it carries no TLS.
    records: Option<Records>,
}

impl Socket {
    /// For plain text.
    pub(super) const fn plain(tcp: TcpStream) -> Self {
        Self { tcp, has_written: false, records: None }
    }

    /// For TLS, from its first byte on.
    pub(super) fn tls(tcp: TcpStream) -> Self {
        Self { tcp, has_written: false, records: Some(Records::default()) }
    }

    pub(super) const fn tcp(&self) -> &TcpStream {
        &self.tcp
    }

    pub(super) fn into_tcp(self) -> TcpStream {
        self.tcp
    }

    /// Whether nothing can be read at this moment, not even the end. One system call.
    pub(super) fn is_empty(&self) -> bool {
        let peeked = SockRef::from(&self.tcp).peek(&mut [MaybeUninit::uninit()]);
        peeked.is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock)
    }

    /// Reads what is there without asking the runtime.
    pub(super) const fn now(&mut self) -> Now<'_> {
        Now(self)
    }

    /// Whether all records that were begun have been received to their ends.
    pub(super) fn is_between_records(&self) -> bool {
        self.records.as_ref().is_none_or(Records::is_between)
    }

    fn received(&mut self, bytes: &[u8]) {
        if let Some(records) = &mut self.records {
            records.pass(bytes);
        }
    }

    fn written(&mut self, count: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        self.has_written |= matches!(count, Poll::Ready(Ok(1..)));
        count
    }
}

/// See [`Socket::now`].
pub(super) struct Now<'a>(&'a mut Socket);

impl Read for Now<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let count = (&*SockRef::from(&self.0.tcp)).read(buf)?;
        self.0.received(&buf[..count]);
        Ok(count)
    }
}

/// Follows TLS records by their headers.
#[derive(Debug, Default)]
struct Records {
    /// How much of a header has come, bytes.
    header: usize,
    /// What the header says of the length so far; then how much of the record is left, bytes.
    left: usize,
}

impl Records {
    const fn is_between(&self) -> bool {
        self.header == 0
    }

    fn pass(&mut self, mut bytes: &[u8]) {
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
        ready!(Pin::new(&mut self.tcp).poll_read(cx, buf))?;
        self.received(&buf.filled()[before..]);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Socket {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let count = Pin::new(&mut self.tcp).poll_write(cx, buf);
        self.written(count)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let count = Pin::new(&mut self.tcp).poll_write_vectored(cx, bufs);
        self.written(count)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_followed_in_any_split() {
        let record = |length: u16| {
            let [high, low] = length.to_be_bytes();
            [&[23, 3, 3, high, low][..], &vec![7; usize::from(length)]].concat()
        };
        let all = [record(3), record(0), record(300)].concat();
        let ends = [0, 8, 13, all.len()];
        for split in 0..all.len() {
            let mut records = Records::default();
            records.pass(&all[..split]);
            assert_eq!(records.is_between(), ends.contains(&split), "{split} bytes");
            records.pass(&all[split..]);
            assert!(records.is_between(), "split at {split}");
        }
    }
}
