//! An upstream's stream as the client's stream: status, deadlines, heartbeats, and exactly one end.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::response::Response;
use bytes::{Bytes, BytesMut};
use http_body::{Body, Frame};
use tokio::time::Instant;

use super::open::{Opened, ProxyRequest, open};
use super::retry::first_success;
use super::transcode::{End, StreamTranscoder, Terms};
use super::usage_guard::UsageGuard;
use super::wake_flag::WakeFlag;
use super::{CompletionService, response_head};
use crate::error::ApiError;
use crate::telemetry::record::Terminal;
use crate::time::{ResponseDeadline, ShutdownSignal, TaskTimer};
use crate::upstream::{Deadline, Failure, Lease, Route};
use crate::wire::sse::{DONE, KEEP_ALIVE};

type Opening = Pin<Box<dyn Future<Output = Result<(Opened, Lease), Failure>> + Send>>;

/// Opens the stream. The true status is known once the first event is there; when that takes longer than `hold`, the
/// answer begins with 200 and heartbeats, so that no balancer in between gives up.
pub(super) async fn stream(
    relay: &CompletionService,
    account: Box<UsageGuard>,
    route: Arc<Route>,
    order: Box<ProxyRequest>,
) -> Result<Response, ApiError> {
    let terms = Terms::of(&order, relay.limits.stop_at_budget);
    let began = Instant::now();
    let timer = order.timer.clone();
    let deadlines = Deadlines::new(relay.heartbeat, order.ends_at.clone(), began);
    let record = account.record().clone();
    let opening: Opening = Box::pin(async move {
        let order = &*order;
        let ask = |target, another| open(target, order, another);
        first_success(&route, &record, &order.timer, true, ask).await
    });
    let mut stream = ProxiedStream {
        state: State::Opening(opening, terms),
        deadlines,
        account,
        timer,
        abort: relay.abort.clone(),
        ear: WakeFlag::new(),
        rest: PollState::None,
    };
    let held_until = began + relay.hold;
    match std::future::poll_fn(|cx| stream.poll_held(cx, held_until, Instant::now())).await {
        Err(failure) => {
            let error = ApiError::from(&failure);
            stream.account.fail_with(&failure, &error);
            Err(error)
        }
        Ok(()) => {
            stream.account.begin();
            Ok(response_head::stream(stream))
        }
    }
}

/// The body of the answer.
struct ProxiedStream {
    state: State,
    deadlines: Deadlines,
    account: Box<UsageGuard>,
    timer: TaskTimer,
    abort: ShutdownSignal,
    ear: WakeFlag,
    rest: PollState,
}

/// What there is no reason to look at again before the ear has heard something.
#[derive(Clone, Copy, PartialEq, Eq)]
enum PollState {
    None,
    /// The upstream has nothing more.
    Upstream,
    /// Nor is it time for anything.
    All,
}

enum State {
    Opening(Opening, Terms),
    Streaming(Box<StreamTranscoder>, Lease),
    Over,
}

struct Deadlines {
    ends_at: Option<Instant>,
    /// Ends the answer while its client reads nothing.
    socket: ResponseDeadline,
    heartbeat: Duration,
    began: Instant,
    last_sent: Instant,
}

impl Drop for Deadlines {
    fn drop(&mut self) {
        // The connection may carry other answers after this one.
        self.socket.set(None);
    }
}

/// What time asks for.
enum NextTimer {
    Heartbeat,
    Ended(Deadline),
    /// Nothing before then.
    At(Instant),
}

impl Deadlines {
    fn new(heartbeat: Duration, socket: ResponseDeadline, began: Instant) -> Self {
        Self { ends_at: None, socket, heartbeat, began, last_sent: began }
    }

    /// What is due `now`; `silent_until` is when the upstream has been silent for too long.
    fn due(&self, now: Instant, silent_until: Option<Instant>) -> NextTimer {
        let mut next = self.last_sent + self.heartbeat;
        for at in [silent_until, self.ends_at].into_iter().flatten() {
            next = next.min(at);
        }
        if next > now {
            return NextTimer::At(next);
        }
        if self.ends_at.is_some_and(|at| at <= now) {
            return NextTimer::Ended(Deadline::Total);
        }
        let silent = silent_until.is_some_and(|at| at <= now);
        if silent { NextTimer::Ended(Deadline::Idle) } else { NextTimer::Heartbeat }
    }
}

impl ProxiedStream {
    /// Goes on opening; ready when the stream is open.
    fn poll_open(&mut self, cx: &mut Context<'_>, now: Instant) -> Poll<Result<(), Failure>> {
        let State::Opening(opening, terms) = &mut self.state else { return Poll::Ready(Ok(())) };
        let (opened, lease) = match opening.as_mut().poll(cx) {
            Poll::Ready(Ok(open)) => open,
            Poll::Ready(Err(failure)) => return Poll::Ready(Err(failure)),
            Poll::Pending => return Poll::Pending,
        };
        let timeouts = opened.target.timeouts();
        self.deadlines.ends_at = timeouts.total.map(|total| self.deadlines.began + total);
        self.deadlines.socket.set(self.deadlines.ends_at);
        self.state = State::Streaming(Box::new(StreamTranscoder::new(opened, *terms, now)), lease);
        Poll::Ready(Ok(()))
    }

    /// As [`Self::poll_open`], for as long as the status is held back.
    fn poll_held(&mut self, cx: &mut Context<'_>, until: Instant, now: Instant) -> Poll<Result<(), Failure>> {
        let opened = self.poll_open(cx, now);
        if opened.is_pending() { self.timer.poll_at(cx, until, now).map(|_| Ok(())) } else { opened }
    }

    /// As [`Self::poll_bytes`], if there is a reason to look.
    fn poll_if_woken(&mut self, cx: &Context<'_>) -> Poll<Option<Bytes>> {
        if matches!(self.state, State::Over) {
            return Poll::Ready(None);
        }
        if self.abort.is_raised() {
            return Poll::Ready(Some(self.end(End::Shutdown)));
        }
        if self.ear.was_woken(cx) {
            self.rest = PollState::None;
        } else if self.rest == PollState::All {
            return Poll::Pending;
        }
        let waker = self.ear.waker().clone();
        let now = Instant::now();
        let bytes = self.poll_bytes(&mut Context::from_waker(&waker), now);
        match &bytes {
            Poll::Pending => self.rest = PollState::All,
            Poll::Ready(_) => self.deadlines.last_sent = now,
        }
        bytes
    }

    /// What there is to send now.
    fn poll_bytes(&mut self, cx: &mut Context<'_>, now: Instant) -> Poll<Option<Bytes>> {
        match self.poll_open(cx, now) {
            Poll::Ready(Ok(())) => {}
            Poll::Ready(Err(failure)) => return Poll::Ready(Some(self.end(End::Failed(failure)))),
            Poll::Pending => return self.poll_time(cx, now, None),
        }
        let State::Streaming(collector, _) = &mut self.state else { return Poll::Ready(None) };
        if self.rest == PollState::Upstream {
            let silent_until = collector.silent_until(now);
            return self.poll_time(cx, now, silent_until);
        }
        match collector.poll_collect(cx, now, &mut self.account) {
            Poll::Ready(Some(end)) => Poll::Ready(Some(self.end(end))),
            Poll::Pending if !collector.has_output() => {
                let silent_until = collector.silent_until(now);
                self.poll_time(cx, now, silent_until)
            }
            Poll::Pending => {
                self.rest = PollState::Upstream;
                Poll::Ready(Some(collector.take_output()))
            }
            Poll::Ready(None) => Poll::Ready(Some(collector.take_output())),
        }
    }

    /// Nothing to pass on: is it time for something else?
    fn poll_time(
        &mut self,
        cx: &mut Context<'_>,
        mut now: Instant,
        silent_until: Option<Instant>,
    ) -> Poll<Option<Bytes>> {
        loop {
            match self.deadlines.due(now, silent_until) {
                NextTimer::Ended(deadline) => {
                    return Poll::Ready(Some(self.end(End::Failed(Failure::Timeout(deadline)))));
                }
                NextTimer::Heartbeat => return Poll::Ready(Some(Bytes::from_static(KEEP_ALIVE))),
                NextTimer::At(next) => now = ready!(self.timer.poll_at(cx, next, now)),
            }
        }
    }

    fn fail(&mut self, terminal: Terminal, error: ApiError) -> ApiError {
        self.account.fail(terminal, &error);
        error
    }

    /// What was received, then the one end, then nothing.
    fn end(&mut self, end: End) -> Bytes {
        let state = std::mem::replace(&mut self.state, State::Over);
        let ((mut out, memory), lease) = match state {
            State::Streaming(collector, lease) => {
                let (out, memory) = collector.into_output(&end, &mut self.account);
                ((out, Some(memory)), Some(lease))
            }
            _ => ((BytesMut::new(), None), None),
        };
        let error = match end {
            End::Done => {
                if let Some(mut lease) = lease {
                    lease.well();
                }
                self.account.complete();
                None
            }
            End::Shutdown => Some(self.fail(Terminal::Shutdown, ApiError::shutting_down())),
            End::BudgetUsedUp => Some(self.fail(Terminal::BudgetSpent, ApiError::budget_used_up())),
            End::Failed(failure) => {
                let error = ApiError::from(&failure);
                if let Some(mut lease) = lease {
                    lease.broke(&failure);
                }
                self.account.fail_with(&failure, &error);
                Some(error)
            }
        };
        if let Some(error) = error {
            error.push_frame(&mut out);
        }
        out.extend_from_slice(DONE);
        let out = out.freeze();
        match memory {
            Some(mut memory) => memory.keep(out),
            None => out,
        }
    }
}

impl Body for ProxiedStream {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let bytes = self.poll_if_woken(cx);
        bytes.map(|bytes| bytes.map(|bytes| Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        matches!(self.state, State::Over)
    }
}
