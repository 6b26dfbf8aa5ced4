//! A request as it goes over the wire: in one buffer, unless its body is long.

use bytes::{Bytes, BytesMut};

use crate::http::codec::buffer_pool;

/// Bodies up to this many bytes are copied behind their head: one write of one buffer costs less than one of two.
const COPY_THRESHOLD: usize = 4 * 1024;

/// The bytes of a request. It is built right before it is sent, in a buffer from the thread's pool that goes back when
/// the request is dropped.
pub struct Request {
    /// The head, and a body that is short.
    pub(super) head: BytesMut,
    /// A body that is not, or its first piece.
    pub(super) body: Bytes,
    /// Its further pieces, the last one first.
    pub(super) more: Vec<Bytes>,
}

impl Request {
    /// A request without a body. `write_head` appends the request line, the headers and the empty line behind them. A
    /// body needs a `content-length` among the headers.
    #[must_use]
    pub fn new(write_head: impl FnOnce(&mut BytesMut)) -> Self {
        let mut head = BytesMut::new();
        buffer_pool::reserve(&mut head);
        write_head(&mut head);
        Self { head, body: Bytes::new(), more: Vec::new() }
    }

    /// Sets the body.
    #[must_use]
    pub fn body(mut self, body: &Bytes) -> Self {
        if body.len() > COPY_THRESHOLD {
            self.body = body.clone();
        } else {
            self.head.extend_from_slice(body);
        }
        self
    }

    /// Sets the body, in several pieces; none may be empty.
    #[must_use]
    pub fn body_pieces(mut self, pieces: &[Bytes]) -> Self {
        self.more.extend(pieces.iter().rev().cloned());
        self.body = self.more.pop().unwrap_or_default();
        self
    }
}

impl Drop for Request {
    fn drop(&mut self) {
        self.head.clear();
        buffer_pool::release(&mut self.head);
    }
}
