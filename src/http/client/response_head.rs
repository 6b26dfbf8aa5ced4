//! The head of a response: RFC 9112, sections 4 to 6, parsed by httparse.

use std::mem::MaybeUninit;

use bytes::{Buf, BytesMut};
use http::StatusCode;
use httparse::{Header, ParserConfig, Response};

use super::error::Error;
use crate::http::codec::{BodyDecoder, ChunkedDecoder, FramingHeaders, HeadError, TransferCoding, head_length};

/// Longest head, bytes.
const MAX_HEAD: usize = 64 * 1024;
/// Most headers of a head.
const MAX_HEADERS: usize = 128;

/// The head of a response.
#[derive(Debug)]
pub(super) struct ResponseHead<H> {
    pub(super) status: StatusCode,
    /// The headers that the caller extracted.
    pub(super) headers: H,
    pub(super) decoder: BodyDecoder,
    /// The connection can be used again.
    pub(super) keep_alive: bool,
}

const MALFORMED: Error = Error::Malformed("the answer is not HTTP/1.1");

impl<H> ResponseHead<H> {
    /// Takes a head out of `buffer`. None while it is incomplete. Informational responses before it are skipped.
    ///
    /// # Errors
    /// [`Error::Malformed`].
    pub(super) fn take(
        buffer: &mut BytesMut,
        read_headers: &impl Fn(StatusCode, &[Header<'_>]) -> H,
    ) -> Result<Option<Self>, Error> {
        loop {
            let mut headers = [const { MaybeUninit::<Header<'_>>::uninit() }; MAX_HEADERS];
            let mut response = Response::new(&mut []);
            let parsed =
                ParserConfig::default().parse_response_with_uninit_headers(&mut response, buffer, &mut headers);
            let Some(length) = head_length(parsed, buffer.len(), MAX_HEAD)? else { return Ok(None) };
            let head = Self::read(&response, read_headers)?;
            buffer.advance(length);
            // If not, it was a 1xx: the response is still to come.
            if head.is_some() {
                return Ok(head);
            }
        }
    }

    fn read(
        response: &Response<'_, '_>,
        read_headers: &impl Fn(StatusCode, &[Header<'_>]) -> H,
    ) -> Result<Option<Self>, Error> {
        let status = StatusCode::from_u16(response.code.unwrap_or_default()).map_err(|_| MALFORMED)?;
        if status == StatusCode::SWITCHING_PROTOCOLS {
            return Err(MALFORMED);
        }
        if status.is_informational() {
            return Ok(None);
        }
        let mut framing = FramingHeaders::default();
        for header in &*response.headers {
            framing.read(header.name, header.value.trim_ascii())?;
        }
        let is_http_11 = response.version == Some(1);
        if framing.transfer_coding.is_some() && !is_http_11 {
            // HTTP/1.0 has no transfer codings (RFC 9112, section 6.1).
            return Err(MALFORMED);
        }
        let decoder = match (framing.transfer_coding, framing.content_length) {
            _ if matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED) => BodyDecoder::Length(0),
            (Some(TransferCoding::NotChunked), _) | (None, None) => BodyDecoder::Close,
            (Some(_chunked), _) => BodyDecoder::Chunked(ChunkedDecoder::Size),
            (None, Some(length)) => BodyDecoder::Length(length),
        };
        // With both headers, the message may be an attempt to smuggle a response: it is the last one of its connection
        // (RFC 9112, section 6.3).
        let is_ambiguous = framing.transfer_coding.is_some() && framing.content_length.is_some();
        let is_delimited = decoder != BodyDecoder::Close;
        let keep_alive = is_http_11 && framing.is_persistent(is_http_11) && !is_ambiguous && is_delimited;
        Ok(Some(Self { status, headers: read_headers(status, response.headers), decoder, keep_alive }))
    }
}

impl From<HeadError> for Error {
    fn from(error: HeadError) -> Self {
        match error {
            HeadError::Malformed | HeadError::UnsupportedVersion => MALFORMED,
            HeadError::TooLarge => Self::Malformed("the head of the answer is too long"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn take(buffer: &mut BytesMut) -> Result<Option<ResponseHead<Option<String>>>, Error> {
        ResponseHead::take(buffer, &|_, headers| {
            let other = headers.iter().find(|header| header.name == "X-Other")?;
            Some(String::from_utf8_lossy(other.value).into_owned())
        })
    }

    fn head(text: &str) -> ResponseHead<Option<String>> {
        let mut buffer = BytesMut::from(text);
        let head = take(&mut buffer).unwrap().unwrap();
        assert_eq!(&buffer[..], b"rest", "{text}");
        head
    }

    #[test]
    fn headers_are_read_in_any_case_and_the_caller_sees_all_of_them() {
        let read = head("HTTP/1.1 429 Too Many\r\nContent-LENGTH: 4\r\nX-Other: \u{e9}\r\n\r\nrest");
        assert_eq!((read.status.as_u16(), read.headers.as_deref()), (429, Some("\u{e9}")));
        assert_eq!((read.decoder, read.keep_alive), (BodyDecoder::Length(4), true));
    }

    #[test]
    fn the_framing_is_that_of_the_standard() {
        let framing = |version: &str, fields: &str| {
            let read = head(&format!("HTTP/{version} 200 OK\r\n{fields}\r\n\r\nrest"));
            (read.decoder, read.keep_alive)
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
        assert_eq!((empty.decoder, empty.keep_alive), (BodyDecoder::Length(0), true));
    }

    #[test]
    fn informational_answers_are_passed_over_and_upgrades_refused() {
        let read =
            head("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early\r\nlink: x\r\n\r\nHTTP/1.1 200 OK\r\n\r\nrest");
        assert_eq!(read.status, StatusCode::OK);
        let mut half = BytesMut::from("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 20");
        assert!(take(&mut half).unwrap().is_none());
        assert_eq!(&half[..], b"HTTP/1.1 20");
        assert!(take(&mut BytesMut::from("HTTP/1.1 101 Switching\r\n\r\n")).is_err());
    }

    #[test]
    fn what_is_not_http_is_refused() {
        let long = format!("HTTP/1.1 200 OK\r\nx: {}", "y".repeat(MAX_HEAD));
        let many = format!("HTTP/1.1 200 OK\r\n{}\r\n", "x: y\r\n".repeat(MAX_HEADERS + 1));
        let fields = ["content-length: -1", "content-length: 1\r\ncontent-length: 2", "content-length: 1, 1", "x y: z"];
        let bad = fields.map(|fields| format!("HTTP/1.1 200 OK\r\n{fields}\r\n\r\n"));
        let old = "HTTP/1.0 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
        for text in bad.iter().map(String::as_str).chain([old, "hello\r\n\r\n", "HTTP/2 200\r\n\r\n", &*long, &*many]) {
            let short: String = text.chars().take(60).collect();
            assert!(matches!(take(&mut BytesMut::from(text)), Err(Error::Malformed(_))), "{short}");
        }
        assert!(take(&mut BytesMut::from("HTTP/1.1 200")).unwrap().is_none());
    }
}
