//! A connection of an upstream: reads requests, writes bytes, and detects that the client closes.

use std::io::ErrorKind;
use std::mem::MaybeUninit;
use std::pin::pin;
use std::time::Duration;

use bytes::{Buf, BytesMut};
use serde::Deserialize;
use serde_json::Value;
use socket2::SockRef;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::http::find;
use crate::storm::plan::Script;

/// A write that takes longer counts as held back by its reader.
const HELD_BACK: Duration = Duration::from_millis(100);

/// The usage that a request includes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Usage {
    Nothing,
    /// At the end.
    Last,
    /// On every chunk too.
    Running,
}

/// A request with the plan that it carries.
#[derive(Debug)]
pub(super) struct PlannedRequest {
    pub(super) id: usize,
    pub(super) scripts: Vec<Script>,
    pub(super) streamed: bool,
    pub(super) usage: Usage,
    /// The prompt tokens that the server should estimate.
    pub(super) prompt: u64,
}

#[derive(Deserialize)]
struct Plan {
    id: usize,
    scripts: Vec<Script>,
}

/// A client connection.
pub(super) struct Connection {
    pub(super) tcp: TcpStream,
    buffer: BytesMut,
}

impl Connection {
    pub(super) fn new(tcp: TcpStream) -> Self {
        Self { tcp, buffer: BytesMut::new() }
    }

    /// The next request; none when the client has closed.
    pub(super) async fn request(&mut self) -> Option<PlannedRequest> {
        let end = loop {
            if let Some(at) = find(&self.buffer, b"\r\n\r\n") {
                break at + 4;
            }
            self.more().await?;
        };
        let head = String::from_utf8(self.buffer.split_to(end).to_vec()).unwrap().to_ascii_lowercase();
        let length = head.lines().find_map(|line| line.strip_prefix("content-length:"));
        let length: usize =
            length.unwrap_or_else(|| panic!("a request without length: {head}")).trim().parse().unwrap();
        while self.buffer.len() < length {
            self.more().await?;
        }
        let body: Value = serde_json::from_slice(&self.buffer[..length]).unwrap();
        self.buffer.advance(length);
        Some(request(&body))
    }

    /// Whether the client has closed already.
    pub(super) fn is_closed_by_client(&self) -> bool {
        // A system call: tokio reports it only after its driver has run.
        let next = SockRef::from(&self.tcp).peek(&mut [MaybeUninit::uninit()]);
        !matches!(next, Err(error) if error.kind() == ErrorKind::WouldBlock)
    }

    /// Reads more bytes; none when the client has closed.
    async fn more(&mut self) -> Option<()> {
        matches!(self.tcp.read_buf(&mut self.buffer).await, Ok(1..)).then_some(())
    }

    /// Writes; calls `held_back` when that takes long. None when the client has closed.
    pub(super) async fn write(&mut self, bytes: &[u8], held_back: impl FnOnce()) -> Option<()> {
        let mut write = pin!(self.tcp.write_all(bytes));
        if let Ok(written) = tokio::time::timeout(HELD_BACK, write.as_mut()).await {
            return written.ok();
        }
        held_back();
        write.await.ok()
    }

    /// Waits for `time`. None when the client closes meanwhile.
    pub(super) async fn pause(&mut self, time: Duration) -> Option<()> {
        if time.is_zero() {
            return Some(());
        }
        let mut over = pin!(tokio::time::sleep(time));
        loop {
            tokio::select! {
                () = over.as_mut() => return Some(()),
                more = self.more() => more?,
            }
        }
    }

    /// Waits until the client closes.
    pub(super) async fn wait_for_close(&mut self) {
        while self.more().await.is_some() {}
    }
}

fn request(body: &Value) -> PlannedRequest {
    let plan: Plan = serde_json::from_value(body["x_plan"].clone()).unwrap_or_else(|e| panic!("no plan ({e}): {body}"));
    let options = &body["stream_options"];
    let usage = match (options["include_usage"].as_bool(), options["continuous_usage_stats"].as_bool()) {
        (Some(true), Some(true)) => Usage::Running,
        (Some(true), _) => Usage::Last,
        _ => Usage::Nothing,
    };
    // Four tokens per message, and one per four bytes of text.
    let prompt = 4 + (body["messages"][0]["content"].as_str().map_or(0, str::len) / 4) as u64;
    PlannedRequest { id: plan.id, scripts: plan.scripts, streamed: body["stream"] == true, usage, prompt }
}
