//! A reader of event streams by the WHATWG standard (HTML, 9.2.6), independent of petstream's encoder, and stricter:
//! deviations that the standard ignores or repairs are failures here.

use std::net::SocketAddr;
use std::time::Duration;

use serde_json::Value;
use tokio::sync::mpsc;

use crate::http::{Connection, Piece, Request};
use crate::soon;

/// The event names that the server may use.
const NAMES: [&str; 10] = [
    "connected",
    "heartbeat",
    "stream-reset",
    "pet-update",
    "pet-status-changed",
    "order-created",
    "order-status-changed",
    "inventory-changed",
    "notification",
    "stats",
];

/// A block of a stream, or a comment.
#[derive(Clone, Debug, PartialEq)]
pub enum Seen {
    Message(Message),
    /// A block with an id only, which dispatches no event.
    Id(String),
    Retry(Duration),
    Comment(String),
}

/// A dispatched event.
#[derive(Clone, Debug, PartialEq)]
pub struct Message {
    /// `message` where the block had no name.
    pub event: String,
    pub data: Value,
    /// The last event ID when it was dispatched.
    pub last_id: String,
    /// Whether its own block had the id.
    pub has_id: bool,
}

impl Message {
    /// The number in its id.
    #[track_caller]
    pub fn seq(&self) -> u64 {
        seq(&self.last_id)
    }

    pub fn prev(&self) -> u64 {
        self.data["prev"].as_u64().unwrap_or_else(|| panic!("no prev: {self:?}"))
    }
}

/// The number in an id.
#[track_caller]
pub fn seq(id: &str) -> u64 {
    let (epoch, seq) = id.split_once('.').unwrap_or_else(|| panic!("not an id: {id:?}"));
    assert!(
        !epoch.is_empty() && epoch.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit()),
        "{id:?}"
    );
    seq.parse().unwrap_or_else(|e| panic!("not an id: {id:?}: {e}"))
}

/// Splits bytes into blocks.
#[derive(Default)]
pub struct Parser {
    unfinished: Vec<u8>,
    last_id: String,
}

impl Parser {
    /// The blocks that these bytes complete.
    pub fn push(&mut self, bytes: &[u8]) -> Vec<Seen> {
        self.unfinished.extend_from_slice(bytes);
        let mut seen = Vec::new();
        while let Some(at) = self.unfinished.windows(2).position(|pair| pair == b"\n\n") {
            let block: Vec<u8> = self.unfinished.drain(..at + 2).collect();
            let block = String::from_utf8(block).expect("UTF-8");
            seen.push(self.block(block.trim_end_matches('\n')));
        }
        seen
    }

    /// Whether no block is unfinished.
    pub fn is_at_a_boundary(&self) -> bool {
        self.unfinished.is_empty()
    }

    fn block(&mut self, block: &str) -> Seen {
        assert!(!block.is_empty() && !block.contains('\r') && !block.contains('\0'), "{block:?}");
        let (mut id, mut event, mut data, mut retry) = (None, None, None, None);
        for line in block.split('\n') {
            if let Some(comment) = line.strip_prefix(':') {
                assert_eq!(line, block, "a comment stands alone");
                return Seen::Comment(comment.trim_start().to_owned());
            }
            let (field, value) = line.split_once(": ").unwrap_or_else(|| panic!("not a field: {line:?}"));
            let place = match field {
                "id" => &mut id,
                "event" => &mut event,
                "data" => &mut data,
                "retry" => &mut retry,
                _ => panic!("not a field of the standard: {line:?}"),
            };
            assert_eq!(place.replace(value.to_owned()), None, "{field} twice in {block:?}");
        }
        if let Some(retry) = retry {
            assert!(id.is_none() && event.is_none() && data.is_none(), "retry stands alone");
            assert!(retry.bytes().all(|byte| byte.is_ascii_digit()), "{retry:?}");
            return Seen::Retry(Duration::from_millis(retry.parse().unwrap()));
        }
        let has_id = id.is_some();
        if let Some(id) = id {
            seq(&id);
            assert!(id.len() < 128);
            self.last_id = id;
        }
        let Some(data) = data else {
            assert!(has_id && event.is_none(), "an event without data: {block:?}");
            return Seen::Id(self.last_id.clone());
        };
        if let Some(name) = &event {
            assert!(NAMES.contains(&name.as_str()), "{name:?}");
        }
        let data: Value = serde_json::from_str(&data).unwrap_or_else(|e| panic!("not JSON ({e}): {data}"));
        assert!(data.is_object(), "{data}");
        let event = event.unwrap_or_else(|| "message".to_owned());
        Seen::Message(Message { event, data, last_id: self.last_id.clone(), has_id })
    }
}

/// How a stream ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    Whole,
    Cut,
}

/// An open stream. Dropping it closes its connection.
pub struct Stream {
    pub headers: Vec<(String, String)>,
    seen: mpsc::Receiver<Result<Seen, Ending>>,
    reading: tokio::task::JoinHandle<()>,
}

/// The first blocks of a stream.
#[derive(Debug)]
pub struct Greeting {
    pub retry: Duration,
    pub connected: Message,
}

/// `GET` of a stream.
pub fn get(target: &str) -> Request {
    Request::new("GET", target).header("accept", "text/event-stream")
}

impl Stream {
    /// Opens a stream. Panics if the answer is not an event stream.
    pub async fn open(server: SocketAddr, request: Request) -> Self {
        let (ready, head) = tokio::sync::oneshot::channel();
        let (sender, seen) = mpsc::channel(10_000);
        let reading = tokio::spawn(async move {
            let mut connection = Connection::open(server).await;
            let mut answer = connection.ask(&request).await;
            assert_eq!(answer.status(), 200);
            let _ = ready.send(std::mem::take(&mut answer.headers));
            let mut parser = Parser::default();
            loop {
                let piece = tokio::select! {
                    piece = answer.piece() => piece,
                    () = sender.closed() => return,
                };
                let ending = match piece {
                    Piece::Data(bytes) => {
                        for seen in parser.push(&bytes) {
                            let _ = sender.send(Ok(seen)).await;
                        }
                        continue;
                    }
                    Piece::End if parser.is_at_a_boundary() => Ending::Whole,
                    Piece::End => panic!("a stream that ends within a block"),
                    Piece::Cut => Ending::Cut,
                };
                let _ = sender.send(Err(ending)).await;
                return;
            }
        });
        let headers = soon("the head of a stream", head).await.expect("a stream");
        let stream = Self { headers, seen, reading };
        assert_eq!(stream.header("content-type"), Some("text/event-stream"));
        assert_eq!(stream.header("cache-control"), Some("no-cache"));
        assert_eq!(stream.header("x-accel-buffering"), Some("no"));
        assert_eq!(stream.header("content-encoding"), None);
        stream
    }

    /// Opens a stream and reads its greeting.
    pub async fn greeted(server: SocketAddr, request: Request) -> (Greeting, Self) {
        let mut stream = Self::open(server, request).await;
        let Seen::Retry(retry) = stream.next().await else { panic!("retry is first") };
        let Seen::Message(connected) = stream.next().await else { panic!("connected is next") };
        assert_eq!(connected.event, "connected");
        assert_eq!(connected.data["status"], "connected");
        (Greeting { retry, connected }, stream)
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(other, _)| other == name).map(|(_, value)| value.as_str())
    }

    /// The next block. Panics at the end of the stream.
    pub async fn next(&mut self) -> Seen {
        match soon("something on a stream", self.seen.recv()).await {
            Some(Ok(seen)) => seen,
            other => panic!("the stream ended: {other:?}"),
        }
    }

    /// The next event other than a heartbeat.
    pub async fn message(&mut self) -> Message {
        loop {
            match self.next().await {
                Seen::Message(message) if message.event != "heartbeat" => return message,
                _ => {}
            }
        }
    }

    /// The next `count` of them.
    pub async fn messages(&mut self, count: usize) -> Vec<Message> {
        let mut messages = Vec::with_capacity(count);
        while messages.len() < count {
            messages.push(self.message().await);
        }
        messages
    }

    /// All blocks up to the end of the stream, and how it ended.
    pub async fn rest(&mut self) -> (Vec<Seen>, Ending) {
        let mut all = Vec::new();
        loop {
            match soon("the end of a stream", self.seen.recv()).await {
                Some(Ok(seen)) => all.push(seen),
                Some(Err(ending)) => return (all, ending),
                None => panic!("the reader of a stream failed"),
            }
        }
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.reading.abort();
    }
}

#[test]
fn the_parser_does_not_depend_on_read_boundaries() {
    let stream = b"retry: 3000\n\nid: e.1\nevent: pet-update\ndata: {\"a\":1}\n\nid: e.2\n\n: hi\n\ndata: {}\n\n";
    let whole = Parser::default().push(stream);
    let mut bytewise = Parser::default();
    assert_eq!(stream.iter().flat_map(|byte| bytewise.push(&[*byte])).collect::<Vec<_>>(), whole);
    let Seen::Message(last) = &whole[4] else { panic!("{whole:?}") };
    assert_eq!((last.event.as_str(), last.last_id.as_str(), last.has_id), ("message", "e.2", false));
    assert_eq!(whole[2], Seen::Id("e.2".to_owned()));
    for bad in ["id: 1\r\n\n", "event: error\ndata: {}\n\n", "retry: x\n\n", "id: e\n\n", "foo: x\n\n", "data: [1]\n\n"]
    {
        assert!(std::panic::catch_unwind(|| Parser::default().push(bad.as_bytes())).is_err(), "{bad:?}");
    }
}
