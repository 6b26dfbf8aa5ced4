//! What has been received and not been read yet.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes, BytesMut};
use http::StatusCode;

use super::request_head::{RequestHead, TargetCache};
use super::socket::Socket;
use crate::http::codec::buffer_pool;

/// Bodies up to this are copied: the buffer that they came in is used again at once. So are those that came in a buffer
/// which is much larger than they are.
const COPY_THRESHOLD: usize = 2 * 1024;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct ReadBuffer {
    buffer: BytesMut,
    /// How much of it has been looked at in vain.
    looked: usize,
    targets: TargetCache,
}

impl ReadBuffer {
    pub(super) fn is_empty(&self) -> bool {
        self.buffer.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.buffer.len()
    }

    /// Throws away what has been received.
    pub(super) fn clear(&mut self) {
        self.buffer.clear();
        self.looked = 0;
    }

    /// For whoever reads a body.
    pub(super) const fn buffer(&mut self) -> &mut BytesMut {
        &mut self.buffer
    }

    /// Takes a head of at most `most` bytes; none while it is not all there.
    ///
    /// # Errors
    /// The status that says what is wrong with it.
    pub(super) fn take_head(&mut self, most: usize) -> Result<Option<RequestHead>, StatusCode> {
        self.pass_over_empty_lines();
        // A head can't end before a line does: one that comes byte by byte is not looked at for each.
        let line = memchr::memchr(b'\n', &self.buffer[self.looked..]).is_some();
        let head = if line || self.buffer.len() > most {
            RequestHead::take(&mut self.buffer, most, &mut self.targets)?
        } else {
            None
        };
        self.looked = if head.is_some() { 0 } else { self.buffer.len() };
        Ok(head)
    }

    /// Those before a head are no part of it (RFC 9112, section 2.2).
    pub(super) fn pass_over_empty_lines(&mut self) {
        let empty =
            |buffer: &BytesMut| [&b"\r\n"[..], b"\n"].into_iter().find(|end| buffer.starts_with(end)).map(<[u8]>::len);
        while let Some(length) = empty(&self.buffer) {
            self.buffer.advance(length);
            self.looked = 0;
        }
    }

    /// Takes so many bytes, if they are all there.
    pub(super) fn take(&mut self, length: u64) -> Option<Bytes> {
        let length = usize::try_from(length).ok().filter(|length| *length <= self.buffer.len())?;
        if length <= COPY_THRESHOLD || self.buffer.capacity() > buffer_pool::MAX_ROOM {
            let bytes = Bytes::copy_from_slice(&self.buffer[..length]);
            self.buffer.advance(length);
            return Some(bytes);
        }
        let all = length == self.buffer.len();
        let bytes = if all { std::mem::take(&mut self.buffer) } else { self.buffer.split_to(length) };
        Some(bytes.freeze())
    }

    /// Receives more; false at the end of what comes from `io`.
    pub(super) fn poll_receive(&mut self, io: &mut impl Socket, cx: &mut Context<'_>) -> Poll<io::Result<bool>> {
        let received = self.poll_fill(io, cx);
        if received.is_pending() {
            buffer_pool::give_up(&mut self.buffer);
        }
        received
    }

    fn poll_fill(&mut self, io: &mut impl Socket, cx: &mut Context<'_>) -> Poll<io::Result<bool>> {
        ready!(io.poll_readable(cx))?;
        buffer_pool::make(&mut self.buffer);
        let received = tokio_util::io::poll_read_buf(Pin::new(io), cx, &mut self.buffer);
        received.map_ok(|count| count > 0)
    }
}
