//! An upstream's stream as the client's stream: status, deadlines, heartbeats, and exactly one end.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::response::Response;
use bytes::Bytes;
use http::HeaderMap;
use http_body::{Body, Frame};
use tokio::time::{Instant, Sleep};

use super::account::Account;
use super::collect::{Collector, End, Terms};
use super::open::{Opened, open};
use super::{HEARTBEAT, HOLD, Relay, respond};
use crate::error::ApiError;
use crate::upstream::{Deadline, Failure, Route};
use crate::wire::chunk::Depth;
use crate::wire::request::ChatRequest;
use crate::wire::sse::{COMMENT, DONE};

type Opening = Pin<Box<dyn Future<Output = Result<Opened, Failure>> + Send>>;

/// Opens the stream. The true status is known once the first event is there; when that takes longer than [`HOLD`],
/// the answer begins with 200 and heartbeats, so that no balancer in between gives up.
pub(super) async fn stream(
    relay: &Relay,
    mut account: Account,
    route: Arc<Route>,
    request: ChatRequest,
    client: HeaderMap,
) -> Result<Response, ApiError> {
    let target = Arc::clone(&route.targets[0]);
    account.attempt(target.name());
    let began = Instant::now();
    let deadlines = Deadlines {
        idle: target.timeouts().idle,
        ends_at: target.timeouts().total.map(|total| began + total),
        last_sent: began,
    };
    let terms =
        Terms { hide_usage: !request.include_usage, depth: if request.n > 1 { Depth::Choices } else { Depth::Keys } };
    let body = request.forward(target.model(), target.ask_usage());
    let mut opening: Opening = Box::pin(open(target, body, client, relay.limits.frame));
    let state = match tokio::time::timeout(HOLD, &mut opening).await {
        Ok(Ok(opened)) => {
            account.first_token();
            State::Streaming(Box::new(Collector::new(opened, terms)))
        }
        Ok(Err(failure)) => {
            let error = ApiError::from(&failure);
            account.free();
            account.close(Some(error.reason()));
            return Err(error);
        }
        Err(_held) => State::Opening(opening, terms),
    };
    let alarm = Box::pin(tokio::time::sleep(HEARTBEAT));
    Ok(respond::stream(ProxiedStream { state, deadlines, account, alarm }))
}

/// The body of the answer.
struct ProxiedStream {
    state: State,
    deadlines: Deadlines,
    account: Account,
    /// Rings when there may be something to do about time. Not moved at each token: when it rings too early it is
    /// set again.
    alarm: Pin<Box<Sleep>>,
}

enum State {
    Opening(Opening, Terms),
    Streaming(Box<Collector>),
    Over,
}

struct Deadlines {
    idle: Option<Duration>,
    ends_at: Option<Instant>,
    last_sent: Instant,
}

/// What time asks for.
enum Due {
    Heartbeat,
    Ended(Deadline),
    /// Nothing before then.
    At(Instant),
}

impl Deadlines {
    fn due(&self, now: Instant, waiting_since: Option<Instant>) -> Due {
        let idle_at = self.idle.zip(waiting_since).map(|(idle, since)| since + idle);
        let heartbeat_at = self.last_sent + HEARTBEAT;
        if self.ends_at.is_some_and(|at| at <= now) {
            return Due::Ended(Deadline::Total);
        }
        if idle_at.is_some_and(|at| at <= now) {
            return Due::Ended(Deadline::Idle);
        }
        if heartbeat_at <= now {
            return Due::Heartbeat;
        }
        Due::At([self.ends_at, idle_at].into_iter().flatten().fold(heartbeat_at, Instant::min))
    }
}

impl ProxiedStream {
    /// What there is to send now.
    fn poll_bytes(&mut self, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        loop {
            match &mut self.state {
                State::Over => return Poll::Ready(None),
                State::Opening(opening, terms) => match opening.as_mut().poll(cx) {
                    Poll::Ready(Ok(opened)) => {
                        self.account.first_token();
                        self.state = State::Streaming(Box::new(Collector::new(opened, *terms)));
                    }
                    Poll::Ready(Err(failure)) => return Poll::Ready(Some(self.end(End::Failed(failure)))),
                    Poll::Pending => return self.poll_time(cx, None),
                },
                State::Streaming(collector) => {
                    let end = match collector.poll_collect(cx, &mut self.account) {
                        Poll::Ready(end) => end,
                        Poll::Pending if collector.has_output() => None,
                        Poll::Pending => {
                            let since = collector.waiting_since();
                            return self.poll_time(cx, since);
                        }
                    };
                    if let Some(end) = end {
                        return Poll::Ready(Some(self.end(end)));
                    }
                    return Poll::Ready(Some(collector.take_output()));
                }
            }
        }
    }

    /// Nothing to pass on: is it time for something else?
    fn poll_time(&mut self, cx: &mut Context<'_>, waiting_since: Option<Instant>) -> Poll<Option<Bytes>> {
        loop {
            match self.deadlines.due(Instant::now(), waiting_since) {
                Due::Ended(deadline) => {
                    return Poll::Ready(Some(self.end(End::Failed(Failure::Timeout(deadline)))));
                }
                Due::Heartbeat => return Poll::Ready(Some(Bytes::from_static(COMMENT))),
                Due::At(next) => {
                    if self.alarm.deadline() != next {
                        self.alarm.as_mut().reset(next);
                    }
                }
            }
            if self.alarm.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
        }
    }

    /// What was received, then the one end, then nothing.
    fn end(&mut self, end: End) -> Bytes {
        let state = std::mem::replace(&mut self.state, State::Over);
        let mut out = match state {
            State::Streaming(collector) => collector.into_output(matches!(end, End::Done)),
            _ => bytes::BytesMut::new(),
        };
        match end {
            End::Done => self.account.close(None),
            End::Failed(failure) => {
                let error = ApiError::from(&failure);
                tracing::debug!(%failure, "a stream was cut");
                self.account.close(Some(error.reason()));
                error.push_frame(&mut out);
            }
        }
        out.extend_from_slice(DONE);
        out.freeze()
    }
}

impl Body for ProxiedStream {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let this = &mut *self;
        let bytes = this.poll_bytes(cx);
        if let Poll::Ready(Some(_)) = bytes {
            this.deadlines.last_sent = Instant::now();
        }
        bytes.map(|bytes| bytes.map(|bytes| Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        matches!(self.state, State::Over)
    }
}
