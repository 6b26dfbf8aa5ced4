//! The head of an answer, and how its body is framed.

use std::io;

use bytes::{Bytes, BytesMut};
use http::header::{CONNECTION, CONTENT_LENGTH, DATE, TRANSFER_ENCODING};
use http::response::Parts;
use http::{HeaderMap, StatusCode};
use jiff::Timestamp;

use super::date::with_date;
use super::request_head::ResponseContext;
use super::write_buffer::{COPY_THRESHOLD, WriteBuffer};
use crate::http::codec::{decimal, has_token, write_header};

/// Room for a head without its fields, bytes.
const MIN_HEAD: usize = 192;
/// Room for each of its fields.
const FIELD: usize = 48;

/// How a body is framed, and what is left of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BodyEncoder {
    /// So many bytes.
    Length(u64),
    /// In chunks.
    Chunked,
    /// Until the connection closes, for those who know no chunks.
    Close,
    /// Nothing more comes.
    Over,
}

/// Writes the head of an answer whose body has this `length`, where it is known. `keeps`: the connection goes on behind it;
/// unset where it can't.
pub(super) fn write(
    out: &mut BytesMut,
    parts: &Parts,
    length: Option<u64>,
    context: ResponseContext,
    keeps: &mut bool,
) -> BodyEncoder {
    let Parts { status, headers, .. } = parts;
    // With the body behind it, if that is short: it follows at once.
    let short = length.and_then(|length| usize::try_from(length).ok()).filter(|length| *length <= COPY_THRESHOLD);
    out.reserve(MIN_HEAD + headers.len() * FIELD + short.unwrap_or(0));
    line(out, *status);
    // Those have no body, nor a length of it (RFC 9110, section 8.6).
    let lengthless = status.is_informational() || *status == StatusCode::NO_CONTENT;
    // It has no body either, and says so (RFC 9110, section 15.3.6).
    let reset = *status == StatusCode::RESET_CONTENT;
    let fields = ServiceHeaders::write(out, headers, lengthless || reset);
    let bodiless = lengthless || *status == StatusCode::NOT_MODIFIED;
    // Whoever answered HEAD may have left the body out before it came here.
    let unknown = context.head_only && length == Some(0);
    let length = if reset { Some(0) } else { fields.length.or(length.filter(|_| !unknown)) };
    let coding = match length {
        _ if bodiless => BodyEncoder::Over,
        None if unknown => BodyEncoder::Over,
        Some(length) => {
            if fields.length.is_none() {
                write_header(out, "content-length", itoa::Buffer::new().format(length).as_bytes());
            }
            if length == 0 { BodyEncoder::Over } else { BodyEncoder::Length(length) }
        }
        None if context.is_http_11 => {
            write_header(out, "transfer-encoding", b"chunked");
            BodyEncoder::Chunked
        }
        None => BodyEncoder::Close,
    };
    let coding = if context.head_only { BodyEncoder::Over } else { coding };
    *keeps &= !fields.close && coding != BodyEncoder::Close;
    if !*keeps {
        write_header(out, "connection", b"close");
    } else if !context.is_http_11 {
        write_header(out, "connection", b"keep-alive");
    }
    if !fields.date {
        with_date(Timestamp::now(), |date| write_header(out, "date", date.as_bytes()));
    }
    out.extend_from_slice(b"\r\n");
    coding
}

fn line(out: &mut BytesMut, status: StatusCode) {
    if status == StatusCode::OK {
        out.extend_from_slice(b"HTTP/1.1 200 OK\r\n");
        return;
    }
    let reason = status.canonical_reason().unwrap_or_default();
    for piece in ["HTTP/1.1 ", status.as_str(), " ", reason, "\r\n"] {
        out.extend_from_slice(piece.as_bytes());
    }
}

/// What the service's own fields say of things that are the connection's.
#[derive(Default)]
struct ServiceHeaders {
    length: Option<u64>,
    close: bool,
    date: bool,
}

impl ServiceHeaders {
    /// Writes them, but for those that only the connection can know.
    fn write(out: &mut BytesMut, headers: &HeaderMap, lengthless: bool) -> Self {
        let mut fields = Self::default();
        for (name, value) in headers {
            match *name {
                CONNECTION => {
                    fields.close |= has_token(value.as_bytes(), "close");
                    continue;
                }
                TRANSFER_ENCODING => continue,
                CONTENT_LENGTH => {
                    let length = decimal(value.as_bytes());
                    if lengthless || length.is_none() || fields.length.is_some() {
                        continue;
                    }
                    fields.length = length;
                }
                DATE => fields.date = true,
                _ => {}
            }
            write_header(out, name.as_str(), value.as_bytes());
        }
        fields
    }
}

impl BodyEncoder {
    /// Adds the next piece of the body, `last` where it is known that nothing follows.
    pub(super) fn push(&mut self, out: &mut WriteBuffer, mut piece: Bytes, last: bool) -> io::Result<()> {
        if piece.is_empty() {
            return if last { self.end(out) } else { Ok(()) };
        }
        match self {
            Self::Length(left) => {
                // What was not promised can't be sent: it would be taken for the next answer.
                piece.truncate(usize::try_from(*left).unwrap_or(usize::MAX));
                *left -= piece.len() as u64;
                out.push(b"", piece, b"");
                if *left == 0 {
                    *self = Self::Over;
                } else if last {
                    return self.end(out);
                }
            }
            Self::Chunked => {
                let (size, at) = hexadecimal(piece.len());
                out.push(&size[at..], piece, if last { b"\r\n0\r\n\r\n" } else { b"\r\n" });
                if last {
                    *self = Self::Over;
                }
            }
            Self::Close => {
                out.push(b"", piece, b"");
                if last {
                    *self = Self::Over;
                }
            }
            Self::Over => {}
        }
        Ok(())
    }

    /// The body has ended.
    ///
    /// # Errors
    /// When it is shorter than promised.
    pub(super) fn end(&mut self, out: &mut WriteBuffer) -> io::Result<()> {
        match std::mem::replace(self, Self::Over) {
            Self::Length(_) => return Err(io::Error::other("an answer is shorter than its length")),
            Self::Chunked => out.buffer().extend_from_slice(b"0\r\n\r\n"),
            Self::Close | Self::Over => {}
        }
        Ok(())
    }
}

/// A chunk's size with its line end, and where it begins.
fn hexadecimal(mut size: usize) -> ([u8; 18], usize) {
    let mut line = *b"0000000000000000\r\n";
    let mut at = 16;
    while size > 0 {
        at -= 1;
        line[at] = b"0123456789abcdef"[size % 16];
        size /= 16;
    }
    (line, at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_hexadecimal() {
        for size in [1, 9, 10, 15, 16, 255, 256, 4_096, 0xfeed_beef, usize::MAX] {
            let (line, at) = hexadecimal(size);
            assert_eq!(String::from_utf8_lossy(&line[at..]), format!("{size:x}\r\n"));
        }
    }

    fn head(
        response: http::response::Builder,
        length: Option<u64>,
        context: ResponseContext,
    ) -> (String, BodyEncoder, bool) {
        let (parts, ()) = response.body(()).unwrap().into_parts();
        let (mut out, mut keeps) = (BytesMut::new(), true);
        let coding = write(&mut out, &parts, length, context, &mut keeps);
        let text = String::from_utf8(out.to_vec()).unwrap();
        let dated = text.find("date: ").unwrap();
        let end = text[dated..].find("\r\n").unwrap() + dated + 2;
        (format!("{}{}", &text[..dated], &text[end..]), coding, keeps)
    }

    #[test]
    fn a_head_says_how_its_body_is_framed() {
        let usual = ResponseContext { head_only: false, is_http_11: true };
        let old = ResponseContext { head_only: false, is_http_11: false };
        let only = ResponseContext { head_only: true, is_http_11: true };
        let ok = || http::Response::builder().header("x-a", "b");
        for (response, length, context, text, coding, keeps) in [
            (
                ok(),
                Some(3),
                usual,
                "HTTP/1.1 200 OK\r\nx-a: b\r\ncontent-length: 3\r\n\r\n",
                BodyEncoder::Length(3),
                true,
            ),
            (ok(), Some(0), usual, "HTTP/1.1 200 OK\r\nx-a: b\r\ncontent-length: 0\r\n\r\n", BodyEncoder::Over, true),
            (
                ok(),
                None,
                usual,
                "HTTP/1.1 200 OK\r\nx-a: b\r\ntransfer-encoding: chunked\r\n\r\n",
                BodyEncoder::Chunked,
                true,
            ),
            (ok(), None, old, "HTTP/1.1 200 OK\r\nx-a: b\r\nconnection: close\r\n\r\n", BodyEncoder::Close, false),
            (
                ok(),
                Some(3),
                old,
                "HTTP/1.1 200 OK\r\nx-a: b\r\ncontent-length: 3\r\nconnection: keep-alive\r\n\r\n",
                BodyEncoder::Length(3),
                true,
            ),
            (ok(), Some(3), only, "HTTP/1.1 200 OK\r\nx-a: b\r\ncontent-length: 3\r\n\r\n", BodyEncoder::Over, true),
            (
                ok().header("content-length", "7"),
                Some(0),
                only,
                "HTTP/1.1 200 OK\r\nx-a: b\r\ncontent-length: 7\r\n\r\n",
                BodyEncoder::Over,
                true,
            ),
            (
                ok().status(404).header("connection", "x, Close"),
                Some(1),
                usual,
                "HTTP/1.1 404 Not Found\r\nx-a: b\r\ncontent-length: 1\r\nconnection: close\r\n\r\n",
                BodyEncoder::Length(1),
                false,
            ),
            (ok(), Some(0), only, "HTTP/1.1 200 OK\r\nx-a: b\r\n\r\n", BodyEncoder::Over, true),
        ] {
            assert_eq!(head(response, length, context), (text.to_owned(), coding, keeps));
        }
    }

    #[test]
    fn statuses_that_have_no_body_promise_none() {
        let usual = ResponseContext { head_only: false, is_http_11: true };
        let ok = || http::Response::builder().header("x-a", "b");
        for (response, length, context, text, coding, keeps) in [
            (
                ok().status(205).header("content-length", "3"),
                Some(3),
                usual,
                "HTTP/1.1 205 Reset Content\r\nx-a: b\r\ncontent-length: 0\r\n\r\n",
                BodyEncoder::Over,
                true,
            ),
            (ok().status(304), None, usual, "HTTP/1.1 304 Not Modified\r\nx-a: b\r\n\r\n", BodyEncoder::Over, true),
            (ok().status(204), Some(0), usual, "HTTP/1.1 204 No Content\r\nx-a: b\r\n\r\n", BodyEncoder::Over, true),
            (
                ok().status(204).header("content-length", "3"),
                Some(3),
                usual,
                "HTTP/1.1 204 No Content\r\nx-a: b\r\n\r\n",
                BodyEncoder::Over,
                true,
            ),
        ] {
            assert_eq!(head(response, length, context), (text.to_owned(), coding, keeps));
        }
    }

    #[test]
    fn a_body_is_never_longer_than_promised_and_one_that_is_shorter_is_an_error() {
        let mut out = WriteBuffer::default();
        let mut coding = BodyEncoder::Length(3);
        coding.push(&mut out, Bytes::from_static(b"abcd"), false).unwrap();
        assert_eq!((&out.buffer()[..], coding), (&b"abc"[..], BodyEncoder::Over));
        assert!(BodyEncoder::Length(3).end(&mut out).is_err());
        assert!(BodyEncoder::Length(3).push(&mut out, Bytes::from_static(b"ab"), true).is_err());
    }
}
