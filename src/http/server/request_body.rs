//! The body of a request, as whoever answers it sees it.

use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use bytes::{Bytes, BytesMut};
use http_body::{Body, Frame, SizeHint};

use crate::http::codec::{BodyDecoder, Decoded};

/// The body did not arrive to its end, or its framing was broken.
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
    /// All that there is, as it came with the head; empty: nothing more.
    Here(Bytes),
    /// It arrives as it is asked for.
    Arriving { shared: Shared, left: Option<u64>, ended: bool },
}

impl RequestBody {
    /// A body that is all there.
    pub(super) const fn here(bytes: Bytes) -> Self {
        Self(Kind::Here(bytes))
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = BodyAborted;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyAborted>>> {
        let polled = match &mut self.0 {
            Kind::Here(bytes) if bytes.is_empty() => Poll::Ready(None),
            Kind::Here(bytes) => Poll::Ready(Some(Ok(std::mem::take(bytes)))),
            Kind::Arriving { ended: true, .. } => Poll::Ready(None),
            Kind::Arriving { shared, left, ended } => {
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
            Kind::Here(bytes) => bytes.is_empty(),
            Kind::Arriving { ended, .. } => *ended,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Kind::Here(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Kind::Arriving { left, .. } => left.map_or_else(SizeHint::default, SizeHint::with_exact),
        }
    }
}

/// The connection's end of a body that arrives.
#[derive(Debug)]
pub(super) struct BodySender {
    framing: BodyDecoder,
    shared: Shared,
}

/// What both ends share; nearly always both are polled by the same task.
#[derive(Clone, Debug, Default)]
struct Shared(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    /// The next piece, until it is taken.
    data: Option<Bytes>,
    /// Nothing more comes behind it.
    over: Option<Result<(), BodyAborted>>,
    /// Somebody has asked for a piece that was not there.
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
        if let Some(over) = state.over {
            return Poll::Ready(over.err().map(Err));
        }
        state.wanted = true;
        state.reader = Some(cx.waker().clone());
        // The connection looks after it has polled whoever answers; it must be told only if that is another task.
        if let Some(connection) = state.connection.take_if(|waker| !waker.will_wake(cx.waker())) {
            connection.wake();
        }
        Poll::Pending
    }
}

/// What became of an attempt to move a body on.
pub(super) enum Moved {
    /// A piece was handed over, or the end.
    On,
    /// More has to be received first.
    Hungry,
    /// Nobody asks for more now.
    Idle,
}

impl BodySender {
    /// A body of which not all is there.
    pub(super) fn new(framing: BodyDecoder) -> (Self, RequestBody) {
        let shared = Shared::default();
        let left = if let BodyDecoder::Length(left) = framing { Some(left) } else { None };
        let incoming = RequestBody(Kind::Arriving { shared: shared.clone(), left, ended: false });
        (Self { framing, shared }, incoming)
    }

    /// Hands on what `inbox` has, if it is asked for; the connection is woken when it is.
    pub(super) fn hand_on(&mut self, inbox: &mut BytesMut, cx: &Context<'_>) -> Moved {
        let mut state = self.shared.state();
        if !state.wanted {
            state.connection = Some(cx.waker().clone());
            return Moved::Idle;
        }
        match self.framing.next(inbox) {
            Ok(Decoded::More) => return Moved::Hungry,
            Ok(Decoded::Data(data)) => state.data = Some(data),
            Ok(Decoded::End) => state.over = Some(Ok(())),
            Err(_broken) => state.over = Some(Err(BodyAborted)),
        }
        state.answer(cx);
        Moved::On
    }

    /// Nothing more will come.
    pub(super) fn break_off(&self, cx: &Context<'_>) {
        let mut state = self.shared.state();
        state.over = Some(Err(BodyAborted));
        state.answer(cx);
    }

    /// Whether all of it has been received, and found in order.
    pub(super) fn is_over(&self) -> bool {
        matches!(self.framing, BodyDecoder::Length(0)) || matches!(self.shared.state().over, Some(Ok(())))
    }

    /// What is left of it, for whoever passes over it.
    pub(super) fn into_rest(mut self) -> BodyDecoder {
        std::mem::replace(&mut self.framing, BodyDecoder::Length(0))
    }

    /// How much is left, if that is known.
    pub(super) const fn left(&self) -> Option<u64> {
        if let BodyDecoder::Length(left) = self.framing { Some(left) } else { None }
    }
}

impl Drop for BodySender {
    fn drop(&mut self) {
        let mut state = self.shared.state();
        // Whoever still reads would wait for ever.
        state.over.get_or_insert(Err(BodyAborted));
        if let Some(reader) = state.reader.take() {
            reader.wake();
        }
    }
}

impl State {
    /// Tells the reader, if it is another task than the connection's, which looks at whoever answers next.
    fn answer(&mut self, cx: &Context<'_>) {
        self.wanted = false;
        if let Some(reader) = self.reader.take_if(|waker| !waker.will_wake(cx.waker())) {
            reader.wake();
        }
    }
}
