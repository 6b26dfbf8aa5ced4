//! The byte stream of a connection: plain or TLS.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use rustls::ClientConnection;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_rustls::client::TlsStream;

use super::socket::Socket;

/// Most bytes that an idle TLS connection may have received since the last check: session tickets and key updates take
/// a few hundred.
const MAX_IDLE_BYTES: usize = 16 * 1024;

pub(super) enum Stream {
    Plain(Socket),
    Tls(Box<TlsStream<Socket>>),
}

/// Received data that has not been read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unread {
    /// Nothing, and the stream has not ended.
    Nothing,
    /// The beginning of a TLS record, whose content is not known yet.
    PartOfRecord,
    /// Data, or the end of the stream.
    Something,
}

impl Stream {
    /// Ready when a read may succeed. Pending does not mean that nothing has arrived: see [`Stream::unread`].
    pub(super) fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Plain(socket) => socket.transport().poll_read_ready(cx),
            // There may be decrypted data that was not read yet.
            Self::Tls(_) => Poll::Ready(Ok(())),
        }
    }

    /// Received data that has not been read, according to the operating system. A poll is not enough: it is also
    /// pending when the task's cooperative budget is used up, and until the runtime has processed the socket's event.
    pub(super) fn unread(&mut self) -> Unread {
        match self {
            Self::Plain(socket) if socket.is_empty() => Unread::Nothing,
            Self::Plain(_) => Unread::Something,
            Self::Tls(tls) => {
                let (socket, session) = tls.get_mut();
                unread_over_tls(socket, session)
            }
        }
    }

    /// From here on, [`Stream::has_written`] is about the next message.
    pub(super) fn begin_message(&mut self) {
        self.socket_mut().has_written = false;
    }

    /// Whether the operating system has accepted bytes since [`Stream::begin_message`].
    pub(super) fn has_written(&self) -> bool {
        match self {
            Self::Plain(socket) => socket.has_written,
            Self::Tls(tls) => tls.get_ref().0.has_written,
        }
    }

    fn socket_mut(&mut self) -> &mut Socket {
        match self {
            Self::Plain(socket) => socket,
            Self::Tls(tls) => tls.get_mut().0,
        }
    }
}

/// Processes what an idle TLS connection has received. Session tickets and key updates may come at any time and count
/// as nothing; an alert, `close_notify`, the end of the stream and application data count as something.
fn unread_over_tls(socket: &mut Socket, session: &mut ClientConnection) -> Unread {
    let mut received = 0;
    loop {
        match session.process_new_packets() {
            Ok(state) if state.plaintext_bytes_to_read() == 0 && !state.peer_has_closed() => {}
            _ => return Unread::Something,
        }
        match session.read_tls(&mut socket.nonblocking()) {
            Ok(count) if count > 0 && received + count <= MAX_IDLE_BYTES => received += count,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                return if socket.is_between_records() { Unread::Nothing } else { Unread::PartOfRecord };
            }
            Ok(_) | Err(_) => return Unread::Something,
        }
    }
}

impl AsyncRead for Stream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match &mut *self {
            Self::Plain(socket) => Pin::new(socket).poll_read(cx, buf),
            Self::Tls(tls) => Pin::new(tls).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match &mut *self {
            Self::Plain(socket) => Pin::new(socket).poll_write(cx, buf),
            Self::Tls(tls) => Pin::new(tls).poll_write(cx, buf),
        }
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match &mut *self {
            Self::Plain(socket) => Pin::new(socket).poll_write_vectored(cx, bufs),
            Self::Tls(tls) => Pin::new(tls).poll_write_vectored(cx, bufs),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut *self {
            Self::Plain(socket) => Pin::new(socket).poll_flush(cx),
            Self::Tls(tls) => Pin::new(tls).poll_flush(cx),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut *self {
            Self::Plain(socket) => Pin::new(socket).poll_shutdown(cx),
            Self::Tls(tls) => Pin::new(tls).poll_shutdown(cx),
        }
    }
}
