//! Received bytes that have not been parsed yet.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes, BytesMut};
use http::StatusCode;

use super::request_head::{RequestHead, TargetCache};
use super::socket::Socket;
use crate::http::codec::buffer_pool;

/// Bodies of up to this many bytes are copied, so that the buffer can be used again at once. Bodies in a buffer that is much
/// larger than usual are copied too.
const COPY_THRESHOLD: usize = 2 * 1024;

#[derive(Debug, Default)]
pub(super) struct ReadBuffer {
    buffer: BytesMut,
    /// How much of it was searched for the end of a head.
    scanned: usize,
    targets: TargetCache,
}

impl ReadBuffer {
    pub(super) fn is_empty(&self) -> bool {
        self.buffer.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.buffer.len()
    }

    /// Discards everything.
    pub(super) fn clear(&mut self) {
        self.buffer.clear();
        self.scanned = 0;
    }

    /// For the decoder of a body.
    pub(super) const fn buffer(&mut self) -> &mut BytesMut {
        &mut self.buffer
    }

    /// Takes a head of at most `max` bytes. None while it is incomplete.
    ///
    /// # Errors
    /// The status with which the request is refused.
    pub(super) fn take_head(&mut self, max: usize) -> Result<Option<RequestHead>, StatusCode> {
        self.skip_empty_lines();
        // A head ends with a line: one that comes byte by byte is not parsed for each byte.
        let line = memchr::memchr(b'\n', &self.buffer[self.scanned..]).is_some();
        let head = if line || self.buffer.len() > max {
            RequestHead::take(&mut self.buffer, max, &mut self.targets)?
        } else {
            None
        };
        self.scanned = if head.is_some() { 0 } else { self.buffer.len() };
        Ok(head)
    }

    /// Empty lines before a head are ignored (RFC 9112, section 2.2).
    pub(super) fn skip_empty_lines(&mut self) {
        let empty =
            |buffer: &BytesMut| [&b"\r\n"[..], b"\n"].into_iter().find(|end| buffer.starts_with(end)).map(<[u8]>::len);
        while let Some(length) = empty(&self.buffer) {
            self.buffer.advance(length);
            self.scanned = 0;
        }
    }

    /// Takes `length` bytes, if they are all there.
    pub(super) fn take(&mut self, length: u64) -> Option<Bytes> {
        let length = usize::try_from(length).ok().filter(|length| *length <= self.buffer.len())?;
        if length <= COPY_THRESHOLD || self.buffer.capacity() > buffer_pool::MAX_BUFFER_SIZE {
            let bytes = Bytes::copy_from_slice(&self.buffer[..length]);
            self.buffer.advance(length);
            return Some(bytes);
        }
        let all = length == self.buffer.len();
        let bytes = if all { std::mem::take(&mut self.buffer) } else { self.buffer.split_to(length) };
        Some(bytes.freeze())
    }

    /// Receives more. False at the end of the stream.
    pub(super) fn poll_receive(&mut self, io: &mut impl Socket, cx: &mut Context<'_>) -> Poll<io::Result<bool>> {
        let received = self.poll_fill(io, cx);
        if received.is_pending() {
            buffer_pool::release(&mut self.buffer);
        }
        received
    }

    fn poll_fill(&mut self, io: &mut impl Socket, cx: &mut Context<'_>) -> Poll<io::Result<bool>> {
        ready!(io.poll_readable(cx))?;
        buffer_pool::reserve(&mut self.buffer);
        let received = tokio_util::io::poll_read_buf(Pin::new(io), cx, &mut self.buffer);
        received.map_ok(|count| count > 0)
    }
}
