//! Reads request bodies within bounds: of size, of time, and of memory, for all bodies together and for each key.
//!
//! Bodies are read after authentication, so each counts against the key of its request; requests without a key share
//! one owner.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH};
use http::{HeaderMap, HeaderValue};
use http_body::Body as _;
use http_body_util::BodyExt;
use tokio::time::Instant;

use crate::bound::{Bound, Grant};
use crate::config::Limits;
use crate::error::ApiError;
use crate::http::codec::decimal;
use crate::time::{TaskTimer, timeout_at};

/// Initial size of a buffer, bytes.
const UNIT: usize = 16 * 1024;
/// Longest body that is not copied if it arrived in one piece, bytes. The HTTP server's buffer that it stays in is not
/// larger than [`UNIT`].
const MAX_AS_IT_IS: usize = 8 * 1024;

/// The bounds, and the memory that all bodies share; cheap to clone.
#[derive(Clone)]
pub struct BodyReader {
    limit: u64,
    times: Times,
    memory: Bound,
}

/// How fast a body has to arrive.
#[derive(Clone, Copy)]
struct Times {
    /// Longest time for each [`Self::least`] bytes, and longest silence.
    window: Duration,
    /// Bytes that must arrive within a window, if that is not the last one.
    least: u64,
    /// Longest time for all of it.
    whole: Duration,
}

/// A body, and its share of the memory until it is dropped.
pub struct ReadBody {
    /// The bytes.
    pub bytes: Bytes,
    /// Given back on drop. Nothing for a small body that came in one piece: the bound of connections is its bound.
    pub share: Grant,
}

impl BodyReader {
    /// A reader within the configured bounds.
    #[must_use]
    pub fn new(limits: &Limits) -> Self {
        let least = u128::from(limits.body_rate) * limits.body_read.as_millis() / 1_000;
        let least = u64::try_from(least).unwrap_or(u64::MAX);
        Self {
            limit: limits.body,
            times: Times { window: limits.body_read, least, whole: limits.body_time },
            memory: Bound::new(limits.bodies_total, limits.bodies_of_a_key()),
        }
    }

    /// A reader within other bounds; bodies that are held now count.
    #[must_use]
    pub fn following(&self, limits: &Limits) -> Self {
        Self { memory: self.memory.with_limits(limits.bodies_total, limits.bodies_of_a_key()), ..Self::new(limits) }
    }

    /// Reads a body to its end, for the key of this id; `timer` is that of the task that polls this.
    ///
    /// # Errors
    /// 415 for an encoded body, 413 over the limit, 408 when it arrives too slowly, 400 when it breaks off, 503 when
    /// there is no memory for it, 429 when the key has no share of the memory left.
    pub async fn read(
        &self,
        key: &Arc<str>,
        headers: &HeaderMap,
        mut body: Body,
        timer: &TaskTimer,
    ) -> Result<ReadBody, ApiError> {
        if headers.get_all(CONTENT_ENCODING).iter().any(|coding| !is_identity(coding)) {
            return Err(ApiError::encoded_body());
        }
        let declared = headers.get(CONTENT_LENGTH).and_then(|length| decimal(length.as_bytes()));
        if declared.is_some_and(|length| length > self.limit) {
            return Err(ApiError::body_too_large(self.limit));
        }
        let most = declared.unwrap_or(self.limit).try_into().unwrap_or(usize::MAX);
        let mut share = self.memory.empty_grant(key);
        let mut bytes = Vec::new();
        let mut pace = Pace::new(self.times, timer.now());
        // Most bodies have a length, so that their end is known without another poll.
        while !body.is_end_stream()
            && let Some(data) = pace.next(&mut body, timer).await?
        {
            if bytes.len() as u64 + data.len() as u64 > self.limit {
                return Err(ApiError::body_too_large(self.limit));
            }
            if bytes.is_empty() && body.is_end_stream() && data.len() <= MAX_AS_IT_IS {
                return Ok(ReadBody { bytes: data, share });
            }
            let needed = bytes.len() + data.len();
            if needed > bytes.capacity() {
                let room = (bytes.capacity() * 2).max(UNIT).min(most).max(needed);
                share.resize(room as u64)?;
                bytes.reserve_exact(room - bytes.len());
            }
            bytes.extend_from_slice(&data);
        }
        Ok(ReadBody { bytes: bytes.into(), share })
    }
}

/// Whether a `Content-Encoding` leaves the body as it is.
fn is_identity(coding: &HeaderValue) -> bool {
    let mut codings = coding.as_bytes().split(|byte| *byte == b',').map(<[u8]>::trim_ascii);
    codings.all(|coding| coding.is_empty() || coding.eq_ignore_ascii_case(b"identity"))
}

/// How fast a body arrives.
///
/// A rate over the whole of it would let a large body stall for hours before its last bytes, and a bound of silence
/// alone a byte every now and then. So each window begins anew once enough has arrived in it.
struct Pace {
    times: Times,
    /// When the window ends.
    due: Instant,
    /// When the body must be whole.
    ends: Instant,
    /// Bytes that have arrived in the window.
    arrived: u64,
}

impl Pace {
    fn new(times: Times, now: Instant) -> Self {
        Self { times, due: now + times.window, ends: now + times.whole, arrived: 0 }
    }

    /// The next piece of `body`; none at its end.
    async fn next(&mut self, body: &mut Body, timer: &TaskTimer) -> Result<Option<Bytes>, ApiError> {
        loop {
            let frame = timeout_at(timer, self.due.min(self.ends), pin!(body.frame())).await;
            match frame.ok_or_else(ApiError::body_timeout)? {
                None => return Ok(None),
                Some(Err(_broken)) => return Err(ApiError::body_broken()),
                Some(Ok(frame)) => {
                    if let Ok(data) = frame.into_data() {
                        self.count(data.len() as u64, timer.now());
                        return Ok(Some(data));
                    }
                }
            }
        }
    }

    fn count(&mut self, bytes: u64, now: Instant) {
        self.arrived += bytes;
        if self.arrived >= self.times.least {
            (self.arrived, self.due) = (0, now + self.times.window);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::iter;

    use futures_util::stream;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// A body whose pieces come one after the other, each after a wait.
    fn slow(pieces: impl IntoIterator<Item = (Duration, usize), IntoIter: Send + 'static>) -> Body {
        let pieces = stream::unfold(pieces.into_iter(), async |mut pieces| {
            let (wait, size) = pieces.next()?;
            tokio::time::sleep(wait).await;
            Some((Ok::<_, Infallible>(Bytes::from(vec![b' '; size])), pieces))
        });
        Body::from_stream(Box::pin(pieces))
    }

    fn reader(limits: &Limits) -> BodyReader {
        BodyReader::new(&Limits { body: 100_000, bodies_total: 400_000, ..*limits })
    }

    /// The length of the body, or the status of the refusal, and how long it took.
    async fn read(reader: &BodyReader, body: Body) -> (Result<usize, u16>, Duration) {
        let began = Instant::now();
        let read = reader.read(&"key".into(), &HeaderMap::new(), body, &TaskTimer::default()).await;
        (read.map(|body| body.bytes.len()).map_err(|error| error.status().as_u16()), began.elapsed())
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_stalls_before_its_end_is_given_up_however_much_has_come() {
        let reader = reader(&Limits::default());
        let (much, byte) = ((SECOND, 90_000), (20 * SECOND, 1));
        let stalling = slow(iter::once(much).chain(iter::repeat_n(byte, 200)));
        let (read_, took) = read(&reader, stalling).await;
        assert_eq!(read_, Err(408));
        assert!(took >= 31 * SECOND && took < 32 * SECOND, "{took:?}");
        assert_eq!(reader.memory.taken(), 0);
        let (read_, took) = read(&reader, slow([(31 * SECOND, 1)])).await;
        assert!(read_ == Err(408) && took < 31 * SECOND, "{took:?}: silence");
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_body_that_keeps_coming_is_read_whole() {
        let reader = reader(&Limits::default());
        // 600 bytes a second, in pieces with pauses.
        let slowly = slow(iter::repeat_n((5 * SECOND, 3_000), 30));
        let (read_, took) = read(&reader, slowly).await;
        assert_eq!((read_, took.as_secs()), (Ok(90_000), 150));
        let any = Limits { body_rate: 0, ..Limits::default() };
        let (read_, took) = read(&self::reader(&any), slow(iter::repeat_n((29 * SECOND, 1), 10))).await;
        assert_eq!((read_, took.as_secs()), (Ok(10), 290));
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_has_only_so_much_time_in_all() {
        let reader = reader(&Limits { body_time: 60 * SECOND, ..Limits::default() });
        let (read_, took) = read(&reader, slow(iter::repeat_n((5 * SECOND, 3_000), 30))).await;
        assert!(read_ == Err(408) && took >= 60 * SECOND && took < 61 * SECOND, "{took:?}");
    }

    #[tokio::test]
    async fn a_large_body_is_counted_with_its_buffer_and_a_small_one_is_not() {
        let reader = reader(&Limits::default());
        let one: Arc<str> = "one".into();
        let (headers, timer) = (HeaderMap::new(), TaskTimer::default());
        let small = reader.read(&one, &headers, Body::from(vec![b' '; MAX_AS_IT_IS]), &timer).await.unwrap();
        assert_eq!((small.share.amount(), reader.memory.taken()), (0, 0));
        let large = reader.read(&one, &headers, Body::from(vec![b' '; 60_000]), &timer).await.unwrap();
        assert_eq!((large.share.amount(), reader.memory.taken()), (60_000, 60_000));
        let status = |read: Result<ReadBody, ApiError>| read.err().map(|error| error.status().as_u16());
        let more = || Body::from(vec![b' '; 60_000]);
        assert_eq!(status(reader.read(&one, &headers, more(), &timer).await), Some(429), "a quarter for each");
        assert_eq!(status(reader.read(&"other".into(), &headers, more(), &timer).await), None);
        let most = slow(iter::repeat_n((Duration::ZERO, 10_000), 10));
        assert_eq!(status(reader.read(&one, &headers, most, &timer).await), Some(429), "refused while it grows");
        assert_eq!(reader.memory.taken(), 60_000);
        drop(large);
        // A body of the maximum length fits, although its buffer grows by doubling.
        let pieces = iter::repeat_n((Duration::ZERO, 10_000), 10);
        let whole = reader.read(&one, &headers, slow(pieces), &timer).await.unwrap();
        assert_eq!((whole.bytes.len(), reader.memory.taken()), (100_000, 100_000));
    }
}
