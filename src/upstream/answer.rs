//! An answer: its head, and a body that drives its connection.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, StatusCode};
use http_body::Body;
use hyper::body::Incoming;

use super::failure::Failure;
use super::link::Link;
use super::target::Target;

/// How long the end of a body is awaited behind its last frame.
const LAST_BYTES: Duration = Duration::from_secs(1);
/// How much may stand there, bytes.
const MOST_BEHIND: usize = 4 * 1024;

/// An upstream's answer.
pub struct Answer {
    /// Its status.
    pub status: StatusCode,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body.
    pub body: AnswerBody,
}

/// The body. Polling it moves the connection; dropping it before its end closes the connection.
pub struct AnswerBody {
    incoming: Incoming,
    /// None once the body has ended and the connection went back to its pool.
    link: Option<Link>,
    target: Arc<Target>,
}

impl AnswerBody {
    pub(super) const fn new(incoming: Incoming, link: Link, target: Arc<Target>) -> Self {
        Self { incoming, link: Some(link), target }
    }

    /// The next bytes; none at the end.
    pub fn poll_data(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Failure>>> {
        loop {
            let mut frame = Pin::new(&mut self.incoming).poll_frame(cx);
            if frame.is_pending() {
                let ended = match &mut self.link {
                    Some(link) => link.poll_drive(cx).is_ready(),
                    None => true,
                };
                frame = Pin::new(&mut self.incoming).poll_frame(cx);
                if frame.is_pending() {
                    // An ended connection has nothing left to wake us.
                    return if ended { Poll::Ready(Some(Err(Failure::Closed))) } else { Poll::Pending };
                }
            }
            match frame {
                Poll::Ready(Some(Ok(frame))) => {
                    // Trailers say nothing that a chat completion needs.
                    if let Ok(data) = frame.into_data() {
                        return Poll::Ready(Some(Ok(data)));
                    }
                }
                Poll::Ready(Some(Err(error))) => return Poll::Ready(Some(Err(Failure::of_hyper(&error)))),
                Poll::Ready(None) => {
                    self.give_back();
                    return Poll::Ready(None);
                }
                Poll::Pending => return Poll::Pending,
            }
        }
    }

    /// The next bytes; none at the end.
    ///
    /// # Errors
    /// [`Failure::Closed`] or [`Failure::Malformed`] when the connection broke.
    pub async fn data(&mut self) -> Option<Result<Bytes, Failure>> {
        std::future::poll_fn(|cx| self.poll_data(cx)).await
    }

    /// The whole body, or none when it is longer than `limit` bytes.
    ///
    /// # Errors
    /// As [`AnswerBody::data`].
    pub async fn read_to_end(&mut self, limit: usize) -> Result<Option<Bytes>, Failure> {
        let mut whole = BytesMut::new();
        while let Some(data) = self.data().await {
            let data = data?;
            if whole.len() + data.len() > limit {
                return Ok(None);
            }
            whole.extend_from_slice(&data);
        }
        Ok(Some(whole.freeze()))
    }

    /// Lets go of a body of which no more is wanted, although its end has perhaps not been read yet. What an upstream
    /// sends behind its last frame is a few bytes that are almost there: they are awaited for a moment, beside the
    /// client's answer, so that the connection can be used again.
    pub fn finish(mut self) {
        if self.link.is_none() || hyper::body::Body::is_end_stream(&self.incoming) {
            self.give_back();
            return;
        }
        tokio::spawn(async move {
            let _ = tokio::time::timeout(LAST_BYTES, self.read_to_end(MOST_BEHIND)).await;
        });
    }

    fn give_back(&mut self) {
        if let Some(link) = self.link.take() {
            self.target.pool().put(link);
        }
    }
}
