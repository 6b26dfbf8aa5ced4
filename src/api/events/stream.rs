//! A stream of Server-Sent Events.
//!
//! `retry:`, then `connected`, then a `stream-reset` if the client asked for what is no longer there, then events. Every
//! 15 s (unless configured) a comment and a `heartbeat`, and, if the stream has moved on past events of other topics, a
//! block with an id alone: the browser keeps the id and dispatches nothing. What is told in passing (`stats`) stands
//! between the events, without an id. A stream ends when the server stops, when its
//! key is no longer good, or when the log can't be read; never because its reader is slow.

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
use crate::wire::sse::set_stream_headers;

/// Most events written at once.
const BATCH: usize = 64;
/// The answer to HEAD: no subscription is opened for it. Its body is empty but of no known length, as that of a stream is.
pub(super) fn head_only() -> Response {
    let mut response = Response::new(Body::from_stream(futures_util::stream::empty::<Result<Bytes, Infallible>>()));
    set_stream_headers(response.headers_mut());
    response
}

/// The answer that a subscription becomes.
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
        told: start.from.seq,
        farewell: None,
        ended: false,
        auth,
        tick: tokio::time::sleep(settings.heartbeat),
        settings,
        subscription,
    };
    let mut response = Response::new(Body::new(body));
    set_stream_headers(response.headers_mut());
    response
}

pin_project! {
    struct EventStream {
        greeting: Option<Bytes>,
        named: bool,
        // The number of the last id that the client was sent.
        told: u64,
        // The server is stopping: at the next tick this is the last word.
        farewell: Option<Duration>,
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
    /// What is sent at a tick; nothing: the key is no longer good.
    fn tick(self: Pin<&mut Self>) -> BytesMut {
        let mut this = self.project();
        let mut out = BytesMut::new();
        if let Some(wait) = *this.farewell {
            *this.ended = true;
            push_retry(&mut out, wait);
            return out;
        }
        this.tick.as_mut().reset(Instant::now() + this.settings.heartbeat);
        if !this.auth.is_valid() {
            *this.ended = true;
            return out;
        }
        if this.subscription.seq() > *this.told {
            *this.told = this.subscription.seq();
            push_id(&mut out, &this.subscription.cursor());
        }
        control_frames::heartbeat(&mut out, Timestamp::now());
        out
    }

    /// The last word of a stream that can't wait for its turn: the shutdown may take no longer.
    fn farewell_now(self: Pin<&mut Self>) -> Bytes {
        let this = self.project();
        *this.ended = true;
        let mut out = BytesMut::new();
        push_retry(&mut out, this.settings.retry + jitter(this.settings.shutdown_window));
        out.freeze()
    }

    fn write(self: Pin<&mut Self>, news: Result<SubscriptionEvent, StoreError>) -> Bytes {
        let mut this = self.project();
        let mut out = BytesMut::new();
        match news {
            Ok(SubscriptionEvent::Events(events)) => {
                let topics = this.subscription.topics();
                out.reserve(events.iter().map(|event| event.len() + 24).sum());
                events.iter().for_each(|event| event.push_block(&mut out, topics, *this.named));
                // Behind the last of them; and further, if others have been passed by since.
                let last = events.last().map_or(*this.told, |event| event.seq);
                *this.told = last;
                if events.is_empty() {
                    *this.told = this.subscription.seq();
                    push_id(&mut out, &this.subscription.cursor());
                }
            }
            Ok(SubscriptionEvent::Reset(reset)) => {
                *this.told = reset.cursor.seq;
                control_frames::stream_reset(&mut out, &reset, this.subscription.topics(), &this.settings.public_path);
            }
            // Not copied: all have the same.
            Ok(SubscriptionEvent::Ephemeral(passing)) => return passing.block(*this.named),
            Ok(SubscriptionEvent::Closing) => {
                let window = this.settings.shutdown_window;
                let stay = jitter(window);
                // They come back over a window as long as the one over which they left, which begins when that ends.
                *this.farewell = Some(window - stay + this.settings.retry + jitter(window));
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
            return Poll::Ready(Some(Ok(Frame::data(self.farewell_now()))));
        }
        while !self.ended {
            let ticked = self.as_mut().project().tick.poll(cx).is_ready();
            let out = if ticked {
                self.as_mut().tick().freeze()
            } else {
                let news = ready!(self.as_mut().project().subscription.poll_next(cx, BATCH));
                self.as_mut().write(news)
            };
            if !out.is_empty() {
                return Poll::Ready(Some(Ok(Frame::data(out))));
            }
        }
        Poll::Ready(None)
    }
}
