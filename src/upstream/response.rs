//! An upstream's response: the facts of its head that matter here, and its body.

use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;
use httparse::Header;
use jiff::Timestamp;

use super::failure::Failure;
use super::retry_after;
use crate::http::client::{Response, ResponseBody};

/// The content type that a response is labelled with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Media {
    /// `text/event-stream`; also `text/plain` and no label at all, with which some servers send streams.
    Events,
    /// `application/json`.
    Json,
    /// Anything else.
    Other,
}

/// An upstream's response, of any status.
pub struct UpstreamResponse {
    /// The status.
    pub status: StatusCode,
    /// Its content type.
    pub media: Media,
    /// It has a content encoding, although that was not asked for.
    pub is_encoded: bool,
    /// When the upstream wants to be asked again; read of refusals only.
    pub retry_after: Option<Duration>,
    /// The body.
    pub body: UpstreamBody,
}

/// The body of an upstream's response. Polling it moves the connection; dropping it before its end closes the connection.
pub struct UpstreamBody(ResponseBody);

impl UpstreamBody {
    /// The next bytes, never empty; none at the end.
    pub fn poll_data(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Failure>>> {
        self.0.poll_data(cx).map_err(Failure::from)
    }

    /// As [`UpstreamBody::poll_data`].
    ///
    /// # Errors
    /// [`Failure::Closed`] or [`Failure::Malformed`] when the connection broke.
    pub async fn data(&mut self) -> Option<Result<Bytes, Failure>> {
        self.0.data().await.map(|data| data.map_err(Failure::from))
    }

    /// The whole body, or none when it is longer than `limit` bytes.
    ///
    /// # Errors
    /// As [`UpstreamBody::data`].
    pub async fn read_to_end(&mut self, limit: usize) -> Result<Option<Bytes>, Failure> {
        Ok(self.0.read_to_end(limit).await?)
    }

    /// Drops a body of which no more is needed, in a way that lets its connection be used again: see
    /// [`ResponseBody::finish`].
    pub fn finish(self) {
        self.0.finish();
    }
}

/// What is read of the headers.
#[derive(Debug)]
pub(super) struct ResponseFacts {
    media: Media,
    is_encoded: bool,
    retry_after: Option<Duration>,
}

impl ResponseFacts {
    pub(super) fn read(status: StatusCode, headers: &[Header<'_>]) -> Self {
        let mut facts = Self { media: Media::Events, is_encoded: false, retry_after: None };
        for header in headers {
            let value = header.value.trim_ascii();
            let is = |name: &str| header.name.eq_ignore_ascii_case(name);
            // The lengths rule out nearly all headers without a comparison.
            match header.name.len() {
                12 if is("content-type") => facts.media = media(value),
                16 if is("content-encoding") => facts.is_encoded = !value.eq_ignore_ascii_case(b"identity"),
                _ => {}
            }
        }
        if !status.is_success() {
            facts.retry_after = retry_after::read(status, headers, Timestamp::now());
        }
        facts
    }
}

impl From<Response<ResponseFacts>> for UpstreamResponse {
    fn from(response: Response<ResponseFacts>) -> Self {
        let Response { status, headers: ResponseFacts { media, is_encoded, retry_after }, body } = response;
        Self { status, media, is_encoded, retry_after, body: UpstreamBody(body) }
    }
}

fn media(value: &[u8]) -> Media {
    let kind = value.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii();
    let is = |name: &str| kind.eq_ignore_ascii_case(name.as_bytes());
    match kind {
        [] => Media::Events,
        _ if is("text/event-stream") || is("text/plain") => Media::Events,
        _ if is("application/json") => Media::Json,
        _ => Media::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(status: u16, headers: &[(&str, &str)]) -> ResponseFacts {
        let headers: Vec<_> = headers.iter().map(|(name, value)| Header { name, value: value.as_bytes() }).collect();
        ResponseFacts::read(StatusCode::from_u16(status).unwrap(), &headers)
    }

    #[test]
    fn the_facts_of_a_head_are_read_in_any_case() {
        let read_429 =
            read(429, &[("Content-Type", "Application/JSON; charset=utf-8"), ("RETRY-AFTER", "7"), ("X-Other", "y")]);
        assert_eq!((read_429.media, read_429.retry_after), (Media::Json, Some(Duration::from_secs(7))));
        assert!(!read_429.is_encoded);
        let dated = read(503, &[("retry-after", "Fri, 27 Nov 1998 06:00:00 GMT"), ("content-encoding", "gzip")]);
        assert_eq!((dated.retry_after, dated.is_encoded), (Some(Duration::ZERO), true));
        assert_eq!(read(200, &[("retry-after", "7")]).retry_after, None, "nothing was refused");
    }
}
