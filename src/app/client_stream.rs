//! The byte stream of a client: TCP, a unix socket, or TLS over TCP.

use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::pin::Pin;
use std::task::{Context, Poll};

use nix::sys::socket::{MsgFlags, recv};
use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::server::TlsStream;

use crate::http::server::ServerTls;
use crate::wire::api_key::CertificateName;

/// Bytes that the kernel accepts before it has sent them (`TCP_NOTSENT_LOWAT`). Without a bound it reports that a full
/// send buffer can be written to only when a third is free, which may be megabytes: a slow reader would look like a
/// stalled one, and take as much memory.
const MAX_UNSENT: u32 = 128 * 1024;

/// An accepted socket that no runtime polls yet.
pub(super) enum AcceptedSocket {
    Tcp(std::net::TcpStream),
    Unix(std::os::unix::net::UnixStream),
}

/// See the module.
pub(super) enum ClientStream {
    Tcp(TcpStream),
    Unix(UnixStream),
    Tls(Box<TlsClient>),
}

/// The socket beneath TLS, which buffers what is written: progress is seen here only.
struct CountedTcp {
    tcp: TcpStream,
    /// Bytes that the socket has accepted.
    sent: u64,
}

/// A TLS connection.
pub(super) struct TlsClient {
    stream: TlsStream<CountedTcp>,
    /// The last read has found that no decrypted byte is left, and none can be until the socket is readable.
    is_drained: bool,
}

impl ClientStream {
    /// Registers the socket with the current runtime, and sets its options: no Nagle algorithm, which would delay
    /// tokens until the last one is acknowledged, and a bounded send buffer.
    pub(super) fn register(socket: AcceptedSocket) -> io::Result<Self> {
        Ok(match socket {
            AcceptedSocket::Tcp(tcp) => {
                let tcp = TcpStream::from_std(tcp)?;
                if let Err(error) = tcp.set_nodelay(true).and_then(|()| limit_unsent(&tcp)) {
                    tracing::debug!(%error, "a socket's options");
                }
                Self::Tcp(tcp)
            }
            AcceptedSocket::Unix(unix) => Self::Unix(UnixStream::from_std(unix)?),
        })
    }

    /// The same connection after a TLS handshake.
    pub(super) async fn with_tls(self, tls: &ServerTls) -> io::Result<Self> {
        match self {
            Self::Tcp(tcp) => {
                let stream = tls.accept(CountedTcp { tcp, sent: 0 }).await?;
                Ok(Self::Tls(Box::new(TlsClient { stream, is_drained: false })))
            }
            other => Ok(other),
        }
    }

    /// The names in the client's certificate; none without one.
    pub(super) fn certificate_names(&self) -> Vec<CertificateName> {
        match self {
            Self::Tls(tls) => ServerTls::client_names(tls.stream.get_ref().1),
            _ => Vec::new(),
        }
    }

    /// Waits until the socket has more than `known` unread bytes, or the client has closed its side; returns how many
    /// there are, of which the first are copied to `buffer`. They stay unread. Of TLS, these are the encrypted bytes.
    pub(super) async fn peek_more_than(&self, known: usize, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let ready = match self {
                Self::Tcp(tcp) => tcp.ready(Interest::READABLE).await?,
                Self::Unix(unix) => unix.ready(Interest::READABLE).await?,
                Self::Tls(tls) => tls.stream.get_ref().0.tcp.ready(Interest::READABLE).await?,
            };
            // An answer that is no news clears the readiness, so that the next round waits for further bytes.
            let peek = || {
                let count = recv(self.as_fd().as_raw_fd(), buffer, MsgFlags::MSG_PEEK)?;
                if count > known || ready.is_read_closed() { Ok(count) } else { Err(io::ErrorKind::WouldBlock.into()) }
            };
            let peeked = match self {
                Self::Tcp(tcp) => tcp.try_io(Interest::READABLE, peek),
                Self::Unix(unix) => unix.try_io(Interest::READABLE, peek),
                Self::Tls(tls) => tls.stream.get_ref().0.tcp.try_io(Interest::READABLE, peek),
            };
            match peeked {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                peeked => return peeked,
            }
        }
    }

    /// Reads as many bytes as `buffer` holds, all of which were peeked at.
    pub(super) fn discard(&self, buffer: &mut [u8]) -> io::Result<()> {
        let mut read = 0;
        while read < buffer.len() {
            let count = recv(self.as_fd().as_raw_fd(), &mut buffer[read..], MsgFlags::empty())?;
            if count == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            read += count;
        }
        Ok(())
    }

    /// The bytes that the socket has accepted, where writes are buffered above it; none where they are not.
    pub(super) fn sent(&self) -> Option<u64> {
        match self {
            Self::Tcp(_) | Self::Unix(_) => None,
            Self::Tls(tls) => Some(tls.stream.get_ref().0.sent),
        }
    }

    /// Ready when a read may succeed.
    pub(super) fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Tcp(tcp) => tcp.poll_read_ready(cx),
            Self::Unix(unix) => unix.poll_read_ready(cx),
            Self::Tls(tls) if tls.is_drained => tls.stream.get_ref().0.tcp.poll_read_ready(cx),
            Self::Tls(_) => Poll::Ready(Ok(())),
        }
    }

    /// Whether bytes have arrived that were not read. A system call, since a poll is also pending when the task's
    /// cooperative budget is used up.
    pub(super) fn has_unread(&self) -> bool {
        let peeked = SockRef::from(self).peek(&mut [MaybeUninit::uninit()]);
        matches!(peeked, Ok(1..))
    }

    /// Reads bytes to discard them; of TLS, without decrypting them.
    pub(super) fn poll_read_raw(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Tcp(tcp) => Pin::new(tcp).poll_read(cx, buf),
            Self::Unix(unix) => Pin::new(unix).poll_read(cx, buf),
            Self::Tls(tls) => Pin::new(&mut tls.stream.get_mut().0.tcp).poll_read(cx, buf),
        }
    }
}

impl CountedTcp {
    fn counted(&mut self, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if let Poll::Ready(Ok(count)) = &written {
            self.sent += *count as u64;
        }
        written
    }
}

impl AsyncRead for CountedTcp {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_read(cx, buf)
    }
}

impl AsyncWrite for CountedTcp {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.tcp).poll_write(cx, buf);
        self.counted(written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.tcp).poll_write_vectored(cx, bufs);
        self.counted(written)
    }

    fn is_write_vectored(&self) -> bool {
        self.tcp.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_shutdown(cx)
    }
}

#[cfg(target_os = "linux")]
fn limit_unsent(tcp: &TcpStream) -> io::Result<()> {
    SockRef::from(tcp).set_tcp_notsent_lowat(MAX_UNSENT)
}

#[cfg(not(target_os = "linux"))]
fn limit_unsent(_: &TcpStream) -> io::Result<()> {
    Ok(())
}

impl AsFd for ClientStream {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Tcp(tcp) => tcp.as_fd(),
            Self::Unix(unix) => unix.as_fd(),
            Self::Tls(tls) => tls.stream.get_ref().0.tcp.as_fd(),
        }
    }
}

impl AsyncRead for ClientStream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match &mut *self {
            Self::Tcp(tcp) => Pin::new(tcp).poll_read(cx, buf),
            Self::Unix(unix) => Pin::new(unix).poll_read(cx, buf),
            Self::Tls(tls) => {
                let read = Pin::new(&mut tls.stream).poll_read(cx, buf);
                tls.is_drained = read.is_pending();
                read
            }
        }
    }
}

impl AsyncWrite for ClientStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match &mut *self {
            Self::Tcp(tcp) => Pin::new(tcp).poll_write(cx, buf),
            Self::Unix(unix) => Pin::new(unix).poll_write(cx, buf),
            Self::Tls(tls) => Pin::new(&mut tls.stream).poll_write(cx, buf),
        }
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match &mut *self {
            Self::Tcp(tcp) => Pin::new(tcp).poll_write_vectored(cx, bufs),
            Self::Unix(unix) => Pin::new(unix).poll_write_vectored(cx, bufs),
            Self::Tls(tls) => Pin::new(&mut tls.stream).poll_write_vectored(cx, bufs),
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut *self {
            Self::Tcp(_) | Self::Unix(_) => Poll::Ready(Ok(())),
            Self::Tls(tls) => Pin::new(&mut tls.stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut *self {
            Self::Tcp(tcp) => Pin::new(tcp).poll_shutdown(cx),
            Self::Unix(unix) => Pin::new(unix).poll_shutdown(cx),
            Self::Tls(tls) => Pin::new(&mut tls.stream).poll_shutdown(cx),
        }
    }
}
