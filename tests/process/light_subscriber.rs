//! A subscriber with little overhead, for tests with a thousand of them.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use test_support::soon;

/// The data read from a stream.
#[derive(Debug, Default)]
pub(crate) struct Visit {
    /// Whether it was resumed; none before the `connected` event.
    pub(crate) resumed: Option<bool>,
    /// The numbers of its events.
    pub(crate) events: Vec<u64>,
    /// The `prev` of each event.
    pub(crate) before: Vec<u64>,
    /// The last event id.
    pub(crate) cursor: String,
    /// The last `retry`.
    pub(crate) retry: Duration,
    /// Whether `retry` was the last block.
    pub(crate) farewell: bool,
    /// When it ended cleanly.
    pub(crate) ended: Option<Instant>,
}

/// An open stream. Dropping it closes its connection.
pub(crate) struct Reader {
    stream: TcpStream,
    /// Bytes of an unfinished block.
    raw: Vec<u8>,
    pub(crate) visit: Visit,
}

impl Reader {
    /// Requests all pet events after `cursor`; none where no server listens.
    pub(crate) async fn open(server: SocketAddr, cursor: &str) -> Option<Self> {
        let mut stream = soon("a connection", TcpStream::connect(server)).await.ok()?;
        let head = "GET /api/events/pets HTTP/1.1\r\nhost: localhost\r\naccept: text/event-stream\r\n";
        stream.write_all(format!("{head}last-event-id: {cursor}\r\n\r\n").as_bytes()).await.ok()?;
        let visit = Visit { cursor: cursor.to_owned(), ..Visit::default() };
        Some(Self { stream, raw: Vec::new(), visit })
    }

    /// Reads until `enough` accepts it, or to the end.
    pub(crate) async fn read(&mut self, enough: impl Fn(&Visit) -> bool) {
        while !enough(&self.visit) && self.visit.ended.is_none() {
            let read = soon("bytes of a stream", self.stream.read_buf(&mut self.raw)).await;
            assert!(matches!(read, Ok(1..)), "cut: {:?}", self.visit);
            while let Some(at) = self.raw.windows(2).position(|pair| pair == b"\n\n") {
                let block: Vec<u8> = self.raw.drain(..at + 2).collect();
                self.block(std::str::from_utf8(&block).unwrap());
            }
            // The last chunk.
            if self.raw.ends_with(b"\r\n0\r\n\r\n") {
                self.visit.ended = Some(Instant::now());
            }
        }
    }

    /// Reads a block, and skips the lines of the chunked encoding in it.
    fn block(&mut self, block: &str) {
        let visit = &mut self.visit;
        visit.farewell = false;
        let mut lines = block.lines();
        let data = |name: &str, data: &str| {
            let at = data.find(&format!("\"{name}\":"))? + name.len() + 3;
            let value = &data[at..];
            Some(value[..value.find([',', '}'])?].to_owned())
        };
        let mut event = "";
        while let Some((field, value)) = lines.by_ref().find_map(|line| line.split_once(": ")) {
            match field {
                "retry" => {
                    visit.retry = Duration::from_millis(value.parse().unwrap());
                    visit.farewell = true;
                }
                "id" => value.clone_into(&mut visit.cursor),
                "event" => event = value,
                "data" if event == "connected" => visit.resumed = data("resumed", value).map(|value| value == "true"),
                "data" if event.starts_with("pet-") => {
                    visit.events.push(visit.cursor.split_once('.').unwrap().1.parse().unwrap());
                    visit.before.push(data("prev", value).unwrap().parse().unwrap());
                }
                _ => {}
            }
        }
        assert_ne!(event, "stream-reset", "{block}");
    }
}
