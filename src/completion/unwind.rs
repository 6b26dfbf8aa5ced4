//! A response stream whose code panics ends as any other that fails: with one error frame, `[DONE]` and a usage record.
//!
//! A panic is a fault of petstream. Without this, the connection would break off, and its client could not know why.

use std::convert::Infallible;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use http_body::{Body, Frame};

use super::usage_guard::{Outcome, UsageGuard};
use crate::error::ApiError;
use crate::telemetry::record::Terminal;
use crate::wire::sse::DONE;

/// A stream that can be ended at any time, whatever state it is in.
pub(super) trait EndableStream: Body<Data = Bytes, Error = Infallible> + Unpin {
    /// Ends the stream. Returns its usage, if it had not ended before.
    fn end_now(&mut self) -> Option<Box<UsageGuard>>;
}

/// Catches the panics of a stream.
pub(super) struct CatchPanics<S>(pub(super) S);

impl<S: EndableStream> Body for CatchPanics<S> {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let stream = &mut self.0;
        // The stream is not polled again after a panic.
        match catch_unwind(AssertUnwindSafe(|| Pin::new(&mut *stream).poll_frame(cx))) {
            Ok(polled) => polled,
            Err(_panic) => Poll::Ready(end_after_panic(stream).map(|last| Ok(Frame::data(last)))),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_end_stream()
    }
}

/// The last bytes of a stream that has panicked; none if it had ended before.
fn end_after_panic(stream: &mut impl EndableStream) -> Option<Bytes> {
    let usage = stream.end_now()?;
    tracing::error!(request_id = &**usage.record().id(), "a stream panicked");
    let (error, mut out) = (ApiError::internal(), BytesMut::new());
    error.push_frame(&mut out);
    out.extend_from_slice(DONE);
    usage.finish(Outcome::Ended(Terminal::Failed, &error));
    Some(out.freeze())
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;

    use super::*;
    use crate::completion::usage_guard::tests::{guard, recorded};
    use crate::time::ShutdownSignal;

    /// Sends one frame, then panics.
    struct Faulty(Option<Box<UsageGuard>>, u32);

    impl EndableStream for Faulty {
        fn end_now(&mut self) -> Option<Box<UsageGuard>> {
            self.0.take()
        }
    }

    impl Body for Faulty {
        type Data = Bytes;
        type Error = Infallible;

        fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
            self.1 += 1;
            assert_eq!(self.1, 1, "a fault of the server");
            Poll::Ready(Some(Ok(Frame::data("data: 1\n\n".into()))))
        }

        fn is_end_stream(&self) -> bool {
            self.0.is_none()
        }
    }

    #[tokio::test]
    async fn a_stream_that_panics_ends_with_one_error_frame_and_one_record() {
        let (mut usage, recorder) = guard(&ShutdownSignal::default()).await;
        usage.begin();
        let body = CatchPanics(Faulty(Some(usage), 0)).collect().await.unwrap().to_bytes();
        let text = std::str::from_utf8(&body).unwrap();
        let frames: Vec<_> = text.split_terminator("\n\n").collect();
        assert_eq!((frames[0], frames[2], frames.len()), ("data: 1", "data: [DONE]", 3));
        assert!(frames[1].starts_with("data: {\"error\":{\"message\":\"The server had an error"), "{}", frames[1]);
        assert_eq!(recorded(&recorder), (Terminal::Failed, 200));
    }
}
