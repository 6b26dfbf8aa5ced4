//! An answer: its head, and a body that drives its connection.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, StatusCode};
use http_body::Body;
use hyper::body::Incoming;

use super::failure::Failure;
use super::link::Link;
use super::target::Target;

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

    fn give_back(&mut self) {
        if let Some(link) = self.link.take() {
            self.target.pool().put(link);
        }
    }
}
