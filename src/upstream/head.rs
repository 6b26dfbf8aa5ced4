//! The head of an answer: RFC 9112, sections 4 to 6, read by httparse.

use std::mem::MaybeUninit;
use std::time::Duration;

use bytes::{Buf, BytesMut};
use http::StatusCode;
use httparse::{Header, ParserConfig, Response, Status};

use super::failure::Failure;
use super::retry_after;
use crate::http::codec::{BodyDecoder, ChunkedDecoder};
use crate::time::clock;

/// Longest head, bytes.
const MAX_BYTES: usize = 64 * 1024;
/// Most fields in it.
const MAX_FIELDS: usize = 128;

/// What kind of content an answer says it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Media {
    /// `text/event-stream`; also `text/plain`, or nothing at all: some servers know no better.
    Events,
    /// `application/json`.
    Json,
    /// Anything else.
    Other,
}

/// What is known before the body.
#[derive(Debug)]
pub(super) struct Head {
    pub(super) status: StatusCode,
    pub(super) media: Media,
    /// Its content is encoded, which was not asked for.
    pub(super) is_encoded: bool,
    /// When a refused request may be tried again.
    pub(super) retry_after: Option<Duration>,
    pub(super) framing: BodyDecoder,
    /// The connection can be used again.
    pub(super) is_kept: bool,
}

/// What the fields say of the framing.
#[derive(Default)]
struct Lengths {
    length: Option<u64>,
    encoded: bool,
    chunked: bool,
    close: bool,
}

const MALFORMED: Failure = Failure::Malformed("the answer is not HTTP/1.1");

impl Head {
    /// Takes a head out of `inbox`; none while it is not all there. Informational answers before it are passed over.
    ///
    /// # Errors
    /// [`Failure::Malformed`].
    pub(super) fn take(inbox: &mut BytesMut) -> Result<Option<Self>, Failure> {
        loop {
            let mut fields = [const { MaybeUninit::<Header<'_>>::uninit() }; MAX_FIELDS];
            let mut response = Response::new(&mut []);
            let parsed = ParserConfig::default().parse_response_with_uninit_headers(&mut response, inbox, &mut fields);
            let length = match parsed.map_err(|_| MALFORMED)? {
                Status::Complete(length) if length <= MAX_BYTES => length,
                Status::Partial if inbox.len() < MAX_BYTES => return Ok(None),
                _ => return Err(Failure::Malformed("the head of the answer is too long")),
            };
            let head = Self::read(&response)?;
            inbox.advance(length);
            // If not, it was a 1xx: the answer is still to come.
            if head.is_some() {
                return Ok(head);
            }
        }
    }

    fn read(response: &Response<'_, '_>) -> Result<Option<Self>, Failure> {
        let code = response.code.unwrap_or_default();
        let status = StatusCode::from_u16(code).map_err(|_| MALFORMED)?;
        if status == StatusCode::SWITCHING_PROTOCOLS {
            return Err(MALFORMED);
        }
        if status.is_informational() {
            return Ok(None);
        }
        let mut head = Self {
            status,
            media: Media::Events,
            is_encoded: false,
            // Nearly all answers are none of which it matters.
            retry_after: if status.is_success() {
                None
            } else {
                retry_after::read(status, response.headers, clock::timestamp())
            },
            framing: BodyDecoder::Close,
            is_kept: false,
        };
        let mut lengths = Lengths::default();
        for field in &*response.headers {
            head.note(field, &mut lengths)?;
        }
        let one = response.version == Some(1);
        if lengths.encoded && !one {
            // There was no such thing before HTTP/1.1.
            return Err(MALFORMED);
        }
        head.framing = match &lengths {
            _ if matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED) => BodyDecoder::Length(0),
            Lengths { chunked: true, .. } => BodyDecoder::Chunked(ChunkedDecoder::Size),
            Lengths { encoded: true, .. } => BodyDecoder::Close,
            Lengths { length, .. } => length.map_or(BodyDecoder::Close, BodyDecoder::Length),
        };
        // Two lengths for one body: whoever sent that is not to be trusted with a second one.
        let doubtful = lengths.encoded && lengths.length.is_some();
        head.is_kept = one && !lengths.close && !doubtful && head.framing != BodyDecoder::Close;
        Ok(Some(head))
    }

    fn note(&mut self, field: &Header<'_>, lengths: &mut Lengths) -> Result<(), Failure> {
        let value = field.value.trim_ascii();
        let is = |name: &str| field.name.eq_ignore_ascii_case(name);
        // Told apart by their lengths first: nearly all fields are none of these.
        match field.name.len() {
            10 if is("connection") => lengths.close |= tokens(value).any(|token| token.eq_ignore_ascii_case(b"close")),
            12 if is("content-type") => self.media = media(value),
            14 if is("content-length") => {
                let length = number(value).ok_or(MALFORMED)?;
                if lengths.length.replace(length).is_some_and(|other| other != length) {
                    return Err(MALFORMED);
                }
            }
            16 if is("content-encoding") => self.is_encoded = !value.eq_ignore_ascii_case(b"identity"),
            17 if is("transfer-encoding") => {
                lengths.encoded = true;
                // The last of them counts.
                lengths.chunked = tokens(value).last().is_some_and(|token| token.eq_ignore_ascii_case(b"chunked"));
            }
            _ => {}
        }
        Ok(())
    }
}

fn tokens(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii)
}

fn number(value: &[u8]) -> Option<u64> {
    let digits = value.iter().all(u8::is_ascii_digit);
    std::str::from_utf8(value).ok().filter(|_| digits)?.parse().ok()
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

    fn head(text: &str) -> Head {
        let mut inbox = BytesMut::from(text);
        let head = Head::take(&mut inbox).unwrap().unwrap();
        assert_eq!(&inbox[..], b"rest", "{text}");
        head
    }

    #[test]
    fn what_matters_is_read_in_any_case() {
        let read = head(
            "HTTP/1.1 429 Too Many\r\nContent-Type: Application/JSON; charset=utf-8\r\nRETRY-AFTER: 7\r\n\
             content-length: 4\r\nX-Other: \u{e9}\r\n\r\nrest",
        );
        assert_eq!(
            (read.status.as_u16(), read.media, read.retry_after),
            (429, Media::Json, Some(Duration::from_secs(7)))
        );
        assert_eq!((read.framing, read.is_kept, read.is_encoded), (BodyDecoder::Length(4), true, false));
        let dated =
            head("HTTP/1.1 503 \r\nretry-after: Fri, 27 Nov 1998 06:00:00 GMT\r\ncontent-encoding: gzip\r\n\r\nrest");
        assert_eq!((dated.retry_after, dated.is_encoded), (Some(Duration::ZERO), true));
        assert_eq!(head("HTTP/1.1 200 OK\r\nretry-after: 7\r\n\r\nrest").retry_after, None, "nothing was refused");
    }

    #[test]
    fn the_framing_is_what_the_standard_says() {
        let framing = |version: &str, fields: &str| {
            let read = head(&format!("HTTP/{version} 200 OK\r\n{fields}\r\n\r\nrest"));
            (read.framing, read.is_kept)
        };
        let chunks = || BodyDecoder::Chunked(ChunkedDecoder::Size);
        assert_eq!(framing("1.1", "transfer-encoding: gzip, Chunked"), (chunks(), true));
        assert_eq!(framing("1.1", "transfer-encoding: chunked\r\ncontent-length: 3"), (chunks(), false));
        assert_eq!(framing("1.1", "transfer-encoding: chunked, gzip"), (BodyDecoder::Close, false));
        assert_eq!(framing("1.1", "transfer-encoding: chunked\r\nconnection: x, Close"), (chunks(), false));
        assert_eq!(framing("1.1", "content-length: 3\r\ncontent-length: 3"), (BodyDecoder::Length(3), true));
        assert_eq!(framing("1.1", "x: y"), (BodyDecoder::Close, false));
        assert_eq!(framing("1.0", "content-length: 3"), (BodyDecoder::Length(3), false));
        let empty = head("HTTP/1.1 204 No Content\r\ncontent-length: 3\r\n\r\nrest");
        assert_eq!((empty.framing, empty.is_kept), (BodyDecoder::Length(0), true));
    }

    #[test]
    fn informational_answers_are_passed_over_and_upgrades_refused() {
        let read =
            head("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early\r\nlink: x\r\n\r\nHTTP/1.1 200 OK\r\n\r\nrest");
        assert_eq!(read.status, StatusCode::OK);
        let mut half = BytesMut::from("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 20");
        assert!(Head::take(&mut half).unwrap().is_none());
        assert_eq!(&half[..], b"HTTP/1.1 20");
        assert!(Head::take(&mut BytesMut::from("HTTP/1.1 101 Switching\r\n\r\n")).is_err());
    }

    #[test]
    fn what_is_not_http_is_refused() {
        let long = format!("HTTP/1.1 200 OK\r\nx: {}", "y".repeat(MAX_BYTES));
        let many = format!("HTTP/1.1 200 OK\r\n{}\r\n", "x: y\r\n".repeat(MAX_FIELDS + 1));
        let fields = ["content-length: -1", "content-length: 1\r\ncontent-length: 2", "content-length: 1, 1", "x y: z"];
        let bad = fields.map(|fields| format!("HTTP/1.1 200 OK\r\n{fields}\r\n\r\n"));
        let old = "HTTP/1.0 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
        for text in bad.iter().map(String::as_str).chain([old, "hello\r\n\r\n", "HTTP/2 200\r\n\r\n", &*long, &*many]) {
            let short: String = text.chars().take(60).collect();
            assert!(matches!(Head::take(&mut BytesMut::from(text)), Err(Failure::Malformed(_))), "{short}");
        }
        assert!(Head::take(&mut BytesMut::from("HTTP/1.1 200")).unwrap().is_none());
    }
}
