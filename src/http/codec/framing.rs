//! Decodes the framing of a body: by a length, in chunks, or to the end of the connection (RFC 9112, sections 6 and 7).

use bytes::{Buf, Bytes, BytesMut};
use http::HeaderName;

/// Longest line with a chunk's size and extensions, bytes.
const MAX_SIZE_LINE: usize = 4 * 1024;
/// Most bytes of all trailers. They are skipped.
const MAX_TRAILERS: usize = 16 * 1024;

/// Pieces of up to this many bytes are copied: that costs no more than sharing the buffer, which can be used again at
/// once.
const COPY_THRESHOLD: usize = 1024;

/// Decoder of a body: its framing, and how much of it is left.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum BodyDecoder {
    /// This many bytes are left.
    Length(u64),
    /// In chunks.
    Chunked(ChunkedDecoder),
    /// To the end of the connection.
    Close,
}

/// The next part of a chunked body.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum ChunkedDecoder {
    /// The line with the next chunk's size.
    Size,
    /// This many bytes of a chunk's data.
    Data(u64),
    /// The line end behind a chunk's data.
    DataEnd,
    /// Trailers and the final empty line; this many bytes of them were skipped.
    Trailers(usize),
    /// Nothing.
    Ended,
}

/// A step of decoding.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Decoded {
    /// The next bytes of the body, never empty.
    Data(Bytes),
    /// More must be received first.
    More,
    /// The end of the body. What is left in the buffer stands behind it.
    End,
}

/// The framing is not valid.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct InvalidFraming;

impl BodyDecoder {
    /// Takes the next piece of the body out of `buffer`, without a copy unless it is short.
    pub(crate) fn next(&mut self, buffer: &mut BytesMut) -> Result<Decoded, InvalidFraming> {
        match self {
            Self::Length(0) => Ok(Decoded::End),
            Self::Length(left) => Ok(take(left, buffer)),
            Self::Chunked(chunks) => chunks.next(buffer),
            Self::Close if buffer.is_empty() => Ok(Decoded::More),
            Self::Close => Ok(Decoded::Data(buffer.split().freeze())),
        }
    }
}

impl ChunkedDecoder {
    fn next(&mut self, buffer: &mut BytesMut) -> Result<Decoded, InvalidFraming> {
        loop {
            match self {
                Self::Data(left) => {
                    let piece = take(left, buffer);
                    if *left == 0 {
                        *self = Self::DataEnd;
                    }
                    return Ok(piece);
                }
                Self::Ended => return Ok(Decoded::End),
                Self::DataEnd => {
                    if buffer.len() < 2 {
                        return if b"\r\n".starts_with(buffer) { Ok(Decoded::More) } else { Err(InvalidFraming) };
                    }
                    if !buffer.starts_with(b"\r\n") {
                        return Err(InvalidFraming);
                    }
                    buffer.advance(2);
                    *self = Self::Size;
                }
                Self::Size => {
                    let Some(length) = line(buffer, MAX_SIZE_LINE)? else { return Ok(Decoded::More) };
                    let size = size(&buffer[..length])?;
                    buffer.advance(length + 2);
                    *self = if size == 0 { Self::Trailers(0) } else { Self::Data(size) };
                }
                Self::Trailers(skipped) => {
                    let Some(length) = line(buffer, MAX_TRAILERS - *skipped)? else { return Ok(Decoded::More) };
                    if length > 0 && !is_header(&buffer[..length]) {
                        return Err(InvalidFraming);
                    }
                    buffer.advance(length + 2);
                    *skipped = (*skipped + length + 2).min(MAX_TRAILERS);
                    if length == 0 {
                        *self = Self::Ended;
                    }
                }
            }
        }
    }
}

/// Takes what `buffer` has of the bytes that are `left`.
fn take(left: &mut u64, buffer: &mut BytesMut) -> Decoded {
    let count = buffer.len().min(usize::try_from(*left).unwrap_or(usize::MAX));
    if count == 0 {
        return Decoded::More;
    }
    *left -= count as u64;
    if count <= COPY_THRESHOLD {
        let data = Bytes::copy_from_slice(&buffer[..count]);
        buffer.advance(count);
        return Decoded::Data(data);
    }
    // The buffer itself where it holds nothing else, so that no other handle keeps its memory.
    let data = if count == buffer.len() { std::mem::take(buffer) } else { buffer.split_to(count) };
    Decoded::Data(data.freeze())
}

/// The length of the first line without its end; none while it is incomplete. At most `max` bytes.
fn line(buffer: &BytesMut, max: usize) -> Result<Option<usize>, InvalidFraming> {
    match memchr::memchr(b'\n', buffer) {
        // A carriage return within the line may be a line end to another recipient.
        Some(at) if at > 0 && at <= max + 1 && memchr::memchr(b'\r', &buffer[..at]) == Some(at - 1) => Ok(Some(at - 1)),
        Some(_) => Err(InvalidFraming),
        None if buffer.len() > max + 1 => Err(InvalidFraming),
        None => Ok(None),
    }
}

/// Whether a line is a header: a name, directly behind it a colon, and a value without control characters (RFC 9112,
/// section 5). A line that begins with white space continues the one before it, which is obsolete and refused.
fn is_header(line: &[u8]) -> bool {
    let Some(colon) = memchr::memchr(b':', line) else { return false };
    HeaderName::from_bytes(&line[..colon]).is_ok() && !line[colon..].iter().any(is_control)
}

/// Control characters except the tab.
const fn is_control(byte: &u8) -> bool {
    byte.is_ascii_control() && *byte != b'\t'
}

/// The size in a chunk's first line: hexadecimal digits, then perhaps extensions, which are skipped.
fn size(line: &[u8]) -> Result<u64, InvalidFraming> {
    let mut size = 0_u64;
    let mut digits = 0;
    for digit in line.iter().map_while(|byte| char::from(*byte).to_digit(16)) {
        // Sixteen digits fill 64 bits.
        if digits == 16 {
            return Err(InvalidFraming);
        }
        size = size << 4 | u64::from(digit);
        digits += 1;
    }
    let rest =
        line[digits..].iter().position(|byte| !matches!(byte, b' ' | b'\t')).map_or(&[][..], |at| &line[digits + at..]);
    // A control character in an extension may be a line end to another recipient.
    let is_valid = rest.is_empty() || rest[0] == b';' && !rest.iter().any(is_control);
    if is_valid && digits > 0 { Ok(size) } else { Err(InvalidFraming) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All of a body that comes in these pieces, and whether its end was seen.
    fn read(mut decoder: BodyDecoder, pieces: &[&[u8]]) -> Result<(String, bool), InvalidFraming> {
        let (mut buffer, mut body) = (BytesMut::new(), Vec::new());
        for piece in pieces {
            buffer.extend_from_slice(piece);
            loop {
                match decoder.next(&mut buffer)? {
                    Decoded::Data(data) => body.extend_from_slice(&data),
                    Decoded::More => break,
                    Decoded::End => return Ok((String::from_utf8(body).unwrap(), true)),
                }
            }
        }
        Ok((String::from_utf8(body).unwrap(), false))
    }

    fn chunked(pieces: &[&[u8]]) -> Result<(String, bool), InvalidFraming> {
        read(BodyDecoder::Chunked(ChunkedDecoder::Size), pieces)
    }

    #[test]
    fn a_body_with_a_length_ends_there() {
        assert_eq!(read(BodyDecoder::Length(5), &[b"ab", b"cdefg"]), Ok(("abcde".into(), true)));
        assert_eq!(read(BodyDecoder::Length(5), &[b"ab"]), Ok(("ab".into(), false)));
        assert_eq!(read(BodyDecoder::Length(0), &[b"x"]), Ok((String::new(), true)));
    }

    #[test]
    fn without_a_length_the_body_ends_with_the_connection() {
        assert_eq!(read(BodyDecoder::Close, &[b"ab", b"c"]), Ok(("abc".into(), false)));
    }

    #[test]
    fn chunks_are_decoded_in_any_split() {
        let all = b"3\r\nabc\r\n00A ; x=\"y\"\r\n0123456789\r\nf\t\r\n0123456789abcde\r\n0\r\nDate: now\r\n\r\nrest";
        let body = "abc01234567890123456789abcde".to_owned();
        let bytewise: Vec<&[u8]> = all.chunks(1).collect();
        assert_eq!(chunked(&bytewise), Ok((body.clone(), true)));
        for at in 0..all.len() {
            assert_eq!(chunked(&[&all[..at], &all[at..]]), Ok((body.clone(), true)), "{at}");
        }
        assert_eq!(chunked(&[&all[..60]]).map(|(_, over)| over), Ok(false));
    }

    #[test]
    fn bytes_behind_the_end_stay_in_the_buffer() {
        let mut buffer = BytesMut::from(&b"1\r\na\r\n0\r\n\r\nHTTP"[..]);
        let mut decoder = BodyDecoder::Chunked(ChunkedDecoder::Size);
        assert_eq!(decoder.next(&mut buffer), Ok(Decoded::Data(Bytes::from_static(b"a"))));
        assert_eq!(decoder.next(&mut buffer), Ok(Decoded::End));
        assert_eq!(&buffer[..], b"HTTP");
    }

    #[test]
    fn invalid_framing_is_an_error() {
        let (long, trailers) = (b"1;".repeat(4_096), b"a: b\r\n".repeat(4_096));
        let long_trailers = [&b"0\r\n"[..], &trailers].concat();
        let bad: [&[u8]; 16] = [
            b"5\r\r\nabcde",
            b"5\x0c\r\nabcde",
            b"5;a\rb\r\nabcde",
            b"0\r\nx: \ry\r\n\r\n",
            b"\r\n",
            b"x\r\n",
            b"-1\r\na",
            b"0x1\r\na",
            b"1 2\r\na",
            b"1\na\r\n",
            b"1\r\nab\r\n",
            b"1\r\na\n0",
            b"1\r\na\rb",
            b"11111111111111111\r\n",
            &long,
            &long_trailers,
        ];
        for bytes in bad {
            assert_eq!(
                chunked(&[bytes]),
                Err(InvalidFraming),
                "{}",
                String::from_utf8_lossy(&bytes[..bytes.len().min(40)])
            );
        }
        assert_eq!(chunked(&[b"ffffffffffffffff\r\na"]), Ok(("a".into(), false)));
    }
}
