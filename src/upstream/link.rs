//! One HTTP/1.1 connection, driven by whoever holds it.
//!
//! It has no task and one buffer, which is there only while it holds something: a stream costs nearly nothing while its
//! upstream is silent, and what was received is passed on without a copy.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, Waker, ready};

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::AsyncWrite;
use tokio::net::TcpStream;
use tokio::runtime::{Handle, Id};

use super::failure::Failure;
use super::head::Head;
use super::request::Request;
use super::stream::Stream;
use crate::http1::room::{self, ROOM};

/// See the module. It goes from hand to hand, so it stays in one place on the heap.
pub(super) struct Link {
    stream: Stream,
    /// Received and not yet read.
    inbox: BytesMut,
    /// What is left to send, in two pieces; none: all has been sent.
    outbox: Option<[Bytes; 2]>,
    /// Nothing more can be sent. What the upstream had to say about that may still come.
    deaf: bool,
    /// Something was received since the last request was begun.
    heard: bool,
    home: Home,
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
}

impl Link {
    /// A connection that was made on this thread's runtime.
    pub(super) fn new(stream: Stream) -> Box<Self> {
        Box::new(Self { stream, inbox: BytesMut::new(), outbox: None, deaf: false, heard: false, home: Home::here() })
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
        let Stream::Plain(tcp) = self.stream else { return None };
        let tcp = tcp.into_std().and_then(TcpStream::from_std).ok()?;
        Some(Self::new(Stream::Plain(tcp)))
    }

    /// Sends a request and waits for the head of its answer, which may come before all has been sent.
    pub(super) async fn send(&mut self, request: Request) -> Result<Head, Unanswered> {
        self.heard = false;
        let mut request = Some(request);
        let head = std::future::poll_fn(|cx| {
            if let Some(request) = request.take() {
                self.begin(cx, &request);
            }
            self.poll_head(cx)
        });
        let head = head.await;
        head.map_err(|failure| Unanswered { failure, unheard: !self.heard })
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
        let received = self.poll_fill(cx);
        if received.is_pending() {
            room::give_up(&mut self.inbox);
        }
        received
    }

    fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<bool>> {
        ready!(self.stream.poll_readable(cx))?;
        room::make(&mut self.inbox);
        let count = ready!(tokio_util::io::poll_read_buf(Pin::new(&mut self.stream), cx, &mut self.inbox))?;
        self.heard |= count > 0;
        Poll::Ready(Ok(count > 0))
    }

    /// Sends a request as far as it goes at once, which is nearly always to its end: only what is left has to be kept.
    fn begin(&mut self, cx: &mut Context<'_>, request: &Request) {
        let Request { begin, rest } = request;
        let stream = Pin::new(&mut self.stream);
        let sent = if rest.is_empty() {
            stream.poll_write(cx, begin)
        } else {
            stream.poll_write_vectored(cx, &[IoSlice::new(begin), IoSlice::new(rest)])
        };
        let count = match sent {
            Poll::Ready(Ok(count)) if count > 0 => count,
            Poll::Ready(_) => {
                self.deaf = true;
                return;
            }
            Poll::Pending => 0,
        };
        let of_begin = count.min(begin.len());
        self.outbox = Some([Bytes::copy_from_slice(&begin[of_begin..]), rest.slice(count - of_begin..)]);
        self.poll_send(cx);
    }

    /// Sends as much as goes.
    fn poll_send(&mut self, cx: &mut Context<'_>) {
        if self.deaf {
            return;
        }
        let Some([head, body]) = &mut self.outbox else { return };
        loop {
            let stream = Pin::new(&mut self.stream);
            let sent = if head.is_empty() && body.is_empty() {
                match stream.poll_flush(cx) {
                    Poll::Ready(Ok(())) => {
                        // Gives the body's memory back, too.
                        self.outbox = None;
                        return;
                    }
                    flushed => flushed.map_ok(|()| 0),
                }
            } else {
                stream.poll_write_vectored(cx, &[IoSlice::new(head), IoSlice::new(body)])
            };
            match sent {
                Poll::Ready(Ok(count)) if count > 0 => {
                    let of_head = count.min(head.len());
                    head.advance(of_head);
                    body.advance(count - of_head);
                }
                Poll::Ready(_) => {
                    self.deaf = true;
                    return;
                }
                Poll::Pending => return,
            }
        }
    }

    /// Received and not yet read.
    pub(super) const fn inbox(&mut self) -> &mut BytesMut {
        &mut self.inbox
    }

    /// Whether another request can be sent; looks at the socket, so that a connection which the upstream has closed
    /// meanwhile is noticed.
    pub(super) fn is_usable(&mut self) -> bool {
        if self.deaf || self.outbox.is_some() || !self.inbox.is_empty() {
            return false;
        }
        // Nobody waits: the next look is at the next check-out or sweep. Whatever there is, nobody asked for it.
        self.poll_receive(&mut Context::from_waker(Waker::noop())).is_pending()
    }
}
