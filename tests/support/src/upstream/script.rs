//! The script of one answer: the steps that an upstream takes.

use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::Semaphore;

use crate::frames::frame;

/// A point at which a script waits for the test.
#[derive(Clone)]
pub struct Gate(Arc<Semaphore>);

impl Gate {
    /// A gate that holds every script until it is opened.
    pub fn new() -> Self {
        Self(Arc::new(Semaphore::new(0)))
    }

    /// Lets one script pass, now or when it arrives.
    pub fn open(&self) {
        self.0.add_permits(1);
    }

    pub(super) async fn pass(&self) {
        self.0.acquire().await.unwrap().forget();
    }
}

#[derive(Clone)]
pub(super) enum Step {
    Write(Bytes),
    Wait(Gate),
    Close,
    Reset,
    HalfClose,
}

/// The steps of one answer. A script that does not close keeps the connection for the next request.
#[derive(Clone, Default)]
pub struct Script {
    pub(super) steps: Vec<Step>,
}

impl Script {
    /// An empty script.
    pub fn new() -> Self {
        Self::default()
    }

    /// The head of a chunked event stream.
    pub fn stream() -> Self {
        Self::new().write(
            "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\ntransfer-encoding: chunked\r\n\r\n",
        )
    }

    /// A whole stream of these frames.
    pub fn sse<T: AsRef<str>>(frames: impl IntoIterator<Item = T>) -> Self {
        frames.into_iter().fold(Self::stream(), |script, data| script.frame(data.as_ref())).end()
    }

    /// A whole JSON answer.
    pub fn json(status: u16, body: &str) -> Self {
        Self::whole(status, "content-type: application/json\r\n", body)
    }

    /// A whole answer with these header lines, each with its line end.
    pub fn whole(status: u16, headers: &str, body: &str) -> Self {
        let length = body.len();
        Self::new().write(format!("HTTP/1.1 {status} Whatever\r\n{headers}content-length: {length}\r\n\r\n{body}"))
    }

    /// Writes any bytes.
    pub fn write(mut self, bytes: impl Into<Bytes>) -> Self {
        self.steps.push(Step::Write(bytes.into()));
        self
    }

    /// Writes one HTTP chunk.
    pub fn chunk(self, bytes: impl AsRef<[u8]>) -> Self {
        let bytes = bytes.as_ref();
        let mut chunk = format!("{:x}\r\n", bytes.len()).into_bytes();
        chunk.extend_from_slice(bytes);
        chunk.extend_from_slice(b"\r\n");
        self.write(chunk)
    }

    /// Writes each byte as an HTTP chunk of its own.
    pub fn trickle(self, bytes: impl AsRef<[u8]>) -> Self {
        let mut all = Vec::new();
        for byte in bytes.as_ref() {
            all.extend_from_slice(&[b'1', b'\r', b'\n', *byte, b'\r', b'\n']);
        }
        self.write(all)
    }

    /// Writes `data` as a frame in an HTTP chunk of its own.
    pub fn frame(self, data: &str) -> Self {
        self.chunk(frame(data))
    }

    /// Ends a chunked body.
    pub fn end(self) -> Self {
        self.write("0\r\n\r\n")
    }

    /// Waits for the test. The script ends here if the client closes meanwhile.
    pub fn wait(mut self, gate: &Gate) -> Self {
        self.steps.push(Step::Wait(gate.clone()));
        self
    }

    /// Appends the steps of `other`.
    pub fn then(mut self, other: Self) -> Self {
        self.steps.extend(other.steps);
        self
    }

    /// Closes the connection cleanly.
    pub fn close(mut self) -> Self {
        self.steps.push(Step::Close);
        self
    }

    /// Resets the connection. Bytes written right before may be lost: wait first.
    pub fn reset(mut self) -> Self {
        self.steps.push(Step::Reset);
        self
    }

    /// Closes the sending direction, and waits for the client to close.
    pub fn half_close(mut self) -> Self {
        self.steps.push(Step::HalfClose);
        self
    }
}
