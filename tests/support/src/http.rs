//! A raw HTTP/1.1 client, independent of petstream: it shows the bytes as they arrive, and can close or reset at any
//! point.

use std::net::SocketAddr;

use bytes::{Buf, Bytes, BytesMut};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

use crate::completion_stream::{self, Transcript, assert_error};
use crate::soon;

/// A request as bytes.
#[derive(Clone)]
pub struct Request {
    head: String,
    body: Vec<u8>,
}

impl Request {
    /// A request without a body.
    pub fn new(method: &str, target: &str) -> Self {
        Self { head: format!("{method} {target} HTTP/1.1\r\nhost: localhost\r\n"), body: Vec::new() }
    }

    /// `POST /v1/chat/completions` with this body.
    pub fn chat(body: &Value) -> Self {
        Self::post("/v1/chat/completions", body)
    }

    /// POST with this body.
    pub fn post(target: &str, body: &Value) -> Self {
        Self::new("POST", target).header("content-type", "application/json").body(body.to_string())
    }

    /// Adds a header line.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.head.push_str(&format!("{name}: {value}\r\n"));
        self
    }

    /// Adds an API key.
    pub fn bearer(self, key: &str) -> Self {
        self.header("authorization", &format!("Bearer {key}"))
    }

    /// Sets the body; its `content-length` is added when the request is sent.
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    /// The bytes that go over the wire.
    fn bytes(&self) -> Vec<u8> {
        let mut bytes = self.head.clone().into_bytes();
        if !self.body.is_empty() {
            bytes.extend_from_slice(format!("content-length: {}\r\n", self.body.len()).as_bytes());
        }
        bytes.extend_from_slice(b"\r\n");
        bytes.extend_from_slice(&self.body);
        bytes
    }
}

/// One connection to the server.
pub struct Connection {
    stream: TcpStream,
    buffer: BytesMut,
}

impl Connection {
    /// Connects.
    pub async fn open(server: SocketAddr) -> Self {
        Self::connect(TcpSocket::new_v4().unwrap(), server).await
    }

    /// Connects with a receive buffer of about `bytes`, so that the server's writes soon block.
    pub async fn open_narrow(server: SocketAddr, bytes: u32) -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        // Before connecting: the window scale is negotiated then.
        socket.set_recv_buffer_size(bytes).unwrap();
        Self::connect(socket, server).await
    }

    /// Connects; none where no server listens.
    pub async fn open_unless_gone(server: SocketAddr) -> Option<Self> {
        let stream = soon("a connection", TcpSocket::new_v4().unwrap().connect(server)).await.ok()?;
        // Without a listener, the kernel may assign the target port to this socket, which then connects to itself.
        let alone = stream.local_addr().ok()? == server;
        stream.set_nodelay(true).ok()?;
        (!alone).then(|| Self { stream, buffer: BytesMut::new() })
    }

    async fn connect(socket: TcpSocket, server: SocketAddr) -> Self {
        let stream = soon("a connection", socket.connect(server)).await.unwrap();
        stream.set_nodelay(true).unwrap();
        Self { stream, buffer: BytesMut::new() }
    }

    /// Sends `request` whole.
    pub async fn send(&mut self, request: &Request) {
        self.send_raw(&request.bytes()).await;
    }

    /// Sends any bytes.
    pub async fn send_raw(&mut self, bytes: &[u8]) {
        soon("the server to read", self.stream.write_all(bytes)).await.unwrap();
    }

    /// Sends `request` and reads the head of its answer.
    pub async fn ask(&mut self, request: &Request) -> Answer<'_> {
        self.send(request).await;
        self.answer().await
    }

    /// Sends `request` and reads the whole answer; none where the connection ends before.
    pub async fn ask_unless_gone(&mut self, request: &Request) -> Option<Whole> {
        let mut answer = self.begin_unless_gone(request).await?;
        let (body, whole) = answer.rest().await;
        whole.then(|| Whole { status: answer.status(), headers: answer.headers, body })
    }

    /// Sends `request` and reads the head of its answer; none where the connection ends before.
    pub async fn begin_unless_gone(&mut self, request: &Request) -> Option<Answer<'_>> {
        soon("the server to read", self.stream.write_all(&request.bytes())).await.ok()?;
        self.answer_unless_gone().await.ok()
    }

    /// Reads the head of the next answer.
    pub async fn answer(&mut self) -> Answer<'_> {
        self.answer_unless_gone().await.unwrap_or_else(|begin| panic!("closed within a head: {begin:?}"))
    }

    /// As [`Connection::answer`]; the error is the part of the head that arrived before the connection ended.
    async fn answer_unless_gone(&mut self) -> Result<Answer<'_>, String> {
        let end = loop {
            if let Some(at) = find(&self.buffer, b"\r\n\r\n") {
                break at;
            }
            if !self.more().await {
                return Err(String::from_utf8_lossy(&self.buffer).into_owned());
            }
        };
        let head = String::from_utf8(self.buffer.split_to(end + 4).to_vec()).unwrap();
        let mut lines = head.trim_end().split("\r\n");
        let status_line = lines.next().unwrap_or_default().to_owned();
        let headers = lines.map(|line| {
            let (name, value) = line.split_once(':').unwrap_or_else(|| panic!("not a header: {line:?}"));
            (name.to_ascii_lowercase(), value.trim().to_owned())
        });
        let mut answer = Answer { headers: headers.collect(), status_line, framing: Framing::Close, connection: self };
        answer.framing = answer.framing();
        Ok(answer)
    }

    /// Waits until so many bytes have arrived, or the end. [`Connection::answer`] reads them later.
    pub async fn has_received(&mut self, bytes: usize) {
        while self.buffer.len() < bytes && self.more().await {}
    }

    /// Whether bytes have arrived that were not read, as far as is known without waiting.
    pub fn has_bytes(&mut self) -> bool {
        let received = self.stream.try_read_buf(&mut self.buffer);
        matches!(received, Ok(1..)) || !self.buffer.is_empty()
    }

    /// Waits until the server closes; true for a clean close. Panics if bytes arrive.
    pub async fn closed_cleanly(&mut self) -> bool {
        assert!(self.buffer.is_empty(), "unread bytes: {:?}", String::from_utf8_lossy(&self.buffer));
        match soon("the server to close", self.stream.read_buf(&mut self.buffer)).await {
            Ok(0) => true,
            Ok(_) => panic!("bytes instead of the end: {:?}", String::from_utf8_lossy(&self.buffer)),
            Err(_) => false,
        }
    }

    /// Closes the sending direction; the answer can still be read.
    pub async fn half_close(&mut self) {
        soon("the end to be sent", self.stream.shutdown()).await.unwrap();
    }

    /// Resets the connection.
    pub fn reset(self) {
        self.stream.set_zero_linger().unwrap();
    }

    /// Reads more bytes; false at the end or on a reset.
    async fn more(&mut self) -> bool {
        matches!(soon("bytes from the server", self.stream.read_buf(&mut self.buffer)).await, Ok(1..))
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Framing {
    Length(usize),
    Chunked,
    /// The body ends with the connection.
    Close,
    Ended,
}

/// An answer whose head has been read.
pub struct Answer<'a> {
    /// The first line, whole.
    pub status_line: String,
    /// Header lines in order, names in lower case.
    pub headers: Vec<(String, String)>,
    framing: Framing,
    connection: &'a mut Connection,
}

/// The next part of a body.
#[derive(Clone, Debug, PartialEq)]
pub enum Piece {
    /// One HTTP chunk; of a body that is not chunked, the bytes that have arrived.
    Data(Bytes),
    /// The body is complete.
    End,
    /// The connection broke within the body.
    Cut,
}

impl Answer<'_> {
    /// The status code.
    pub fn status(&self) -> u16 {
        let code = self.status_line.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.get(..3));
        code.and_then(|code| code.parse().ok()).unwrap_or_else(|| panic!("not a status line: {:?}", self.status_line))
    }

    /// The value of a header. Panics where it occurs twice.
    #[track_caller]
    pub fn header(&self, name: &str) -> Option<&str> {
        single(&self.headers, name)
    }

    fn framing(&self) -> Framing {
        if self.header("transfer-encoding") == Some("chunked") {
            return Framing::Chunked;
        }
        match self.header("content-length") {
            Some(length) => Framing::Length(length.parse().unwrap()),
            None if matches!(self.status(), 204 | 304) => Framing::Length(0),
            None => Framing::Close,
        }
    }

    /// The next piece of the body, as soon as it has arrived.
    pub async fn piece(&mut self) -> Piece {
        match self.framing {
            Framing::Chunked => self.chunk().await,
            Framing::Length(0) | Framing::Ended => Piece::End,
            Framing::Length(left) => {
                if self.connection.buffer.is_empty() && !self.connection.more().await {
                    return Piece::Cut;
                }
                let size = left.min(self.connection.buffer.len());
                self.framing = Framing::Length(left - size);
                Piece::Data(self.connection.buffer.split_to(size).freeze())
            }
            Framing::Close => {
                if self.connection.buffer.is_empty() && !self.connection.more().await {
                    self.framing = Framing::Ended;
                    return Piece::End;
                }
                Piece::Data(self.connection.buffer.split().freeze())
            }
        }
    }

    async fn chunk(&mut self) -> Piece {
        let connection = &mut *self.connection;
        let line = loop {
            if let Some(at) = find(&connection.buffer, b"\r\n") {
                break at;
            }
            if !connection.more().await {
                return Piece::Cut;
            }
        };
        let digits = std::str::from_utf8(&connection.buffer[..line]).unwrap();
        let size = usize::from_str_radix(digits, 16).unwrap_or_else(|e| panic!("a chunk size of {digits:?}: {e}"));
        while connection.buffer.len() < line + 2 + size + 2 {
            if !connection.more().await {
                return Piece::Cut;
            }
        }
        connection.buffer.advance(line + 2);
        let data = connection.buffer.split_to(size).freeze();
        assert_eq!(&connection.buffer.split_to(2)[..], b"\r\n", "a chunk ends with a line break");
        if size == 0 {
            self.framing = Framing::Ended;
            return Piece::End;
        }
        Piece::Data(data)
    }

    /// The rest of the body, and whether it was complete.
    pub async fn rest(&mut self) -> (Vec<u8>, bool) {
        let mut body = Vec::new();
        loop {
            match self.piece().await {
                Piece::Data(bytes) => body.extend_from_slice(&bytes),
                Piece::End => return (body, true),
                Piece::Cut => return (body, false),
            }
        }
    }

    /// The rest of the body. Panics where it is cut.
    pub async fn body(&mut self) -> Vec<u8> {
        let (body, whole) = self.rest().await;
        assert!(whole, "cut after {:?}", String::from_utf8_lossy(&body));
        body
    }
}

/// A complete answer.
#[derive(Debug)]
pub struct Whole {
    /// The status code.
    pub status: u16,
    headers: Vec<(String, String)>,
    /// The exact bytes.
    pub body: Vec<u8>,
}

/// Sends `request` on a new connection, and reads the whole answer.
pub async fn ask(server: SocketAddr, request: &Request) -> Whole {
    let mut connection = Connection::open(server).await;
    connection.ask(request).await.whole().await
}

impl Answer<'_> {
    /// The answer, read to its end.
    pub async fn whole(mut self) -> Whole {
        let body = self.body().await;
        Whole { status: self.status(), headers: std::mem::take(&mut self.headers), body }
    }
}

impl Whole {
    /// The value of a header that comes at most once.
    #[track_caller]
    pub fn header(&self, name: &str) -> Option<&str> {
        single(&self.headers, name)
    }

    /// The body as text.
    #[track_caller]
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    /// The body as JSON.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|e| panic!("{e}: {:?}", String::from_utf8_lossy(&self.body)))
    }

    /// The error object of an answer, which must have this status and the form of the contract.
    #[track_caller]
    pub fn error(&self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", String::from_utf8_lossy(&self.body));
        assert_eq!(self.header("content-type"), Some("application/json"));
        let body = self.json();
        assert_eq!(body.as_object().map(serde_json::Map::len), Some(1), "nothing beside the error: {body}");
        assert_error(&body["error"]);
        body["error"].clone()
    }

    /// The completion stream of this answer.
    #[track_caller]
    pub fn transcript(&self) -> Transcript {
        assert_eq!(self.status, 200, "{}", String::from_utf8_lossy(&self.body));
        assert_eq!(self.header("content-type"), Some("text/event-stream; charset=utf-8"));
        completion_stream::read(&self.body)
    }
}

#[track_caller]
fn single<'a>(headers: &'a [(String, String)], name: &str) -> Option<&'a str> {
    let mut values = headers.iter().filter(|(other, _)| other == name).map(|(_, value)| value.as_str());
    let first = values.next();
    assert_eq!(values.next(), None, "{name} comes twice");
    first
}

pub fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    memchr::memmem::find(haystack, needle)
}
