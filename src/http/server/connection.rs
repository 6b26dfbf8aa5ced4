//! One HTTP/1.1 connection: reads requests, calls the service, and writes the responses, one after the other.

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body::Body;
use tokio::time::Instant;

use super::read_buffer::ReadBuffer;
use super::refusal::{EngineRefusal, Refuser};
use super::request_body::{BodySender, Fed, RequestBody};
use super::request_head::{RequestHead, ResponseContext};
use super::response_head::{self, BodyEncoder};
use super::socket::Socket;
use super::write_buffer::WriteBuffer;
use crate::http::codec::{BodyDecoder, Decoded};
use crate::time::TaskTimer;

/// Timeout of the head of a request that has not been received when the connection is asked to finish.
const FINAL_HEAD_TIMEOUT: Duration = Duration::from_secs(1);
/// As above, for the next request of a connection that is idle. Proxies send requests on idle connections without a
/// look at them, and do not repeat a POST: one that is in use gets its next request within this time, and learns from
/// its response that it was the last.
const FINAL_IDLE_TIMEOUT: Duration = Duration::from_millis(250);
/// Most steps of one poll, so that a client that pipelines requests, or sends a body byte by byte, does not starve
/// other connections.
const MAX_STEPS_PER_POLL: usize = 64;
/// Most bytes that are buffered behind a request before its response is sent.
const MAX_READ_AHEAD: usize = 16 * 1024;
/// Most bytes of an unread request body that are skipped so that the connection can be reused.
const MAX_SKIPPED_BODY: u64 = 64 * 1024;

/// The limits of a connection.
#[derive(Clone, Copy, Debug)]
pub struct ConnectionOptions {
    /// Longest head of a request, bytes.
    pub head: usize,
    /// Timeout of the first head; `idle` if that is shorter.
    pub first_head: Duration,
    /// Timeout of each further head, from the end of the previous response on.
    pub idle: Duration,
    /// Age of the connection from which on its responses close it; none: it may get any age.
    pub age: Option<Duration>,
}

/// A connection. A future that serves it, and is ready when it is closed.
pub struct Connection<I, S, F, B> {
    io: I,
    service: S,
    refuser: Refuser<B>,
    options: ConnectionOptions,
    state: State<F, B>,
    read_buffer: ReadBuffer,
    write_buffer: WriteBuffer,
    /// The rest of the request's body, until it is complete.
    body_sender: Option<BodySender>,
    /// The client waits for `100 Continue`, which has not been sent.
    expects_continue: bool,
    /// Another request may follow.
    keep_alive: bool,
    /// At least one request has been received.
    received_request: bool,
    /// The client has closed its side.
    read_closed: bool,
    /// When the head of the next request must be complete.
    head_deadline: Instant,
    /// From then on, a response closes the connection.
    reuse_until: Option<Instant>,
    timer: TaskTimer,
}

enum State<F, B> {
    /// Waiting for a request, or receiving its head.
    ReadingHead,
    /// The service is working on the response.
    Calling(F, ResponseContext),
    /// Sending the response.
    Sending(B, BodyEncoder),
    /// The response is complete, and its last bytes are in the write buffer. The body has been dropped: its effects are
    /// visible to a client that has received the last byte.
    Flushing,
    /// Skipping the rest of the request's body.
    SkippingBody(BodyDecoder),
    /// Flushing the write buffer, then closing. `unread`: the client may still be sending.
    Closing { unread: bool },
}

impl<I, S, F, B> Connection<I, S, F, B>
where
    I: Socket,
    S: FnMut(Request<RequestBody>) -> F,
    F: Future<Output = Result<Response<B>, Infallible>> + Unpin,
    B: Body<Data = Bytes> + Unpin,
{
    /// Serves `io` with `service`; `refuser` renders the responses to invalid requests. The connection polls the
    /// service's futures and the bodies of its responses with its own waker, so all of them may share `timer`, and the
    /// time of its polls.
    pub fn new(io: I, options: ConnectionOptions, timer: TaskTimer, service: S, refuser: Refuser<B>) -> Self {
        let now = Instant::now();
        Self {
            io,
            service,
            refuser,
            options,
            state: State::ReadingHead,
            read_buffer: ReadBuffer::default(),
            write_buffer: WriteBuffer::default(),
            body_sender: None,
            expects_continue: false,
            keep_alive: true,
            received_request: false,
            read_closed: false,
            head_deadline: now + options.first_head.min(options.idle),
            reuse_until: options.age.map(|age| now + age),
            timer,
        }
    }

    /// Closes the connection after the current response, or soon if there is none. The connection must be polled
    /// afterwards.
    pub fn finish(&mut self) {
        self.keep_alive = false;
        match self.state {
            // A request may be in transit.
            State::ReadingHead => {
                let is_idle = self.received_request && self.read_buffer.is_empty();
                let timeout = if is_idle { FINAL_IDLE_TIMEOUT } else { FINAL_HEAD_TIMEOUT };
                self.head_deadline = self.head_deadline.min(Instant::now() + timeout);
            }
            State::SkippingBody(_) => self.state = State::Closing { unread: true },
            _ => {}
        }
    }

    /// Makes one step. False when the connection is closed.
    fn poll_step(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<bool>> {
        match &mut self.state {
            State::ReadingHead => self.poll_request(cx),
            State::Calling(response, context) => match Pin::new(response).poll(cx) {
                Poll::Ready(Ok(response)) => {
                    let context = *context;
                    self.begin_response(response, context);
                    Poll::Ready(Ok(true))
                }
                Poll::Pending => self.poll_request_body(cx).map_ok(|()| true),
            },
            State::Sending(..) => self.poll_send_body(cx).map_ok(|()| true),
            State::Flushing => self.poll_flush_response(cx).map_ok(|()| true),
            State::SkippingBody(_) => self.poll_skip_body(cx),
            State::Closing { unread } => {
                ready!(self.write_buffer.poll_flush(&mut self.io, cx))?;
                self.io.poll_close(cx, *unread).map_ok(|()| false)
            }
        }
    }

    /// Receives the next request and calls the service. False when the client has closed the connection.
    fn poll_request(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<bool>> {
        loop {
            match self.read_buffer.take_head(self.options.head) {
                Ok(Some(head)) => {
                    self.call(head);
                    return Poll::Ready(Ok(true));
                }
                Ok(None) => {}
                Err(status) => {
                    self.refuse(status);
                    return Poll::Ready(Ok(true));
                }
            }
            match self.read_buffer.poll_receive(&mut self.io, cx) {
                Poll::Ready(Ok(true)) => {}
                Poll::Ready(Ok(false)) => return Poll::Ready(Ok(false)),
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending => {
                    ready!(self.poll_head_timeout(cx));
                    return Poll::Ready(Ok(true));
                }
            }
        }
    }

    /// Ready when the deadline of the next request's head has passed: a part of a head is refused, an idle connection is
    /// closed without a response.
    fn poll_head_timeout(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        ready!(self.timer.poll_at(cx, self.head_deadline));
        if self.read_buffer.is_empty() {
            self.state = State::Closing { unread: false };
        } else {
            self.refuse(StatusCode::REQUEST_TIMEOUT);
        }
        Poll::Ready(())
    }

    fn call(&mut self, head: RequestHead) {
        let RequestHead { request, decoder, context, keep_alive, expects_continue } = head;
        self.received_request = true;
        self.keep_alive &= keep_alive;
        let body = self.request_body(decoder);
        self.expects_continue = expects_continue && self.body_sender.is_some();
        self.state = State::Calling((self.service)(request.map(|()| body)), context);
    }

    /// Creates the body of the request, which has nearly always been received with the head.
    fn request_body(&mut self, decoder: BodyDecoder) -> RequestBody {
        if let BodyDecoder::Length(length) = decoder
            && let Some(bytes) = self.read_buffer.take(length)
        {
            return RequestBody::whole(bytes);
        }
        let (sender, body) = BodySender::new(decoder);
        self.body_sender = Some(sender);
        body
    }

    /// Responds to an invalid request, or one that can't be served, and closes the connection afterwards. The received
    /// bytes stay in the buffer.
    fn refuse(&mut self, status: StatusCode) {
        self.received_request = true;
        self.keep_alive = false;
        let refusal = EngineRefusal::new(status, self.read_buffer.buffer());
        let context = ResponseContext { head_only: refusal.method == "HEAD", is_http_11: true };
        let response = (self.refuser)(&refusal);
        self.begin_response(response, context);
    }

    /// While the service works: feeds the request's body to it on demand, and detects that the client has left. Ready
    /// when the service must be polled again.
    fn poll_request_body(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            let Some(sender) = &mut self.body_sender else { return self.poll_client_left(cx) };
            match sender.poll_feed(self.read_buffer.buffer(), cx) {
                Fed::Moved => {
                    self.body_sender.take_if(|sender| sender.is_complete());
                    return Poll::Ready(Ok(()));
                }
                Fed::Idle => return self.poll_client_left(cx),
                Fed::Starved => {}
            }
            if std::mem::take(&mut self.expects_continue) {
                self.write_buffer.buffer().extend_from_slice(b"HTTP/1.1 100 Continue\r\n\r\n");
            }
            ready!(self.write_buffer.poll_flush(&mut self.io, cx))?;
            if !matches!(ready!(self.read_buffer.poll_receive(&mut self.io, cx)), Ok(true)) {
                self.read_closed = true;
                if let Some(sender) = self.body_sender.take() {
                    sender.abort(cx);
                }
                self.keep_alive = false;
                return Poll::Ready(Ok(()));
            }
        }
    }

    /// Fails when the client leaves; never ready otherwise. A client leaves when it resets the connection, or when it
    /// closes its side during a response that [ends with the client](Socket::ends_with_client).
    ///
    /// To detect that, the bytes behind the request are read. Up to [`MAX_READ_AHEAD`] of them are buffered. Beyond
    /// that, reading stops, so that the client must wait; but during a response that ends with the client, the bytes
    /// are discarded, and the connection is closed after the response.
    fn poll_client_left(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        for _ in 0..MAX_STEPS_PER_POLL {
            if self.read_closed {
                let has_left = self.io.ends_with_client();
                return if has_left { Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into())) } else { Poll::Pending };
            }
            if self.body_sender.is_none() {
                self.read_buffer.skip_empty_lines();
            }
            if self.read_buffer.len() >= MAX_READ_AHEAD {
                if self.body_sender.is_some() || !self.io.ends_with_client() {
                    return Poll::Pending;
                }
                self.read_buffer.clear();
                self.keep_alive = false;
            }
            self.read_closed = !ready!(self.read_buffer.poll_receive(&mut self.io, cx))?;
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Writes the head of a response.
    fn begin_response(&mut self, response: Response<B>, context: ResponseContext) {
        let (parts, body) = response.into_parts();
        let is_short = |sender: &BodySender| sender.left().is_some_and(|left| left <= MAX_SKIPPED_BODY);
        // A client that expected `100 Continue` and gets a final response may send the body or not (RFC 9110, section
        // 10.1.1), so the connection can't be reused.
        self.keep_alive &= self.body_sender.as_ref().is_none_or(|sender| is_short(sender) && !self.expects_continue);
        self.keep_alive &= self.reuse_until.is_none_or(|until| self.timer.now() < until);
        // The request's body was not received in time.
        self.keep_alive &= parts.status != StatusCode::REQUEST_TIMEOUT;
        let (out, length) = (self.write_buffer.buffer(), body.size_hint().exact());
        let encoder = response_head::write(out, &parts, length, context, &mut self.keep_alive);
        self.state = State::Sending(body, encoder);
    }

    /// Sends the body as it becomes available; ready when it is complete.
    fn poll_send_body(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            let State::Sending(body, encoder) = &mut self.state else { return Poll::Ready(Ok(())) };
            let mut is_pending = false;
            while *encoder != BodyEncoder::Done && !self.write_buffer.is_full() {
                match Pin::new(&mut *body).poll_frame(cx) {
                    Poll::Ready(Some(Ok(frame))) => {
                        if let Ok(data) = frame.into_data() {
                            encoder.push(&mut self.write_buffer, data, body.is_end_stream())?;
                        }
                    }
                    Poll::Ready(None) => encoder.end(&mut self.write_buffer)?,
                    Poll::Ready(Some(Err(_))) => return Poll::Ready(Err(io::Error::other("an answer broke off"))),
                    Poll::Pending => {
                        is_pending = true;
                        break;
                    }
                }
            }
            if *encoder == BodyEncoder::Done {
                self.state = State::Flushing;
                return Poll::Ready(Ok(()));
            }
            if self.write_buffer.poll_flush(&mut self.io, cx)?.is_pending() || is_pending {
                return self.poll_client_left(cx);
            }
        }
    }

    /// Flushes the end of the response.
    fn poll_flush_response(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.write_buffer.poll_flush(&mut self.io, cx)?.is_pending() {
            return self.poll_client_left(cx);
        }
        self.end_response();
        Poll::Ready(Ok(()))
    }

    /// Chooses what follows a response.
    fn end_response(&mut self) {
        self.head_deadline = self.timer.now() + self.options.idle;
        let unread_body = self.body_sender.take();
        self.state = match unread_body {
            _ if !self.keep_alive => State::Closing { unread: unread_body.is_some() || !self.read_buffer.is_empty() },
            Some(sender) => State::SkippingBody(sender.into_decoder()),
            None => State::ReadingHead,
        };
    }

    /// Skips the rest of a request's body, at most [`MAX_SKIPPED_BODY`]. False if that fails or the client has closed
    /// the connection.
    fn poll_skip_body(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<bool>> {
        let State::SkippingBody(decoder) = &mut self.state else { return Poll::Ready(Ok(true)) };
        loop {
            match decoder.next(self.read_buffer.buffer()) {
                Ok(Decoded::Data(_)) => {}
                Ok(Decoded::End) => {
                    self.state = if self.keep_alive { State::ReadingHead } else { State::Closing { unread: false } };
                    return Poll::Ready(Ok(true));
                }
                Ok(Decoded::More) => break,
                Err(_broken) => return Poll::Ready(Ok(false)),
            }
        }
        match self.read_buffer.poll_receive(&mut self.io, cx) {
            Poll::Pending => {
                ready!(self.poll_head_timeout(cx));
                Poll::Ready(Ok(true))
            }
            received => received,
        }
    }
}

impl<I, S, F, B> Future for Connection<I, S, F, B>
where
    I: Socket,
    S: FnMut(Request<RequestBody>) -> F + Unpin,
    F: Future<Output = Result<Response<B>, Infallible>> + Unpin,
    B: Body<Data = Bytes> + Unpin,
{
    type Output = io::Result<()>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        let _poll = this.timer.begin_poll();
        for _ in 0..MAX_STEPS_PER_POLL {
            if !ready!(this.poll_step(cx))? {
                return Poll::Ready(Ok(()));
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}
