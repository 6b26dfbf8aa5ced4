//! A response: its head, and a body that drives its connection.

use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::StatusCode;

use super::connection::Connection;
use super::error::Error;
use super::pool::Pool;
use crate::http::codec::{BodyDecoder, Decoded};

/// How long [`ResponseBody::finish`] waits for the end of a body.
const FINISH_TIMEOUT: Duration = Duration::from_secs(1);
/// Most bytes that [`ResponseBody::finish`] reads.
const MAX_FINISH: usize = 4 * 1024;

/// A response whose body has not been read yet.
pub struct Response<H> {
    /// The status.
    pub status: StatusCode,
    /// The headers that the caller's `read_headers` extracted.
    pub headers: H,
    /// The body.
    pub body: ResponseBody,
}

/// The body of a response. Polling it drives the connection; dropping it before its end closes the connection. At its
/// end the connection goes back to the pool, if it can be used again.
pub struct ResponseBody {
    decoder: BodyDecoder,
    /// None once the body has ended, or failed.
    connection: Option<Box<Connection>>,
    /// None: the connection can't be used again.
    pool: Option<Arc<Pool>>,
}

impl ResponseBody {
    pub(super) const fn new(decoder: BodyDecoder, connection: Box<Connection>, pool: Option<Arc<Pool>>) -> Self {
        Self { decoder, connection: Some(connection), pool }
    }

    /// The next bytes, never empty; none at the end.
    pub fn poll_data(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Error>>> {
        loop {
            let Some(connection) = &mut self.connection else { return Poll::Ready(None) };
            match self.decoder.next(connection.read_buffer()) {
                Ok(Decoded::Data(data)) => return Poll::Ready(Some(Ok(data))),
                Ok(Decoded::End) => {
                    self.release();
                    return Poll::Ready(None);
                }
                Ok(Decoded::More) => {}
                Err(_broken) => return self.fail(Error::Malformed("the framing of its body is broken")),
            }
            match ready!(connection.poll_receive(cx)) {
                Ok(true) => {}
                Ok(false) if self.decoder == BodyDecoder::Close => {
                    self.connection = None;
                    return Poll::Ready(None);
                }
                Ok(false) | Err(_) => return self.fail(Error::ClosedInBody),
            }
        }
    }

    fn fail(&mut self, error: Error) -> Poll<Option<Result<Bytes, Error>>> {
        self.connection = None;
        Poll::Ready(Some(Err(error)))
    }

    /// As [`ResponseBody::poll_data`].
    ///
    /// # Errors
    /// [`Error::ClosedInBody`] or [`Error::Malformed`].
    pub async fn data(&mut self) -> Option<Result<Bytes, Error>> {
        std::future::poll_fn(|cx| self.poll_data(cx)).await
    }

    /// The whole body, or none when it is longer than `limit` bytes.
    ///
    /// # Errors
    /// As [`ResponseBody::data`].
    pub async fn read_to_end(&mut self, limit: usize) -> Result<Option<Bytes>, Error> {
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

    /// Drops a body whose rest the caller does not need. So that the connection can be reused, the end of the body is
    /// read if it is not far: at most 4 KiB, for at most a second, in a task.
    pub fn finish(mut self) {
        let mut count = 0;
        // The end nearly always came with the last bytes.
        while let Poll::Ready(next) = self.poll_data(&mut Context::from_waker(Waker::noop())) {
            let Some(Ok(data)) = next else { return };
            count += data.len();
            if count > MAX_FINISH {
                return;
            }
        }
        tokio::spawn(async move {
            let _ = tokio::time::timeout(FINISH_TIMEOUT, self.read_to_end(MAX_FINISH)).await;
        });
    }

    /// Returns the connection to the pool, if it can be used again.
    fn release(&mut self) {
        if let (Some(connection), Some(pool)) = (self.connection.take(), self.pool.take()) {
            pool.put(connection);
        }
    }
}
