//! One HTTP/1.1 connection, polled by the code that waits for a response or reads its body.
//!
//! It has no task, and one read buffer that exists only while it holds something: a stream costs nearly nothing while
//! the server is silent, and received data is passed on without a copy.

use std::io::{self, IoSlice};
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes, BytesMut};
use http::StatusCode;
use httparse::Header;
use tokio::io::AsyncWrite;
use tokio::runtime::{Handle, Id};

use super::error::Error;
use super::request::Request;
use super::response_head::ResponseHead;
use super::stream::{Stream, Unread};
use crate::http::codec::buffer_pool::{self, BUFFER_SIZE};

/// See the module. It is boxed by its owners: it moves between the pool, the exchange and the body.
pub(super) struct Connection {
    stream: Stream,
    /// Received and not yet read.
    read_buffer: BytesMut,
    /// The rest of the request; none: all of it was sent.
    unsent: Option<Unsent>,
    /// Writing failed: nothing more can be sent. An early response may still come.
    write_closed: bool,
    /// Something was received since the last request was begun.
    received_any: bool,
    /// It has carried a request before.
    used: bool,
    runtime: RuntimeId,
}

/// The rest of a request.
struct Unsent {
    head: Bytes,
    /// The body, or its piece that is being sent.
    body: Bytes,
    /// Its further pieces, none of them empty, the last one first.
    more: Vec<Bytes>,
}

/// The runtime that a connection's socket is registered with: its thread is woken first by what arrives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct RuntimeId(Option<Id>);

impl RuntimeId {
    pub(super) fn current() -> Self {
        Self(Handle::try_current().ok().map(|runtime| runtime.id()))
    }
}

/// A request without a response.
pub(super) struct SendError {
    pub(super) error: Error,
    /// The server has sent nothing since the request: it may not have seen it.
    pub(super) safe_to_retry: bool,
    /// No byte of the request was written: something had been received before it, or the connection was closed.
    pub(super) unsent: bool,
}

impl Connection {
    /// A connection whose socket is registered with the current runtime.
    pub(super) fn new(stream: Stream) -> Box<Self> {
        Box::new(Self {
            stream,
            read_buffer: BytesMut::new(),
            unsent: None,
            write_closed: false,
            received_any: false,
            used: false,
            runtime: RuntimeId::current(),
        })
    }

    pub(super) const fn runtime(&self) -> RuntimeId {
        self.runtime
    }

    /// This idle connection, registered with the current runtime if it can be moved. None if that fails.
    pub(super) fn move_here(self: Box<Self>) -> Option<Box<Self>> {
        // A TLS stream can't be taken apart, and a handshake costs more than to wake a thread.
        if self.runtime == RuntimeId::current() || !matches!(self.stream, Stream::Plain(_)) {
            return Some(self);
        }
        let Self { stream, read_buffer, unsent, write_closed, received_any, used, .. } = *self;
        let Stream::Plain(socket) = stream else { return None };
        let (stream, runtime) = (Stream::Plain(socket.move_here().ok()?), RuntimeId::current());
        Some(Box::new(Self { stream, read_buffer, unsent, write_closed, received_any, used, runtime }))
    }

    /// Sends a request and waits for the head of its response, which may come before all has been sent.
    ///
    /// Bytes that arrived before the first byte of the request was written are never its response: unread bytes are
    /// looked for by a system call right before that write, and if there are any, nothing is written (`unsent`). Bytes
    /// that were still in the network then can't be detected: HTTP/1.1 does not mark which request a response belongs
    /// to.
    pub(super) async fn send<H>(
        &mut self,
        request: Request,
        read_headers: &impl Fn(StatusCode, &[Header<'_>]) -> H,
    ) -> Result<ResponseHead<H>, SendError> {
        self.received_any = false;
        self.stream.begin_message();
        let mut request = Some(request);
        let head = std::future::poll_fn(|cx| {
            if let Some(request) = request.take() {
                self.begin(cx, &request);
            }
            self.poll_head(cx, read_headers)
        });
        let head = head.await;
        self.used = true;
        head.map_err(|error| SendError { error, safe_to_retry: !self.received_any, unsent: !self.stream.has_written() })
    }

    fn poll_head<H>(
        &mut self,
        cx: &mut Context<'_>,
        read_headers: &impl Fn(StatusCode, &[Header<'_>]) -> H,
    ) -> Poll<Result<ResponseHead<H>, Error>> {
        loop {
            let before = self.read_buffer.len();
            match ready!(self.poll_receive(cx)) {
                Ok(true) => {}
                Ok(false) | Err(_) => return Poll::Ready(Err(Error::ClosedBeforeHead)),
            }
            // A head ends with a line: one that comes byte by byte is not parsed for each byte.
            if memchr::memchr(b'\n', &self.read_buffer[before..]).is_some() || self.read_buffer.len() > BUFFER_SIZE {
                match ResponseHead::take(&mut self.read_buffer, read_headers) {
                    Ok(None) => {}
                    Ok(Some(head)) => return Poll::Ready(Ok(head)),
                    Err(error) => return Poll::Ready(Err(error)),
                }
            }
        }
    }

    /// Receives more, and sends what is left to send. False at the end of the stream.
    pub(super) fn poll_receive(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<bool>> {
        self.poll_send(cx);
        if !self.stream.has_written() {
            // Unread bytes are not a response to this request.
            return if self.write_closed {
                Poll::Ready(Err(io::ErrorKind::NotConnected.into()))
            } else {
                Poll::Pending
            };
        }
        let received = self.poll_fill(cx);
        if received.is_pending() {
            buffer_pool::release(&mut self.read_buffer);
        }
        received
    }

    fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<bool>> {
        ready!(self.stream.poll_readable(cx))?;
        buffer_pool::reserve(&mut self.read_buffer);
        let count = ready!(tokio_util::io::poll_read_buf(Pin::new(&mut self.stream), cx, &mut self.read_buffer))?;
        self.received_any |= count > 0;
        Poll::Ready(Ok(count > 0))
    }

    /// Sends as much of a request as the socket takes at once, nearly always all of it. Only what is left has to be
    /// kept.
    fn begin(&mut self, cx: &mut Context<'_>, request: &Request) {
        let Request { head, body, more } = request;
        let count = match self.poll_write(cx, head, body) {
            Poll::Ready(Ok(count)) if count > 0 => count,
            Poll::Ready(_) => {
                self.write_closed = true;
                return;
            }
            Poll::Pending => 0,
        };
        let of_head = count.min(head.len());
        self.unsent = Some(Unsent {
            head: Bytes::copy_from_slice(&head[of_head..]),
            body: body.slice(count - of_head..),
            more: more.clone(),
        });
        self.poll_send(cx);
    }

    /// Writes as much of both, one behind the other, as the socket takes.
    fn poll_write(&mut self, cx: &mut Context<'_>, head: &[u8], body: &[u8]) -> Poll<io::Result<usize>> {
        let is_first = !self.stream.has_written();
        if is_first && !self.is_clean() {
            return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
        }
        let stream = &mut self.stream;
        let write = |cx: &mut Context<'_>| {
            let stream = Pin::new(&mut *stream);
            if body.is_empty() {
                return stream.poll_write(cx, head);
            }
            stream.poll_write_vectored(cx, &[IoSlice::new(head), IoSlice::new(body)])
        };
        if is_first {
            // At once behind the check, and not when the task's cooperative budget allows it again.
            pin!(tokio::task::unconstrained(std::future::poll_fn(write))).poll(cx)
        } else {
            pin!(std::future::poll_fn(write)).poll(cx)
        }
    }

    /// Sends as much of what is left as the socket takes.
    fn poll_send(&mut self, cx: &mut Context<'_>) {
        if self.write_closed {
            return;
        }
        let Some(Unsent { mut head, mut body, mut more }) = self.unsent.take() else { return };
        loop {
            if body.is_empty() {
                body = more.pop().unwrap_or_default();
            }
            let sent = if head.is_empty() && body.is_empty() {
                match Pin::new(&mut self.stream).poll_flush(cx) {
                    // This also frees the body.
                    Poll::Ready(Ok(())) => return,
                    flushed => flushed.map_ok(|()| 0),
                }
            } else {
                self.poll_write(cx, &head, &body)
            };
            match sent {
                Poll::Ready(Ok(count)) if count > 0 => {
                    let of_head = count.min(head.len());
                    head.advance(of_head);
                    body.advance(count - of_head);
                }
                Poll::Ready(_) => {
                    self.write_closed = true;
                    break;
                }
                Poll::Pending => break,
            }
        }
        self.unsent = Some(Unsent { head, body, more });
    }

    /// Received and not yet read.
    pub(super) const fn read_buffer(&mut self) -> &mut BytesMut {
        &mut self.read_buffer
    }

    /// Whether another request can be sent: nothing is left of the last one, and according to the operating system the
    /// server has neither sent anything since nor closed the connection.
    pub(super) fn is_usable(&mut self) -> bool {
        self.is_done() && self.is_clean()
    }

    /// Whether nothing is left of the last request and its response, as far as they were received.
    pub(super) fn is_done(&self) -> bool {
        !self.write_closed && self.unsent.is_none() && self.read_buffer.is_empty()
    }

    /// Whether nothing has arrived that belongs to no request. The session tickets of a new TLS connection may still be
    /// arriving: there can be no response behind them, since there was no request.
    fn is_clean(&mut self) -> bool {
        match self.stream.unread() {
            Unread::Nothing => true,
            Unread::PartOfRecord => !self.used,
            Unread::Something => false,
        }
    }
}

#[cfg(test)]
mod tests;
