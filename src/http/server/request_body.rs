//! The body of a request. The service reads it through [`RequestBody`], the connection feeds it through [`BodySender`].

use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use bytes::{Bytes, BytesMut};
use http_body::{Body, Frame, SizeHint};

use crate::http::codec::{BodyDecoder, Decoded};

/// The body was not received to its end, or its framing was invalid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BodyAborted;

impl fmt::Display for BodyAborted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the request's body broke off")
    }
}

impl std::error::Error for BodyAborted {}

/// A request's body.
#[derive(Debug)]
pub struct RequestBody(Kind);

#[derive(Debug)]
enum Kind {
    /// All that is left of a body that came with the head.
    Whole(Bytes),
    /// A body that is received as it is read. `left` is none if it has no length.
    Streamed { shared: Shared, left: Option<u64>, ended: bool },
}

impl RequestBody {
    pub(super) const fn whole(bytes: Bytes) -> Self {
        Self(Kind::Whole(bytes))
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = BodyAborted;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyAborted>>> {
        let polled = match &mut self.0 {
            Kind::Whole(bytes) if bytes.is_empty() => Poll::Ready(None),
            Kind::Whole(bytes) => Poll::Ready(Some(Ok(std::mem::take(bytes)))),
            Kind::Streamed { ended: true, .. } => Poll::Ready(None),
            Kind::Streamed { shared, left, ended } => {
                let polled = shared.poll(cx);
                if let (Poll::Ready(Some(Ok(data))), Some(left)) = (&polled, left) {
                    *left -= (data.len() as u64).min(*left);
                    *ended = *left == 0;
                }
                *ended |= matches!(polled, Poll::Ready(None | Some(Err(_))));
                polled
            }
        };
        polled.map(|data| data.map(|data| data.map(Frame::data)))
    }

    fn is_end_stream(&self) -> bool {
        match &self.0 {
            Kind::Whole(bytes) => bytes.is_empty(),
            Kind::Streamed { ended, .. } => *ended,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Kind::Whole(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Kind::Streamed { left, .. } => left.map_or_else(SizeHint::default, SizeHint::with_exact),
        }
    }
}

/// The connection's side of a body that is received as it is read.
#[derive(Debug)]
pub(super) struct BodySender {
    decoder: BodyDecoder,
    shared: Shared,
}

/// What both sides share. Nearly always both are polled by the same task.
#[derive(Clone, Debug, Default)]
struct Shared(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    /// The next piece, until it is read.
    data: Option<Bytes>,
    /// How the body ended, behind `data`.
    end: Option<Result<(), BodyAborted>>,
    /// The service waits for the next piece.
    wanted: bool,
    reader: Option<Waker>,
    connection: Option<Waker>,
}

impl Shared {
    // std Mutex: never held across .await
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn poll(&self, cx: &Context<'_>) -> Poll<Option<Result<Bytes, BodyAborted>>> {
        let mut state = self.state();
        if let Some(data) = state.data.take() {
            return Poll::Ready(Some(Ok(data)));
        }
        if let Some(end) = state.end {
            return Poll::Ready(end.err().map(Err));
        }
        state.wanted = true;
        state.reader = Some(cx.waker().clone());
        // The connection checks `wanted` after it has polled the service; only if another task reads, it must be woken.
        if let Some(connection) = state.connection.take_if(|waker| !waker.will_wake(cx.waker())) {
            connection.wake();
        }
        Poll::Pending
    }
}

/// What [`BodySender::poll_feed`] did.
pub(super) enum Fed {
    /// A piece was handed over, or the end.
    Moved,
    /// The service waits, and more must be received first.
    Starved,
    /// The service doesn't wait for more.
    Idle,
}

impl BodySender {
    /// Both sides of a body of which not all has been received.
    pub(super) fn new(decoder: BodyDecoder) -> (Self, RequestBody) {
        let shared = Shared::default();
        let left = if let BodyDecoder::Length(left) = decoder { Some(left) } else { None };
        let body = RequestBody(Kind::Streamed { shared: shared.clone(), left, ended: false });
        (Self { decoder, shared }, body)
    }

    /// Hands over the next piece from `buffer`, if the service waits for it. Otherwise the connection is woken when it does.
    pub(super) fn poll_feed(&mut self, buffer: &mut BytesMut, cx: &Context<'_>) -> Fed {
        let mut state = self.shared.state();
        if !state.wanted {
            state.connection = Some(cx.waker().clone());
            return Fed::Idle;
        }
        match self.decoder.next(buffer) {
            Ok(Decoded::More) => return Fed::Starved,
            Ok(Decoded::Data(data)) => state.data = Some(data),
            Ok(Decoded::End) => state.end = Some(Ok(())),
            Err(_broken) => state.end = Some(Err(BodyAborted)),
        }
        state.wake_reader(cx);
        Fed::Moved
    }

    /// Ends the body early: nothing more will be received.
    pub(super) fn abort(&self, cx: &Context<'_>) {
        let mut state = self.shared.state();
        state.end = Some(Err(BodyAborted));
        state.wake_reader(cx);
    }

    /// Whether all of it has been received, and its framing was valid.
    pub(super) fn is_complete(&self) -> bool {
        matches!(self.decoder, BodyDecoder::Length(0)) || matches!(self.shared.state().end, Some(Ok(())))
    }

    /// The decoder of what is left.
    pub(super) fn into_decoder(mut self) -> BodyDecoder {
        std::mem::replace(&mut self.decoder, BodyDecoder::Length(0))
    }

    /// How much is left, if it has a length.
    pub(super) const fn left(&self) -> Option<u64> {
        if let BodyDecoder::Length(left) = self.decoder { Some(left) } else { None }
    }
}

impl Drop for BodySender {
    fn drop(&mut self) {
        let mut state = self.shared.state();
        // The service may still read it, and would wait for ever.
        state.end.get_or_insert(Err(BodyAborted));
        if let Some(reader) = state.reader.take() {
            reader.wake();
        }
    }
}

impl State {
    /// Wakes the reader if it is another task. The connection's own task polls the service next.
    fn wake_reader(&mut self, cx: &Context<'_>) {
        self.wanted = false;
        if let Some(reader) = self.reader.take_if(|waker| !waker.will_wake(cx.waker())) {
            reader.wake();
        }
    }
}
