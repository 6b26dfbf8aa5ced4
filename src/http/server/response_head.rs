//! The head of a response, and the framing of its body.

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

/// Reserved for a head without the service's headers, bytes.
const HEAD_CAPACITY: usize = 192;
/// Reserved for each header of the service, bytes.
const HEADER_CAPACITY: usize = 48;

/// Encodes the body of a response. The variants are the framings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BodyEncoder {
    /// `content-length`: this many bytes are left.
    Length(u64),
    /// `transfer-encoding: chunked`.
    Chunked,
    /// The body ends when the connection is closed: for HTTP/1.0, which has no chunks.
    UntilClose,
    /// The body is complete, or the response has none.
    Done,
}

/// Writes the head of a response; `length` is that of its body, if known. Unsets `keep_alive` if the connection must be
/// closed after the response.
pub(super) fn write(
    out: &mut BytesMut,
    parts: &Parts,
    length: Option<u64>,
    context: ResponseContext,
    keep_alive: &mut bool,
) -> BodyEncoder {
    let Parts { status, headers, .. } = parts;
    // A short body is appended to the same buffer at once.
    let short = length.and_then(|length| usize::try_from(length).ok()).filter(|length| *length <= COPY_THRESHOLD);
    out.reserve(HEAD_CAPACITY + headers.len() * HEADER_CAPACITY + short.unwrap_or(0));
    write_status_line(out, *status);
    // These statuses have neither a body nor a `content-length` (RFC 9110, section 8.6).
    let omits_length = status.is_informational() || *status == StatusCode::NO_CONTENT;
    // This one has no body, and `content-length: 0` (RFC 9110, section 15.3.6).
    let is_reset = *status == StatusCode::RESET_CONTENT;
    let written = ServiceHeaders::write(out, headers, omits_length || is_reset);
    let has_no_body = omits_length || *status == StatusCode::NOT_MODIFIED;
    // The service may have left out the body of a response to HEAD, so an empty one does not tell the length.
    let is_length_unknown = context.head_only && length == Some(0);
    let length = if is_reset { Some(0) } else { written.length.or(length.filter(|_| !is_length_unknown)) };
    let encoder = match length {
        _ if has_no_body => BodyEncoder::Done,
        None if is_length_unknown => BodyEncoder::Done,
        Some(length) => {
            if written.length.is_none() {
                write_header(out, "content-length", itoa::Buffer::new().format(length).as_bytes());
            }
            if length == 0 { BodyEncoder::Done } else { BodyEncoder::Length(length) }
        }
        None if context.is_http_11 => {
            write_header(out, "transfer-encoding", b"chunked");
            BodyEncoder::Chunked
        }
        None => BodyEncoder::UntilClose,
    };
    let encoder = if context.head_only { BodyEncoder::Done } else { encoder };
    *keep_alive &= !written.close && encoder != BodyEncoder::UntilClose;
    if !*keep_alive {
        write_header(out, "connection", b"close");
    } else if !context.is_http_11 {
        write_header(out, "connection", b"keep-alive");
    }
    if !written.date {
        with_date(Timestamp::now(), |date| write_header(out, "date", date.as_bytes()));
    }
    out.extend_from_slice(b"\r\n");
    encoder
}

fn write_status_line(out: &mut BytesMut, status: StatusCode) {
    if status == StatusCode::OK {
        out.extend_from_slice(b"HTTP/1.1 200 OK\r\n");
        return;
    }
    let reason = status.canonical_reason().unwrap_or_default();
    for piece in ["HTTP/1.1 ", status.as_str(), " ", reason, "\r\n"] {
        out.extend_from_slice(piece.as_bytes());
    }
}

/// The headers of the service that concern the framing of the response and the connection.
#[derive(Default)]
struct ServiceHeaders {
    length: Option<u64>,
    close: bool,
    date: bool,
}

impl ServiceHeaders {
    /// Writes the headers of the service. Left out are `connection` and `transfer-encoding`, which the connection sets,
    /// an invalid or repeated `content-length`, and every `content-length` if `omits_length`.
    fn write(out: &mut BytesMut, headers: &HeaderMap, omits_length: bool) -> Self {
        let mut written = Self::default();
        for (name, value) in headers {
            match *name {
                CONNECTION => {
                    written.close |= has_token(value.as_bytes(), "close");
                    continue;
                }
                TRANSFER_ENCODING => continue,
                CONTENT_LENGTH => {
                    let length = decimal(value.as_bytes());
                    if omits_length || length.is_none() || written.length.is_some() {
                        continue;
                    }
                    written.length = length;
                }
                DATE => written.date = true,
                _ => {}
            }
            write_header(out, name.as_str(), value.as_bytes());
        }
        written
    }
}

impl BodyEncoder {
    /// Encodes the next piece of the body. `last`: it is known that no other piece follows.
    ///
    /// # Errors
    /// If the body ends before its `content-length`.
    pub(super) fn push(&mut self, out: &mut WriteBuffer, mut piece: Bytes, last: bool) -> io::Result<()> {
        if piece.is_empty() {
            return if last { self.end(out) } else { Ok(()) };
        }
        match self {
            Self::Length(left) => {
                // Bytes beyond the `content-length` are not sent: the client would take them for the next response.
                piece.truncate(usize::try_from(*left).unwrap_or(usize::MAX));
                *left -= piece.len() as u64;
                out.push(b"", piece, b"");
                if *left == 0 {
                    *self = Self::Done;
                } else if last {
                    return self.end(out);
                }
            }
            Self::Chunked => {
                let (size, at) = chunk_size_line(piece.len());
                out.push(&size[at..], piece, if last { b"\r\n0\r\n\r\n" } else { b"\r\n" });
                if last {
                    *self = Self::Done;
                }
            }
            Self::UntilClose => {
                out.push(b"", piece, b"");
                if last {
                    *self = Self::Done;
                }
            }
            Self::Done => {}
        }
        Ok(())
    }

    /// Ends the body.
    ///
    /// # Errors
    /// If it is shorter than its `content-length`.
    pub(super) fn end(&mut self, out: &mut WriteBuffer) -> io::Result<()> {
        match std::mem::replace(self, Self::Done) {
            Self::Length(_) => return Err(io::Error::other("an answer is shorter than its length")),
            Self::Chunked => out.buffer().extend_from_slice(b"0\r\n\r\n"),
            Self::UntilClose | Self::Done => {}
        }
        Ok(())
    }
}

/// The line with the size of a chunk, and the offset of its first digit.
fn chunk_size_line(mut size: usize) -> ([u8; 18], usize) {
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
    fn chunk_sizes_are_hexadecimal() {
        for size in [1, 9, 10, 15, 16, 255, 256, 4_096, 0xfeed_beef, usize::MAX] {
            let (line, at) = chunk_size_line(size);
            assert_eq!(String::from_utf8_lossy(&line[at..]), format!("{size:x}\r\n"));
        }
    }

    fn head(
        response: http::response::Builder,
        length: Option<u64>,
        context: ResponseContext,
    ) -> (String, BodyEncoder, bool) {
        let (parts, ()) = response.body(()).unwrap().into_parts();
        let (mut out, mut keep_alive) = (BytesMut::new(), true);
        let encoder = write(&mut out, &parts, length, context, &mut keep_alive);
        let text = String::from_utf8(out.to_vec()).unwrap();
        let dated = text.find("date: ").unwrap();
        let end = text[dated..].find("\r\n").unwrap() + dated + 2;
        (format!("{}{}", &text[..dated], &text[end..]), encoder, keep_alive)
    }

    #[test]
    fn a_head_contains_the_framing_of_its_body() {
        let usual = ResponseContext { head_only: false, is_http_11: true };
        let old = ResponseContext { head_only: false, is_http_11: false };
        let only = ResponseContext { head_only: true, is_http_11: true };
        let ok = || http::Response::builder().header("x-a", "b");
        for (response, length, context, text, encoder, keep_alive) in [
            (
                ok(),
                Some(3),
                usual,
                "HTTP/1.1 200 OK\r\nx-a: b\r\ncontent-length: 3\r\n\r\n",
                BodyEncoder::Length(3),
                true,
            ),
            (ok(), Some(0), usual, "HTTP/1.1 200 OK\r\nx-a: b\r\ncontent-length: 0\r\n\r\n", BodyEncoder::Done, true),
            (
                ok(),
                None,
                usual,
                "HTTP/1.1 200 OK\r\nx-a: b\r\ntransfer-encoding: chunked\r\n\r\n",
                BodyEncoder::Chunked,
                true,
            ),
            (ok(), None, old, "HTTP/1.1 200 OK\r\nx-a: b\r\nconnection: close\r\n\r\n", BodyEncoder::UntilClose, false),
            (
                ok(),
                Some(3),
                old,
                "HTTP/1.1 200 OK\r\nx-a: b\r\ncontent-length: 3\r\nconnection: keep-alive\r\n\r\n",
                BodyEncoder::Length(3),
                true,
            ),
            (ok(), Some(3), only, "HTTP/1.1 200 OK\r\nx-a: b\r\ncontent-length: 3\r\n\r\n", BodyEncoder::Done, true),
            (
                ok().header("content-length", "7"),
                Some(0),
                only,
                "HTTP/1.1 200 OK\r\nx-a: b\r\ncontent-length: 7\r\n\r\n",
                BodyEncoder::Done,
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
            (ok(), Some(0), only, "HTTP/1.1 200 OK\r\nx-a: b\r\n\r\n", BodyEncoder::Done, true),
        ] {
            assert_eq!(head(response, length, context), (text.to_owned(), encoder, keep_alive));
        }
    }

    #[test]
    fn statuses_without_a_body_have_no_length_or_zero() {
        let usual = ResponseContext { head_only: false, is_http_11: true };
        let ok = || http::Response::builder().header("x-a", "b");
        for (response, length, context, text, encoder, keep_alive) in [
            (
                ok().status(205).header("content-length", "3"),
                Some(3),
                usual,
                "HTTP/1.1 205 Reset Content\r\nx-a: b\r\ncontent-length: 0\r\n\r\n",
                BodyEncoder::Done,
                true,
            ),
            (ok().status(304), None, usual, "HTTP/1.1 304 Not Modified\r\nx-a: b\r\n\r\n", BodyEncoder::Done, true),
            (ok().status(204), Some(0), usual, "HTTP/1.1 204 No Content\r\nx-a: b\r\n\r\n", BodyEncoder::Done, true),
            (
                ok().status(204).header("content-length", "3"),
                Some(3),
                usual,
                "HTTP/1.1 204 No Content\r\nx-a: b\r\n\r\n",
                BodyEncoder::Done,
                true,
            ),
        ] {
            assert_eq!(head(response, length, context), (text.to_owned(), encoder, keep_alive));
        }
    }

    #[test]
    fn a_body_is_cut_at_its_content_length_and_a_shorter_one_is_an_error() {
        let mut out = WriteBuffer::default();
        let mut encoder = BodyEncoder::Length(3);
        encoder.push(&mut out, Bytes::from_static(b"abcd"), false).unwrap();
        assert_eq!((&out.buffer()[..], encoder), (&b"abc"[..], BodyEncoder::Done));
        assert!(BodyEncoder::Length(3).end(&mut out).is_err());
        assert!(BodyEncoder::Length(3).push(&mut out, Bytes::from_static(b"ab"), true).is_err());
    }
}
