//! Reading a request's body, within bounds of size, of time, and of memory for all of them together.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use bytes::{Bytes, BytesMut};
use http::HeaderMap;
use http::header::CONTENT_LENGTH;
use http_body::Body as _;
use http_body_util::BodyExt;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::config::Limits;
use crate::deadline::within;
use crate::error::ApiError;

/// The unit in which memory is counted, bytes.
const UNIT: usize = 16 * 1024;
/// Longest body that stays in the buffer that it came in, if it came in one piece. Such a buffer is no larger than a unit:
/// what came in a larger one was copied out of it.
const MOST_AS_IT_IS: usize = 8 * 1024;

/// The bounds, and the memory that all bodies share; cheap to clone.
#[derive(Clone)]
pub struct BodyReader {
    limit: u64,
    silence: Duration,
    memory: Arc<Semaphore>,
}

/// A body, and its share of the memory until it is dropped.
pub struct ReadBody {
    /// The bytes.
    pub bytes: Bytes,
    /// Given back on drop.
    pub share: OwnedSemaphorePermit,
}

impl BodyReader {
    /// A reader within the configured bounds.
    #[must_use]
    pub fn new(limits: &Limits) -> Self {
        let units = usize::try_from(limits.bodies_total).unwrap_or(usize::MAX) / UNIT;
        Self {
            limit: limits.body,
            silence: limits.body_read,
            memory: Arc::new(Semaphore::new(units.clamp(1, Semaphore::MAX_PERMITS))),
        }
    }

    /// Reads a body to its end.
    ///
    /// # Errors
    /// 413 over the limit, 408 when it stops arriving, 400 when it breaks off, 503 when there is no memory for it.
    pub async fn read(&self, headers: &HeaderMap, mut body: Body) -> Result<ReadBody, ApiError> {
        let declared = headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
        if declared.is_some_and(|length| length > self.limit) {
            return Err(ApiError::body_too_large(self.limit));
        }
        let mut share = self.share(1)?;
        let mut bytes = BytesMut::new();
        // Most bodies say how long they are, and need not be asked whether there is more.
        while !body.is_end_stream()
            && let Some(data) = self.next(&mut body).await?
        {
            if bytes.len() as u64 + data.len() as u64 > self.limit {
                return Err(ApiError::body_too_large(self.limit));
            }
            if bytes.is_empty() {
                if body.is_end_stream() && data.len() <= MOST_AS_IT_IS {
                    return Ok(ReadBody { bytes: data, share });
                }
                let declared = declared.and_then(|length| usize::try_from(length).ok()).unwrap_or(0);
                bytes.reserve(declared.min(UNIT));
            }
            bytes.extend_from_slice(&data);
            let units = bytes.capacity().div_ceil(UNIT);
            if units > share.num_permits() {
                share.merge(self.share(units - share.num_permits())?);
            }
        }
        Ok(ReadBody { bytes: bytes.freeze(), share })
    }

    async fn next(&self, body: &mut Body) -> Result<Option<Bytes>, ApiError> {
        loop {
            let frame = within(self.silence, pin!(body.frame())).await;
            match frame.ok_or_else(ApiError::body_timeout)? {
                None => return Ok(None),
                Some(Err(_broken)) => return Err(ApiError::body_broken()),
                Some(Ok(frame)) => {
                    if let Ok(data) = frame.into_data() {
                        return Ok(Some(data));
                    }
                }
            }
        }
    }

    fn share(&self, units: usize) -> Result<OwnedSemaphorePermit, ApiError> {
        let units = u32::try_from(units).unwrap_or(u32::MAX);
        Arc::clone(&self.memory).try_acquire_many_owned(units).map_err(|_| ApiError::overloaded())
    }
}
