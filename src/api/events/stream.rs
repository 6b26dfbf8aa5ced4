//! A stream of Server-Sent Events.
//!
//! It begins with `retry:`, then `connected`, then a `stream-reset` if the requested events are no longer there; then
//! come events. Every 15 s (by default) there are a comment and a `heartbeat`, and, if events of other topics were
//! skipped, a block with only an id, which the browser keeps without dispatching anything. Ephemeral events (`stats`)
//! stand between the others, without an id. A stream ends when the server shuts down, when its key is no longer valid,
//! or when the log can't be read; never because its reader is slow.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::Body;
use axum::response::Response;
use bytes::{Bytes, BytesMut};
use http_body::{Body as HttpBody, Frame};
use jiff::Timestamp;
use pin_project_lite::pin_project;
use tokio::time::{Instant, Sleep};

use super::control_frames;
use super::service::Settings;
use crate::auth::context::AuthContext;
use crate::events::{Start, Subscription, SubscriptionEvent};
use crate::store::StoreError;
use crate::time::jitter;
use crate::wire::event_frame::{push_id, push_retry};
use crate::wire::sse::{EVENT_STREAM, set_stream_headers};

/// Most events that are written at once.
const MAX_BATCH: usize = 64;

/// The answer to HEAD, without a subscription. Its body is empty, but of unknown length, as that of a stream is.
pub(super) fn head_only() -> Response {
    let mut response = Response::new(Body::from_stream(futures_util::stream::empty::<Result<Bytes, Infallible>>()));
    set_stream_headers(response.headers_mut(), EVENT_STREAM);
    response
}

/// The answer with the events of a subscription.
pub(super) fn respond(
    start: &Start,
    subscription: Subscription,
    settings: Arc<Settings>,
    auth: AuthContext,
    named: bool,
) -> Response {
    let mut greeting = BytesMut::with_capacity(256);
    push_retry(&mut greeting, settings.retry);
    control_frames::connected(&mut greeting, start);
    if let Some(reset) = &start.reset {
        control_frames::stream_reset(&mut greeting, reset, subscription.topics(), &settings.public_path);
    }
    let body = EventStream {
        greeting: Some(greeting.freeze()),
        named,
        sent_seq: start.from.seq,
        final_retry: None,
        ended: false,
        auth,
        tick: tokio::time::sleep(settings.heartbeat),
        settings,
        subscription,
    };
    let mut response = Response::new(Body::new(body));
    set_stream_headers(response.headers_mut(), EVENT_STREAM);
    response
}

pin_project! {
    struct EventStream {
        greeting: Option<Bytes>,
        named: bool,
        // The sequence number of the last id that was sent.
        sent_seq: u64,
        // Set during a shutdown: the `retry:` to send at the next tick, which is the last one.
        final_retry: Option<Duration>,
        ended: bool,
        auth: AuthContext,
        settings: Arc<Settings>,
        // The next heartbeat, or the end.
        #[pin]
        tick: Sleep,
        #[pin]
        subscription: Subscription,
    }
}

impl EventStream {
    /// The frames to send at a tick; none if the key is no longer valid.
    fn tick(self: Pin<&mut Self>) -> BytesMut {
        let mut this = self.project();
        let mut out = BytesMut::new();
        if let Some(wait) = *this.final_retry {
            *this.ended = true;
            push_retry(&mut out, wait);
            return out;
        }
        this.tick.as_mut().reset(Instant::now() + this.settings.heartbeat);
        if !this.auth.is_valid() {
            *this.ended = true;
            return out;
        }
        if this.subscription.seq() > *this.sent_seq {
            *this.sent_seq = this.subscription.seq();
            push_id(&mut out, &this.subscription.cursor());
        }
        control_frames::heartbeat(&mut out, Timestamp::now());
        out
    }

    /// The end of a stream that can't wait for its tick, since the shutdown takes too long.
    fn end_now(self: Pin<&mut Self>) -> Bytes {
        let this = self.project();
        *this.ended = true;
        let mut out = BytesMut::new();
        push_retry(&mut out, this.settings.retry + jitter(this.settings.shutdown_window));
        out.freeze()
    }

    fn write(self: Pin<&mut Self>, event: Result<SubscriptionEvent, StoreError>) -> Bytes {
        let mut this = self.project();
        let mut out = BytesMut::new();
        match event {
            Ok(SubscriptionEvent::Events(events)) => {
                let topics = this.subscription.topics();
                out.reserve(events.iter().map(|event| event.len() + 24).sum());
                events.iter().for_each(|event| event.push_block(&mut out, topics, *this.named));
                // The id of the last event; a later one if events of other topics were skipped.
                let last = events.last().map_or(*this.sent_seq, |event| event.seq);
                *this.sent_seq = last;
                if events.is_empty() {
                    *this.sent_seq = this.subscription.seq();
                    push_id(&mut out, &this.subscription.cursor());
                }
            }
            Ok(SubscriptionEvent::Reset(reset)) => {
                *this.sent_seq = reset.cursor.seq;
                control_frames::stream_reset(&mut out, &reset, this.subscription.topics(), &this.settings.public_path);
            }
            // Not copied: all subscribers share the frame.
            Ok(SubscriptionEvent::Ephemeral(passing)) => return passing.block(*this.named),
            Ok(SubscriptionEvent::Closing) => {
                let window = this.settings.shutdown_window;
                let stay = jitter(window);
                // Clients reconnect spread over a window as long as the one over which streams end, and right after it.
                *this.final_retry = Some(window - stay + this.settings.retry + jitter(window));
                this.tick.as_mut().reset(Instant::now() + stay);
            }
            Err(error) => {
                tracing::error!(%error, "a stream of events ends: the log can't be read");
                *this.ended = true;
                push_retry(&mut out, this.settings.retry + jitter(this.settings.retry));
            }
        }
        out.freeze()
    }
}

impl HttpBody for EventStream {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        if let Some(greeting) = self.as_mut().project().greeting.take() {
            return Poll::Ready(Some(Ok(Frame::data(greeting))));
        }
        if !self.ended && self.settings.abort.is_raised() {
            return Poll::Ready(Some(Ok(Frame::data(self.end_now()))));
        }
        while !self.ended {
            let ticked = self.as_mut().project().tick.poll(cx).is_ready();
            let out = if ticked {
                self.as_mut().tick().freeze()
            } else {
                let event = ready!(self.as_mut().project().subscription.poll_next(cx, MAX_BATCH));
                self.as_mut().write(event)
            };
            if !out.is_empty() {
                return Poll::Ready(Some(Ok(Frame::data(out))));
            }
        }
        Poll::Ready(None)
    }
}
