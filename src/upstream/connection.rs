//! One HTTP/1.1 connection, driven by whoever holds it.
//!
//! It has no task and one buffer, which is there only while it holds something: a stream costs nearly nothing while its
//! upstream is silent, and what was received is passed on without a copy.

use std::io::{self, IoSlice};
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::AsyncWrite;
use tokio::net::TcpStream;
use tokio::runtime::{Handle, Id};

use super::failure::Failure;
use super::head::Head;
use super::request::Request;
use super::socket::Socket;
use super::stream::{Stream, Unread};
use crate::http::codec::buffer_pool::{self, ROOM};

/// See the module. It goes from hand to hand, so it stays in one place on the heap.
pub(super) struct Link {
    stream: Stream,
    /// Received and not yet read.
    inbox: BytesMut,
    /// What is left to send; none: all has been sent.
    outbox: Option<Unsent>,
    /// Nothing more can be sent. What the upstream had to say about that may still come.
    deaf: bool,
    /// Something was received since the last request was begun.
    heard: bool,
    /// It has carried a request before.
    used: bool,
    home: Home,
}

/// What is left of a request.
struct Unsent {
    head: Bytes,
    /// The body, or its piece that is on its way.
    body: Bytes,
    /// Its further pieces, none of them empty, the last one first.
    more: Vec<Bytes>,
}

/// The runtime that has registered a connection's socket, and hears first of what arrives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Home(Option<Id>);

impl Home {
    /// The one that runs this thread.
    pub(super) fn here() -> Self {
        Self(Handle::try_current().ok().map(|runtime| runtime.id()))
    }
}

/// A request that got no answer.
pub(super) struct Unanswered {
    pub(super) failure: Failure,
    /// The upstream has sent nothing since the request: it may not have seen it.
    pub(super) unheard: bool,
    /// No byte of the request was written: something had been received before it, or the connection was closed.
    pub(super) unsent: bool,
}

impl Link {
    /// A connection that was made on this thread's runtime.
    pub(super) fn new(stream: Stream) -> Box<Self> {
        Box::new(Self {
            stream,
            inbox: BytesMut::new(),
            outbox: None,
            deaf: false,
            heard: false,
            used: false,
            home: Home::here(),
        })
    }

    pub(super) const fn home(&self) -> Home {
        self.home
    }

    /// The same idle connection, registered here if it can be moved; none if that fails.
    pub(super) fn at_home(self: Box<Self>) -> Option<Box<Self>> {
        // What is encrypted can't be taken apart, and a handshake costs more than waking a thread.
        if self.home == Home::here() || !matches!(self.stream, Stream::Plain(_)) {
            return Some(self);
        }
        let Self { stream, inbox, outbox, deaf, heard, used, .. } = *self;
        let Stream::Plain(socket) = stream else { return None };
        // The new runtime is told of what has arrived already: an edge is reported when a socket is registered.
        let tcp = socket.into_tcp().into_std().and_then(TcpStream::from_std).ok()?;
        let stream = Stream::Plain(Socket::plain(tcp));
        Some(Box::new(Self { stream, inbox, outbox, deaf, heard, used, home: Home::here() }))
    }

    /// Sends a request and waits for the head of its answer, which may come before all has been sent.
    ///
    /// What has arrived before the request's first byte was written is never its answer: the operating system is asked
    /// right before that write, and where anything has arrived, nothing is written (`unsent`). What can't be told apart is
    /// what the upstream had sent, and the network not yet delivered, when that byte was written: HTTP/1.1 has no mark
    /// that says which request an answer belongs to.
    pub(super) async fn send(&mut self, request: Request) -> Result<Head, Unanswered> {
        self.heard = false;
        self.stream.begin();
        let mut request = Some(request);
        let head = std::future::poll_fn(|cx| {
            if let Some(request) = request.take() {
                self.begin(cx, &request);
            }
            self.poll_head(cx)
        });
        let head = head.await;
        self.used = true;
        head.map_err(|failure| Unanswered { failure, unheard: !self.heard, unsent: !self.stream.has_written() })
    }

    fn poll_head(&mut self, cx: &mut Context<'_>) -> Poll<Result<Head, Failure>> {
        loop {
            let before = self.inbox.len();
            match ready!(self.poll_receive(cx)) {
                Ok(true) => {}
                Ok(false) | Err(_) => return Poll::Ready(Err(Failure::Closed)),
            }
            // A head can't end before a line does: one that comes byte by byte is not looked at for each.
            if memchr::memchr(b'\n', &self.inbox[before..]).is_some() || self.inbox.len() > ROOM {
                match Head::take(&mut self.inbox) {
                    Ok(None) => {}
                    Ok(Some(head)) => return Poll::Ready(Ok(head)),
                    Err(failure) => return Poll::Ready(Err(failure)),
                }
            }
        }
    }

    /// Receives more, and sends what is left to send; false at the end of what the upstream sends.
    pub(super) fn poll_receive(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<bool>> {
        self.poll_send(cx);
        if !self.stream.has_written() {
            // Whatever there is to read, it is no answer.
            return if self.deaf { Poll::Ready(Err(io::ErrorKind::NotConnected.into())) } else { Poll::Pending };
        }
        let received = self.poll_fill(cx);
        if received.is_pending() {
            buffer_pool::give_up(&mut self.inbox);
        }
        received
    }

    fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<bool>> {
        ready!(self.stream.poll_readable(cx))?;
        buffer_pool::make(&mut self.inbox);
        let count = ready!(tokio_util::io::poll_read_buf(Pin::new(&mut self.stream), cx, &mut self.inbox))?;
        self.heard |= count > 0;
        Poll::Ready(Ok(count > 0))
    }

    /// Sends a request as far as it goes at once, which is nearly always to its end: only what is left has to be kept.
    fn begin(&mut self, cx: &mut Context<'_>, request: &Request) {
        let Request { begin, rest, more } = request;
        let count = match self.poll_write(cx, begin, rest) {
            Poll::Ready(Ok(count)) if count > 0 => count,
            Poll::Ready(_) => {
                self.deaf = true;
                return;
            }
            Poll::Pending => 0,
        };
        let of_begin = count.min(begin.len());
        self.outbox = Some(Unsent {
            head: Bytes::copy_from_slice(&begin[of_begin..]),
            body: rest.slice(count - of_begin..),
            more: more.clone(),
        });
        self.poll_send(cx);
    }

    /// Writes both, one after the other, as far as they go.
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
            // At once, behind the look at what has arrived: not when the task's budget allows it again.
            pin!(tokio::task::unconstrained(std::future::poll_fn(write))).poll(cx)
        } else {
            pin!(std::future::poll_fn(write)).poll(cx)
        }
    }

    /// Sends as much as goes.
    fn poll_send(&mut self, cx: &mut Context<'_>) {
        if self.deaf {
            return;
        }
        let Some(Unsent { mut head, mut body, mut more }) = self.outbox.take() else { return };
        loop {
            if body.is_empty() {
                body = more.pop().unwrap_or_default();
            }
            let sent = if head.is_empty() && body.is_empty() {
                match Pin::new(&mut self.stream).poll_flush(cx) {
                    // Gives the body's memory back, too.
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
                    self.deaf = true;
                    break;
                }
                Poll::Pending => break,
            }
        }
        self.outbox = Some(Unsent { head, body, more });
    }

    /// Received and not yet read.
    pub(super) const fn inbox(&mut self) -> &mut BytesMut {
        &mut self.inbox
    }

    /// Whether another request can be sent: nothing is left of the last one, and the upstream has neither sent anything
    /// since nor closed the connection, as far as the operating system knows at this moment.
    pub(super) fn is_usable(&mut self) -> bool {
        !self.deaf && self.outbox.is_none() && self.inbox.is_empty() && self.is_clean()
    }

    /// Whether nothing has arrived that belongs to no request. The session tickets of a new TLS connection may still be on
    /// their way: no answer can stand behind their beginning, since nothing was asked before.
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
