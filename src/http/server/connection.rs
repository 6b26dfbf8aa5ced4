//! One connection from its first byte to its last.

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

/// How long the head of a request may take that was not there when the connection was to be finished.
const LAST_HEAD: Duration = Duration::from_secs(1);
/// Most steps of one turn: a client that sends a body byte by byte, or requests ahead of time, does not keep the thread from
/// others.
const TURN: usize = 64;
/// Most bytes that are kept of what a client sends behind its request, before the answer is out.
const MAX_AHEAD: usize = 16 * 1024;
/// Most bytes of a body that nobody wanted which are passed over so that the connection can go on.
const MAX_PASSED_OVER: u64 = 64 * 1024;

/// The limits of a connection.
#[derive(Clone, Copy, Debug)]
pub struct ConnectionOptions {
    /// Longest head of a request, bytes.
    pub head: usize,
    /// How long the first head may take; `idle` where that is shorter.
    pub first_head: Duration,
    /// How long each further head may take, from the end of the response before it on.
    pub idle: Duration,
}

/// A connection; polled, it serves. Ready when it is closed.
pub struct Connection<I, S, F, B> {
    io: I,
    service: S,
    refuser: Refuser<B>,
    terms: ConnectionOptions,
    state: State<F, B>,
    inbox: ReadBuffer,
    out: WriteBuffer,
    /// The request's body, while there is more of it.
    arrival: Option<BodySender>,
    /// The client waits for a word before it sends the body.
    waits: bool,
    /// Another request may follow.
    keeps: bool,
    /// A request has come.
    greeted: bool,
    /// The client has ended its side: nothing more comes.
    ended: bool,
    /// When the head of the next request must be there.
    head_due: Instant,
    timer: TaskTimer,
}

enum State<F, B> {
    /// A request is awaited, or its head is arriving.
    Waiting,
    /// The service is at work.
    Answering(F, ResponseContext),
    /// The answer is on its way.
    Sending(B, BodyEncoder),
    /// All of the answer is there: whatever made it is gone before its last byte goes out, so that who reads that byte finds
    /// everything settled.
    Ending,
    /// What is left of a request's body is passed over.
    SkippingBody(BodyDecoder),
    /// The last bytes are on their way, then it is closed.
    Closing { unread: bool },
}

impl<I, S, F, B> Connection<I, S, F, B>
where
    I: Socket,
    S: FnMut(Request<RequestBody>) -> F,
    F: Future<Output = Result<Response<B>, Infallible>> + Unpin,
    B: Body<Data = Bytes> + Unpin,
{
    /// Serves what comes from `io`; `refuser` answers what is no request. The connection polls the service's futures and
    /// the bodies of its responses with its own waker, so all of them may share `timer`.
    pub fn new(io: I, terms: ConnectionOptions, timer: TaskTimer, service: S, refuser: Refuser<B>) -> Self {
        let head_due = Instant::now() + terms.first_head.min(terms.idle);
        Self {
            io,
            service,
            refuser,
            terms,
            state: State::Waiting,
            inbox: ReadBuffer::default(),
            out: WriteBuffer::default(),
            arrival: None,
            waits: false,
            keeps: true,
            greeted: false,
            ended: false,
            head_due,
            timer,
        }
    }

    /// Closes the connection after the current response, or at once while it waits for another request. To be polled
    /// afterwards.
    pub fn finish(&mut self) {
        self.keeps = false;
        match self.state {
            // One that has arrived already is answered, but none is waited for.
            State::Waiting if self.greeted && self.inbox.is_empty() => self.head_due = Instant::now(),
            // A request is perhaps on its way.
            State::Waiting => self.head_due = self.head_due.min(Instant::now() + LAST_HEAD),
            State::SkippingBody(_) => self.state = State::Closing { unread: true },
            _ => {}
        }
    }

    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<bool>> {
        match &mut self.state {
            State::Waiting => self.poll_request(cx),
            State::Answering(answer, asked) => match Pin::new(answer).poll(cx) {
                Poll::Ready(Ok(response)) => {
                    let asked = *asked;
                    self.begin(response, asked);
                    Poll::Ready(Ok(true))
                }
                Poll::Pending => self.poll_beside(cx).map_ok(|()| true),
            },
            State::Sending(..) => self.poll_send(cx).map_ok(|()| true),
            State::Ending => self.poll_end(cx).map_ok(|()| true),
            State::SkippingBody(_) => self.poll_pass(cx),
            State::Closing { unread } => {
                ready!(self.out.poll_flush(&mut self.io, cx))?;
                self.io.poll_close(cx, *unread).map_ok(|()| false)
            }
        }
    }

    /// Awaits the next request and hands it to the service. False when none will come.
    fn poll_request(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<bool>> {
        loop {
            match self.inbox.take_head(self.terms.head) {
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
            match self.inbox.poll_receive(&mut self.io, cx) {
                Poll::Ready(Ok(true)) => {}
                Poll::Ready(Ok(false)) => return Poll::Ready(Ok(false)),
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending => {
                    ready!(self.poll_late(cx));
                    return Poll::Ready(Ok(true));
                }
            }
        }
    }

    /// Ready when the head of the next request should have been there.
    fn poll_late(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        ready!(self.timer.poll_at(cx, self.head_due, Instant::now()));
        if self.inbox.is_empty() {
            self.state = State::Closing { unread: false };
        } else {
            // A part of a head is there: its client is told. An idle connection is closed without a response.
            self.refuse(StatusCode::REQUEST_TIMEOUT);
        }
        Poll::Ready(())
    }

    fn call(&mut self, head: RequestHead) {
        let RequestHead { request, decoder, context, keep_alive, expects_continue } = head;
        self.greeted = true;
        self.keeps &= keep_alive;
        let body = self.body(decoder);
        self.waits = expects_continue && self.arrival.is_some();
        self.state = State::Answering((self.service)(request.map(|()| body)), context);
    }

    /// The body that follows, which nearly always came with the head.
    fn body(&mut self, framing: BodyDecoder) -> RequestBody {
        if let BodyDecoder::Length(length) = framing
            && let Some(bytes) = self.inbox.take(length)
        {
            return RequestBody::whole(bytes);
        }
        let (arrival, incoming) = BodySender::new(framing);
        self.arrival = Some(arrival);
        incoming
    }

    /// Answers what is no request, or none that can be served; the connection closes behind it. What was received stays
    /// unread.
    fn refuse(&mut self, status: StatusCode) {
        self.greeted = true;
        self.keeps = false;
        let refused = EngineRefusal::new(status, self.inbox.buffer());
        let asked = ResponseContext { head_only: refused.method == "HEAD", is_http_11: true };
        let response = (self.refuser)(&refused);
        self.begin(response, asked);
    }

    /// While the service is at work: moves the request's body on if the service asks for it, and watches for a client that
    /// leaves. Ready when the service should look again.
    fn poll_beside(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            let Some(arrival) = &mut self.arrival else { return self.poll_left(cx) };
            match arrival.poll_feed(self.inbox.buffer(), cx) {
                Fed::Moved => {
                    self.arrival.take_if(|arrival| arrival.is_complete());
                    return Poll::Ready(Ok(()));
                }
                Fed::Idle => return self.poll_left(cx),
                Fed::Starved => {}
            }
            if std::mem::take(&mut self.waits) {
                self.out.buffer().extend_from_slice(b"HTTP/1.1 100 Continue\r\n\r\n");
            }
            ready!(self.out.poll_flush(&mut self.io, cx))?;
            if !matches!(ready!(self.inbox.poll_receive(&mut self.io, cx)), Ok(true)) {
                self.ended = true;
                if let Some(arrival) = self.arrival.take() {
                    arrival.abort(cx);
                }
                self.keeps = false;
                return Poll::Ready(Ok(()));
            }
        }
    }

    /// An error when the client leaves; never ready otherwise. It is gone when it resets the connection, or ends its side of
    /// it while an answer is made that is [given up](Socket::ends_with_client) then.
    ///
    /// So its stream is read on behind the request, whatever stands there: up to [`MAX_AHEAD`] bytes are kept for later. Beyond
    /// that no more is read, so that the client has to wait; where the answer would be given up, what comes is thrown away, and
    /// the connection closed behind the answer.
    fn poll_left(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        for _ in 0..TURN {
            if self.ended {
                let gone = self.io.ends_with_client();
                return if gone { Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into())) } else { Poll::Pending };
            }
            if self.arrival.is_none() {
                self.inbox.skip_empty_lines();
            }
            if self.inbox.len() >= MAX_AHEAD {
                if self.arrival.is_some() || !self.io.ends_with_client() {
                    return Poll::Pending;
                }
                self.inbox.clear();
                self.keeps = false;
            }
            self.ended = !ready!(self.inbox.poll_receive(&mut self.io, cx))?;
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Begins an answer.
    fn begin(&mut self, response: Response<B>, asked: ResponseContext) {
        let (parts, body) = response.into_parts();
        let passable = |arrival: &BodySender| arrival.left().is_some_and(|left| left <= MAX_PASSED_OVER);
        // Who waited for a word in vain may send the body or not: nobody knows what comes next.
        self.keeps &= self.arrival.as_ref().is_none_or(|arrival| passable(arrival) && !self.waits);
        // Its body did not come in time.
        self.keeps &= parts.status != StatusCode::REQUEST_TIMEOUT;
        let coding = response_head::write(self.out.buffer(), &parts, body.size_hint().exact(), asked, &mut self.keeps);
        self.state = State::Sending(body, coding);
    }

    /// Sends what the body has; ready when that was all.
    fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            let State::Sending(body, coding) = &mut self.state else { return Poll::Ready(Ok(())) };
            let mut dry = false;
            while *coding != BodyEncoder::Over && !self.out.is_full() {
                match Pin::new(&mut *body).poll_frame(cx) {
                    Poll::Ready(Some(Ok(frame))) => {
                        if let Ok(data) = frame.into_data() {
                            coding.push(&mut self.out, data, body.is_end_stream())?;
                        }
                    }
                    Poll::Ready(None) => coding.end(&mut self.out)?,
                    Poll::Ready(Some(Err(_))) => return Poll::Ready(Err(io::Error::other("an answer broke off"))),
                    Poll::Pending => {
                        dry = true;
                        break;
                    }
                }
            }
            if *coding == BodyEncoder::Over {
                self.state = State::Ending;
                return Poll::Ready(Ok(()));
            }
            if self.out.poll_flush(&mut self.io, cx)?.is_pending() || dry {
                return self.poll_left(cx);
            }
        }
    }

    fn poll_end(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.out.poll_flush(&mut self.io, cx)?.is_pending() {
            return self.poll_left(cx);
        }
        self.after();
        Poll::Ready(Ok(()))
    }

    /// The answer is out.
    fn after(&mut self) {
        self.head_due = Instant::now() + self.terms.idle;
        let arrival = self.arrival.take();
        self.state = match arrival {
            _ if !self.keeps => State::Closing { unread: arrival.is_some() || !self.inbox.is_empty() },
            Some(arrival) => State::SkippingBody(arrival.into_decoder()),
            None => State::Waiting,
        };
    }

    /// Passes over what is left of a body, which is not much.
    fn poll_pass(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<bool>> {
        let State::SkippingBody(framing) = &mut self.state else { return Poll::Ready(Ok(true)) };
        loop {
            match framing.next(self.inbox.buffer()) {
                Ok(Decoded::Data(_)) => {}
                Ok(Decoded::End) => {
                    self.state = if self.keeps { State::Waiting } else { State::Closing { unread: false } };
                    return Poll::Ready(Ok(true));
                }
                Ok(Decoded::More) => break,
                Err(_broken) => return Poll::Ready(Ok(false)),
            }
        }
        match self.inbox.poll_receive(&mut self.io, cx) {
            Poll::Pending => {
                ready!(self.poll_late(cx));
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
        for _ in 0..TURN {
            if !ready!(this.poll_next(cx))? {
                return Poll::Ready(Ok(()));
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}
