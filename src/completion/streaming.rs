//! An upstream's stream as the client's stream: status, deadlines, heartbeats, and exactly one end.
//!
//! ```text
//!             the first token, or a moment after the first event
//!   Opening ──────────────────────────────────────────────────▶ Streaming
//!      │                                                            │
//!      │ every attempt failed, or                                   │ the upstream ends, fails or times out;
//!      │ the server shuts down                                      │ the tokens are used up; the server shuts down
//!      ▼                                                            ▼
//!    Ended ◀── (held frames, an error frame if it failed, `[DONE]`; then the usage is settled) ─────┘
//! ```
//!
//! The head of the response goes out when the stream leaves `Opening`, or after `hold` with status 200 and then
//! heartbeats, so that no balancer in between times out. A failure before the head is a response with its own status.
//! A client that leaves drops the stream in any state, which closes the upstream's connection and settles the usage.

use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll, ready};

use axum::response::Response;
use bytes::{Bytes, BytesMut};
use http_body::{Body, Frame};
use tokio::time::Instant;

use super::client_format::ClientFormat;
use super::context::Context;
use super::open::{Opened, open};
use super::proxy_request::ProxyRequest;
use super::response_head;
use super::retry::first_success;
use super::stream_times::{NextTimer, StreamTimes};
use super::transcode::{End, StreamTranscoder, Terms};
use super::unwind::EndableStream;
use super::usage_guard::{Outcome, UsageGuard};
use super::wake_flag::WakeFlag;
use crate::error::ApiError;
use crate::telemetry::record::Terminal;
use crate::time::{ShutdownSignal, TaskTimer};
use crate::upstream::{Failure, Lease, Route};
use crate::wire::operation::Operation;
use crate::wire::translation::TokenCounts;

type Opening = Pin<Box<dyn Future<Output = Result<(Box<Opened>, Lease), Failure>> + Send>>;

/// Opens a stream; returns its response when the status is known, or after `hold`.
pub(super) async fn stream(
    context: &Context,
    usage: Box<UsageGuard>,
    route: Arc<Route>,
    mut request: Box<ProxyRequest>,
) -> Result<Response, ApiError> {
    let now = request.timer.now();
    let held_until = now + context.hold;
    let operation = request.operation;
    let times = StreamTimes::new(context.heartbeat, request.ends_at.clone(), now);
    let terms = Terms::of(&request, context.limits.stop_at_budget);
    let format = request.take_format(context.limits.answer);
    let (timer, arrival, record) = (request.timer.clone(), request.arrival, usage.record().clone());
    let opening: Opening = Box::pin(async move {
        let ask = |target, another| open(target, &request, another);
        first_success(&route, request.session, &record, &request.timer, true, ask).await
    });
    let mut stream = ProxiedStream {
        state: State::Opening(Box::new(OpeningStream { opening, terms, format, arrival })),
        operation,
        usage: Some(usage),
        times,
        timer,
        abort: context.abort.clone(),
        flag: WakeFlag::new(),
        polled: PollState::None,
    };
    if let Err(failure) = poll_fn(|cx| stream.poll_held(cx, held_until)).await {
        let error = ApiError::of_upstream(&failure, operation);
        stream.settle(Outcome::UpstreamFailed(&failure, &error));
        return Err(error);
    }
    if let Some(usage) = &mut stream.usage {
        usage.begin();
    }
    Ok(response_head::stream(stream))
}

/// The body of the response.
struct ProxiedStream {
    state: State,
    operation: Operation,
    /// None once the stream has ended.
    usage: Option<Box<UsageGuard>>,
    times: StreamTimes,
    timer: TaskTimer,
    abort: ShutdownSignal,
    flag: WakeFlag,
    polled: PollState,
}

/// The sources that were pending at the last poll; they are not polled again before the flag is woken.
#[derive(Clone, Copy, PartialEq, Eq)]
enum PollState {
    None,
    Upstream,
    UpstreamAndTimer,
}

enum State {
    Opening(Box<OpeningStream>),
    Streaming(Box<StreamTranscoder>, Lease),
    Ended,
}

/// A stream that has not begun. On the heap, as the one that has.
struct OpeningStream {
    opening: Opening,
    terms: Terms,
    format: ClientFormat,
    arrival: Instant,
}

impl ProxiedStream {
    /// Polls the opening; ready when the stream is open.
    fn poll_open(&mut self, cx: &mut TaskContext<'_>, now: Instant) -> Poll<Result<(), Failure>> {
        let State::Opening(opening) = &mut self.state else { return Poll::Ready(Ok(())) };
        let (opened, lease) = ready!(opening.opening.as_mut().poll(cx))?;
        self.times.set_end(opened.target.timeouts().total.map(|total| opening.arrival + total));
        let format = std::mem::replace(&mut opening.format, ClientFormat::Chunks);
        let transcoder = StreamTranscoder::new(opened, format, opening.terms, now);
        self.state = State::Streaming(Box::new(transcoder), lease);
        Poll::Ready(Ok(()))
    }

    /// As [`Self::poll_open`], but ready at `until` in any case.
    fn poll_held(&mut self, cx: &mut TaskContext<'_>, until: Instant) -> Poll<Result<(), Failure>> {
        let now = self.timer.now();
        let opened = self.poll_open(cx, now);
        if opened.is_pending() { self.timer.poll_at(cx, until).map(|_| Ok(())) } else { opened }
    }

    /// As [`Self::poll_bytes`], if there is a reason to poll.
    fn poll_if_woken(&mut self, cx: &TaskContext<'_>) -> Poll<Option<Bytes>> {
        if matches!(self.state, State::Ended) {
            return Poll::Ready(None);
        }
        if self.abort.is_raised() {
            return Poll::Ready(Some(self.end(&End::Shutdown)));
        }
        if self.flag.was_woken(cx) {
            self.polled = PollState::None;
        } else if self.polled == PollState::UpstreamAndTimer {
            return Poll::Pending;
        }
        let waker = self.flag.waker().clone();
        let now = self.timer.now();
        let bytes = self.poll_bytes(&mut TaskContext::from_waker(&waker), now);
        match &bytes {
            Poll::Pending => self.polled = PollState::UpstreamAndTimer,
            Poll::Ready(_) => self.times.sent(now),
        }
        bytes
    }

    /// The bytes to send now.
    fn poll_bytes(&mut self, cx: &mut TaskContext<'_>, now: Instant) -> Poll<Option<Bytes>> {
        match self.poll_open(cx, now) {
            Poll::Ready(Ok(())) => {}
            Poll::Ready(Err(failure)) => return Poll::Ready(Some(self.end(&End::Failed(failure)))),
            Poll::Pending => return self.poll_time(cx, now, None),
        }
        let (State::Streaming(transcoder, _), Some(usage)) = (&mut self.state, &mut self.usage) else {
            return Poll::Ready(None);
        };
        if self.polled == PollState::Upstream {
            let silent_until = transcoder.silent_until(now);
            return self.poll_time(cx, now, silent_until);
        }
        match transcoder.poll_collect(cx, now, usage) {
            Poll::Ready(Some(end)) => Poll::Ready(Some(self.end(&end))),
            Poll::Pending if !transcoder.has_output() => {
                let silent_until = transcoder.silent_until(now);
                self.poll_time(cx, now, silent_until)
            }
            Poll::Pending => {
                self.polled = PollState::Upstream;
                Poll::Ready(Some(transcoder.take_output()))
            }
            Poll::Ready(None) => Poll::Ready(Some(transcoder.take_output())),
        }
    }

    /// With nothing to pass on: a heartbeat or the end, if one is due.
    fn poll_time(
        &mut self,
        cx: &mut TaskContext<'_>,
        mut now: Instant,
        silent_until: Option<Instant>,
    ) -> Poll<Option<Bytes>> {
        loop {
            match self.times.due(now, silent_until) {
                NextTimer::Timeout(deadline) => {
                    return Poll::Ready(Some(self.end(&End::Failed(Failure::Timeout(deadline)))));
                }
                NextTimer::Heartbeat => return Poll::Ready(Some(Bytes::from_static(self.heartbeat()))),
                NextTimer::At(next) => now = ready!(self.timer.poll_at(cx, next)),
            }
        }
    }

    const fn heartbeat(&self) -> &'static [u8] {
        match &self.state {
            State::Opening(opening) => opening.format.heartbeat(),
            State::Streaming(transcoder, _) => transcoder.format().heartbeat(),
            State::Ended => ClientFormat::Chunks.heartbeat(),
        }
    }

    /// Ends the stream. Returns its last bytes: the frames that were received, and the end in the client's format.
    fn end(&mut self, end: &End) -> Bytes {
        let mut out = BytesMut::new();
        let (format, reader, memory) = match (std::mem::replace(&mut self.state, State::Ended), &mut self.usage) {
            (State::Streaming(transcoder, mut lease), Some(usage)) => {
                match end {
                    End::Done => lease.record_success(),
                    End::Failed(failure) => lease.record_failure(failure, self.timer.now()),
                    End::Shutdown | End::BudgetUsedUp => {}
                }
                let rest = transcoder.into_rest(end, usage);
                out = rest.out;
                (rest.format, Some(rest.reader), Some(rest.memory))
            }
            (State::Opening(opening), _) => (opening.format, None, None),
            (_, _) => (ClientFormat::Chunks, None, None),
        };
        let error = match end {
            End::Done => None,
            End::Failed(failure) => Some(ApiError::of_upstream(failure, self.operation)),
            End::Shutdown => Some(ApiError::shutting_down()),
            End::BudgetUsedUp => Some(ApiError::budget_used_up()),
        };
        let counted = self.usage.as_ref().map(|usage| TokenCounts::from(usage.used())).unwrap_or_default();
        format.end(reader, error.as_ref(), counted, &mut out);
        self.settle(match (end, &error) {
            (End::Failed(failure), Some(error)) => Outcome::UpstreamFailed(failure, error),
            (End::Shutdown, Some(error)) => Outcome::Ended(Terminal::Shutdown, error),
            (End::BudgetUsedUp, Some(error)) => Outcome::Ended(Terminal::BudgetSpent, error),
            (_, _) => Outcome::Completed,
        });
        let out = out.freeze();
        match memory {
            Some(mut memory) => memory.keep(out),
            None => out,
        }
    }

    fn settle(&mut self, outcome: Outcome<'_>) {
        if let Some(usage) = self.usage.take() {
            usage.finish(outcome);
        }
    }
}

impl EndableStream for ProxiedStream {
    fn end_now(&mut self) -> Option<Box<UsageGuard>> {
        self.state = State::Ended;
        self.usage.take()
    }
}

impl Body for ProxiedStream {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut TaskContext<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let bytes = self.poll_if_woken(cx);
        bytes.map(|bytes| bytes.map(|bytes| Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        matches!(self.state, State::Ended)
    }
}
