//! An HTTP/1.1 client connection, over TCP or TLS: one request at a time, the body of the answer piece by piece as it
//! arrives.

use std::ops::Range;
use std::sync::Arc;

use memchr::memmem;
use rustls::ClientConfig;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::clock::now;
use crate::result::Result;
use crate::tls::server_name;

/// A connection to a server.
pub(crate) struct Connection {
    socket: Socket,
    buffer: Vec<u8>,
    /// The offset of the first unread byte of the buffer.
    at: usize,
    state: State,
    /// The time of the last read.
    pub(crate) arrived: u64,
}

enum Socket {
    Tcp(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

/// The decoder of the body: what is expected next.
#[derive(Clone, Copy, Debug)]
enum State {
    /// The rest of a body with a known length.
    Length(usize),
    /// A chunk size line.
    Size,
    /// The rest of a chunk.
    Chunk(usize),
    /// The line end after a chunk.
    ChunkEnd,
    /// The empty line after the last chunk.
    Last,
    /// The answer is complete.
    Over,
}

/// The contents of the buffer.
enum Step {
    /// Body bytes at this range.
    Data(Range<usize>),
    /// Nothing complete: more must be read.
    More,
    End,
}

impl Connection {
    /// Connects, and does the handshake where there is TLS.
    pub(crate) async fn open(address: &str, tls: Option<&Arc<ClientConfig>>) -> Result<Self> {
        let tcp = TcpStream::connect(address).await?;
        tcp.set_nodelay(true)?;
        let socket = match tls {
            None => Socket::Tcp(tcp),
            Some(config) => {
                let stream = TlsConnector::from(Arc::clone(config)).connect(server_name()?, tcp).await?;
                Socket::Tls(Box::new(stream))
            }
        };
        Ok(Self { socket, buffer: Vec::with_capacity(4 << 10), at: 0, state: State::Over, arrived: 0 })
    }

    /// Sends a request and reads the head of its answer.
    pub(crate) async fn ask(&mut self, request: &[u8]) -> Result<u16> {
        if self.at < self.buffer.len() {
            return Err("bytes after the end of an answer".into());
        }
        match &mut self.socket {
            Socket::Tcp(tcp) => tcp.write_all(request).await?,
            Socket::Tls(tls) => {
                tls.write_all(request).await?;
                tls.flush().await?;
            }
        }
        let end = loop {
            if let Some(end) = memmem::find(&self.buffer[self.at..], b"\r\n\r\n") {
                break self.at + end;
            }
            self.read().await?;
        };
        let head = std::str::from_utf8(&self.buffer[self.at..end])?.to_ascii_lowercase();
        self.at = end + 4;
        let field = |name: &str| head.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
        self.state = match (field("content-length:"), field("transfer-encoding:")) {
            (Some(length), _) => State::Length(length.parse()?),
            (_, Some("chunked")) => State::Size,
            // Ended by the close of the connection: only event streams are, which are never read to their end.
            _ => State::Length(usize::MAX),
        };
        let status = head.split(' ').nth(1).ok_or("no status")?;
        Ok(status.parse()?)
    }

    /// The next bytes of the body; none at its end.
    pub(crate) async fn data(&mut self) -> Result<Option<&[u8]>> {
        loop {
            match self.step()? {
                Step::Data(range) => return Ok(Some(&self.buffer[range])),
                Step::End => return Ok(None),
                Step::More => self.read().await?,
            }
        }
    }

    /// The rest of the body.
    pub(crate) async fn whole(&mut self) -> Result<Vec<u8>> {
        let mut whole = Vec::new();
        while let Some(data) = self.data().await? {
            whole.extend_from_slice(data);
        }
        Ok(whole)
    }

    async fn read(&mut self) -> Result<()> {
        if self.at == self.buffer.len() {
            self.buffer.clear();
        } else if self.at > 0 {
            self.buffer.drain(..self.at);
        }
        self.at = 0;
        if self.buffer.capacity() - self.buffer.len() < 1024 {
            self.buffer.reserve(16 << 10);
        }
        let read = match &mut self.socket {
            Socket::Tcp(tcp) => tcp.read_buf(&mut self.buffer).await?,
            Socket::Tls(tls) => tls.read_buf(&mut self.buffer).await?,
        };
        if read == 0 {
            return Err("the server closed the connection in the middle of an answer".into());
        }
        self.arrived = now();
        Ok(())
    }

    fn step(&mut self) -> Result<Step> {
        loop {
            let rest = &self.buffer[self.at..];
            match self.state {
                State::Over | State::Length(0) => return Ok(Step::End),
                State::Length(left) | State::Chunk(left) if !rest.is_empty() => {
                    let taken = left.min(rest.len());
                    self.state = match self.state {
                        State::Length(_) => State::Length(left - taken),
                        _ if taken == left => State::ChunkEnd,
                        _ => State::Chunk(left - taken),
                    };
                    self.at += taken;
                    return Ok(Step::Data(self.at - taken..self.at));
                }
                State::Length(_) | State::Chunk(_) => return Ok(Step::More),
                State::Size => {
                    let Some(end) = memchr::memchr(b'\n', rest) else { return Ok(Step::More) };
                    let size = std::str::from_utf8(&rest[..end])?.trim_end();
                    let size = usize::from_str_radix(size, 16).map_err(|_| format!("not a chunk size: {size:?}"))?;
                    self.state = if size == 0 { State::Last } else { State::Chunk(size) };
                    self.at += end + 1;
                }
                State::ChunkEnd | State::Last => {
                    if rest.len() < 2 {
                        return Ok(Step::More);
                    }
                    if !rest.starts_with(b"\r\n") {
                        return Err("a chunk is longer than its size says".into());
                    }
                    self.at += 2;
                    self.state = if matches!(self.state, State::Last) { State::Over } else { State::Size };
                }
            }
        }
    }
}
