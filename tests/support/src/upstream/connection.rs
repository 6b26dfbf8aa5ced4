//! One connection to the scripted upstream.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Instant;

use bytes::{Buf, BytesMut};
use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio::sync::watch;
use tokio_rustls::server::TlsStream;

use super::script::{Script, Step};
use super::{Recorded, Shared, lock};
use crate::http::find;
use crate::tls::Authority;

/// Answers requests until a script or the client closes the connection. An error is a fault of the test or the
/// server.
pub(super) async fn serve(
    incoming: Incoming,
    number: usize,
    shared: &Shared,
    authority: Option<&Authority>,
) -> Result<(), String> {
    if let Incoming::Tcp(tcp) = &incoming {
        tcp.set_nodelay(true).map_err(|error| error.to_string())?;
    }
    let io = match (incoming, authority) {
        (Incoming::Unix(unix), _) => Io::Unix(unix),
        (Incoming::Tcp(tcp), None) => Io::Plain(tcp),
        (Incoming::Tcp(tcp), Some(authority)) => match authority.acceptor.accept(tcp).await {
            Ok(tls) => Io::Tls(Box::new(tls)),
            // A client that does not trust the certificate closes; the test checks that.
            Err(_refused) => return Ok(()),
        },
    };
    let mut connection = Connection { io, buffer: BytesMut::new(), number, answered: false };
    while let Some(request) = connection.request(shared).await? {
        let line = request.line().to_owned();
        let script = match line.starts_with("GET ") {
            true => lock(&shared.models).pop_front(),
            false => lock(&shared.chat).pop_front().or_else(|| lock(&shared.otherwise).clone()),
        };
        shared.requests.send_modify(|all| all.push(request));
        let script = script.ok_or_else(|| format!("no script is left for {line:?}"))?;
        if connection.play(script).await.is_none() {
            break;
        }
        connection.answered = true;
    }
    Ok(())
}

struct Connection {
    io: Io,
    buffer: BytesMut,
    number: usize,
    answered: bool,
}

impl Connection {
    /// The next request; none when the client has closed, or the test closes idle connections.
    async fn request(&mut self, shared: &Shared) -> Result<Option<Recorded>, String> {
        if self.buffer.is_empty() && self.answered {
            let mut closing = shared.closing.subscribe();
            let _idle = Counted::new(&shared.idle);
            tokio::select! {
                open = self.more() => if !open { return Ok(None) },
                _ = closing.changed() => return Ok(None),
            }
        }
        let end = loop {
            if let Some(at) = find(&self.buffer, b"\r\n\r\n") {
                break at;
            }
            if !self.more().await {
                return Ok(None);
            }
        };
        let head = String::from_utf8(self.buffer.split_to(end).to_vec()).map_err(|error| error.to_string())?;
        self.buffer.advance(4);
        let mut request = Recorded { connection: self.number, head, body: Vec::new(), at: Instant::now() };
        let length = match request.header("content-length") {
            Some(length) => length.parse().map_err(|_| format!("a length of {length:?}"))?,
            None if request.header("transfer-encoding").is_some() => return Err("a chunked request".to_owned()),
            None => 0,
        };
        while self.buffer.len() < length {
            if !self.more().await {
                return Ok(None);
            }
        }
        request.body = self.buffer.split_to(length).to_vec();
        request.at = Instant::now();
        Ok(Some(request))
    }

    /// Reads more bytes; false at the end or on a reset.
    async fn more(&mut self) -> bool {
        matches!(self.io.read_buf(&mut self.buffer).await, Ok(1..))
    }

    /// Plays `script`; none when the connection is over.
    async fn play(&mut self, script: Script) -> Option<()> {
        for step in script.steps {
            match step {
                Step::Write(bytes) => {
                    self.io.write_all(&bytes).await.ok()?;
                    self.io.flush().await.ok()?;
                }
                Step::Wait(gate) => loop {
                    tokio::select! {
                        () = gate.pass() => break,
                        open = self.more() => if !open { return None },
                    }
                },
                Step::Close => {
                    // Sends close_notify over TLS; TCP sends its FIN when the socket is dropped.
                    self.io.shutdown().await.ok()?;
                    return None;
                }
                Step::Reset => {
                    // A unix socket has no reset: it is closed.
                    let tcp = self.io.as_tcp()?;
                    SockRef::from(tcp).set_linger(Some(std::time::Duration::ZERO)).unwrap();
                    return None;
                }
                Step::HalfClose => {
                    self.io.shutdown().await.ok()?;
                    while self.more().await {}
                    return None;
                }
            }
        }
        Some(())
    }
}

/// Increments a counter until it is dropped.
struct Counted<'a>(&'a watch::Sender<usize>);

impl<'a> Counted<'a> {
    fn new(count: &'a watch::Sender<usize>) -> Self {
        count.send_modify(|count| *count += 1);
        Self(count)
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.send_modify(|count| *count -= 1);
    }
}

/// An accepted socket.
pub(super) enum Incoming {
    Tcp(TcpStream),
    Unix(UnixStream),
}

enum Io {
    Plain(TcpStream),
    Unix(UnixStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl Io {
    fn as_tcp(&self) -> Option<&TcpStream> {
        match self {
            Self::Plain(tcp) => Some(tcp),
            Self::Unix(_) => None,
            Self::Tls(tls) => Some(tls.get_ref().0),
        }
    }
}

impl AsyncRead for Io {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(tcp) => Pin::new(tcp).poll_read(cx, buf),
            Self::Unix(unix) => Pin::new(unix).poll_read(cx, buf),
            Self::Tls(tls) => Pin::new(tls).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Io {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(tcp) => Pin::new(tcp).poll_write(cx, buf),
            Self::Unix(unix) => Pin::new(unix).poll_write(cx, buf),
            Self::Tls(tls) => Pin::new(tls).poll_write(cx, buf),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(tcp) => Pin::new(tcp).poll_flush(cx),
            Self::Unix(unix) => Pin::new(unix).poll_flush(cx),
            Self::Tls(tls) => Pin::new(tls).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(tcp) => Pin::new(tcp).poll_shutdown(cx),
            Self::Unix(unix) => Pin::new(unix).poll_shutdown(cx),
            Self::Tls(tls) => Pin::new(tls).poll_shutdown(cx),
        }
    }
}
