//! An answer: its head, and a body that drives its connection.

use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::StatusCode;

use super::connection::Link;
use super::failure::Failure;
use super::head::Media;
use super::target::Target;
use crate::http::codec::{BodyDecoder, Decoded};

/// How long the end of a body is awaited behind its last frame.
const LAST_BYTES: Duration = Duration::from_secs(1);
/// How much may stand there, bytes.
const MAX_BEHIND: usize = 4 * 1024;

/// An upstream's answer.
pub struct Answer {
    /// Its status.
    pub status: StatusCode,
    /// What it says that its body is.
    pub media: Media,
    /// Its body is encoded, although that was not asked for.
    pub is_encoded: bool,
    /// When it wants to be asked again.
    pub retry_after: Option<Duration>,
    /// Its body.
    pub body: AnswerBody,
}

/// The body. Polling it moves the connection; dropping it before its end closes the connection.
pub struct AnswerBody {
    framing: BodyDecoder,
    /// None once the body has ended, well or not.
    link: Option<Box<Link>>,
    /// Whose pool the connection goes back to, if it can be used again.
    target: Option<Arc<Target>>,
}

impl AnswerBody {
    pub(super) const fn new(framing: BodyDecoder, link: Box<Link>, target: Option<Arc<Target>>) -> Self {
        Self { framing, link: Some(link), target }
    }

    /// The next bytes; none at the end.
    pub fn poll_data(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Failure>>> {
        loop {
            let Some(link) = &mut self.link else { return Poll::Ready(None) };
            match self.framing.next(link.inbox()) {
                Ok(Decoded::Data(data)) => return Poll::Ready(Some(Ok(data))),
                Ok(Decoded::End) => {
                    self.give_back();
                    return Poll::Ready(None);
                }
                Ok(Decoded::More) => {}
                Err(_broken) => return self.fail(Failure::Malformed("the framing of its body is broken")),
            }
            match ready!(link.poll_receive(cx)) {
                Ok(true) => {}
                Ok(false) if self.framing == BodyDecoder::Close => {
                    self.link = None;
                    return Poll::Ready(None);
                }
                Ok(false) | Err(_) => return self.fail(Failure::Closed),
            }
        }
    }

    fn fail(&mut self, failure: Failure) -> Poll<Option<Result<Bytes, Failure>>> {
        self.link = None;
        Poll::Ready(Some(Err(failure)))
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
        let mut behind = 0;
        // It nearly always came with the last frame.
        while let Poll::Ready(next) = self.poll_data(&mut Context::from_waker(Waker::noop())) {
            let Some(Ok(data)) = next else { return };
            behind += data.len();
            if behind > MAX_BEHIND {
                return;
            }
        }
        tokio::spawn(async move {
            let _ = tokio::time::timeout(LAST_BYTES, self.read_to_end(MAX_BEHIND)).await;
        });
    }

    fn give_back(&mut self) {
        if let (Some(link), Some(target)) = (self.link.take(), self.target.take()) {
            target.pool().put(link);
        }
    }
}
