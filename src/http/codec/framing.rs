//! Where a body ends, and what of the bytes that came is body: RFC 9112, sections 6 and 7.

use bytes::{Buf, Bytes, BytesMut};
use http::HeaderName;

/// Longest line of a chunk's size with its extensions, bytes.
const MAX_LINE: usize = 4 * 1024;
/// Most bytes of all trailers. They say nothing that anybody needs here, and are passed over.
const MAX_TRAILERS: usize = 16 * 1024;

/// Pieces up to this are copied, which costs no more than to share the buffer that they came in, and leaves that free to be
/// used again at once.
const COPY_THRESHOLD: usize = 1024;

/// How a body is framed, and how far it has been read.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum BodyDecoder {
    /// So many bytes are left.
    Length(u64),
    /// In chunks.
    Chunked(ChunkedDecoder),
    /// Until the connection closes.
    Close,
}

/// What comes next of a body in chunks.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum ChunkedDecoder {
    /// The line with the next chunk's size.
    Size,
    /// So many bytes of a chunk.
    Data(u64),
    /// The line end behind a chunk.
    Behind,
    /// Trailers, of which so many bytes have been passed over, and the empty line at the very end.
    Trailers(usize),
    /// Nothing.
    Ended,
}

/// What there is.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Decoded {
    /// The next bytes of the body; never none.
    Data(Bytes),
    /// Nothing until more has been received.
    More,
    /// The end.
    End,
}

/// The framing is not what the standard allows.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Broken;

impl BodyDecoder {
    /// Takes the next piece of the body out of `inbox`, uncopied unless it is short.
    pub(crate) fn next(&mut self, inbox: &mut BytesMut) -> Result<Decoded, Broken> {
        match self {
            Self::Length(0) => Ok(Decoded::End),
            Self::Length(left) => Ok(take(left, inbox)),
            Self::Chunked(chunks) => chunks.next(inbox),
            Self::Close if inbox.is_empty() => Ok(Decoded::More),
            Self::Close => Ok(Decoded::Data(inbox.split().freeze())),
        }
    }
}

impl ChunkedDecoder {
    fn next(&mut self, inbox: &mut BytesMut) -> Result<Decoded, Broken> {
        loop {
            match self {
                Self::Data(left) => {
                    let piece = take(left, inbox);
                    if *left == 0 {
                        *self = Self::Behind;
                    }
                    return Ok(piece);
                }
                Self::Ended => return Ok(Decoded::End),
                Self::Behind => {
                    if inbox.len() < 2 {
                        return if b"\r\n".starts_with(inbox) { Ok(Decoded::More) } else { Err(Broken) };
                    }
                    if !inbox.starts_with(b"\r\n") {
                        return Err(Broken);
                    }
                    inbox.advance(2);
                    *self = Self::Size;
                }
                Self::Size => {
                    let Some(length) = line(inbox, MAX_LINE)? else { return Ok(Decoded::More) };
                    let size = size(&inbox[..length])?;
                    inbox.advance(length + 2);
                    *self = if size == 0 { Self::Trailers(0) } else { Self::Data(size) };
                }
                Self::Trailers(passed) => {
                    let Some(length) = line(inbox, MAX_TRAILERS - *passed)? else { return Ok(Decoded::More) };
                    if length > 0 && !is_field(&inbox[..length]) {
                        return Err(Broken);
                    }
                    inbox.advance(length + 2);
                    *passed = (*passed + length + 2).min(MAX_TRAILERS);
                    if length == 0 {
                        *self = Self::Ended;
                    }
                }
            }
        }
    }
}

/// What `inbox` has of the bytes that are left.
fn take(left: &mut u64, inbox: &mut BytesMut) -> Decoded {
    let count = inbox.len().min(usize::try_from(*left).unwrap_or(usize::MAX));
    if count == 0 {
        return Decoded::More;
    }
    *left -= count as u64;
    if count <= COPY_THRESHOLD {
        let data = Bytes::copy_from_slice(&inbox[..count]);
        inbox.advance(count);
        return Decoded::Data(data);
    }
    // All of it: nothing of the buffer is left behind that would keep it alive.
    let data = if count == inbox.len() { std::mem::take(inbox) } else { inbox.split_to(count) };
    Decoded::Data(data.freeze())
}

/// The length of the first line without its end, if all of it is there.
fn line(inbox: &BytesMut, most: usize) -> Result<Option<usize>, Broken> {
    match memchr::memchr(b'\n', inbox) {
        // A carriage return of its own might end the line for somebody else.
        Some(at) if at > 0 && at <= most + 1 && memchr::memchr(b'\r', &inbox[..at]) == Some(at - 1) => Ok(Some(at - 1)),
        Some(_) => Err(Broken),
        None if inbox.len() > most + 1 => Err(Broken),
        None => Ok(None),
    }
}

/// Whether a line is a field: a name, directly behind it a colon, and a value without control characters (RFC 9112,
/// section 5). A line that begins with a blank goes on with the one before it, which nobody may send any more.
fn is_field(line: &[u8]) -> bool {
    let Some(colon) = memchr::memchr(b':', line) else { return false };
    HeaderName::from_bytes(&line[..colon]).is_ok() && !line[colon..].iter().any(is_control)
}

/// Control characters but for the tab.
const fn is_control(byte: &u8) -> bool {
    byte.is_ascii_control() && *byte != b'\t'
}

/// The size in a chunk's first line: hexadecimal digits, then perhaps extensions, which are nobody's business here.
fn size(line: &[u8]) -> Result<u64, Broken> {
    let mut size = 0_u64;
    let mut digits = 0;
    for digit in line.iter().map_while(|byte| char::from(*byte).to_digit(16)) {
        // Sixteen of them fill it.
        if digits == 16 {
            return Err(Broken);
        }
        size = size << 4 | u64::from(digit);
        digits += 1;
    }
    let rest =
        line[digits..].iter().position(|byte| !matches!(byte, b' ' | b'\t')).map_or(&[][..], |at| &line[digits + at..]);
    // A control character in an extension is nobody's, and might be a line's end for somebody else.
    let plain = rest.is_empty() || rest[0] == b';' && !rest.iter().any(is_control);
    if plain && digits > 0 { Ok(size) } else { Err(Broken) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All of a body that comes in these pieces, and whether its end was seen.
    fn read(mut framing: BodyDecoder, pieces: &[&[u8]]) -> Result<(String, bool), Broken> {
        let (mut inbox, mut body) = (BytesMut::new(), Vec::new());
        for piece in pieces {
            inbox.extend_from_slice(piece);
            loop {
                match framing.next(&mut inbox)? {
                    Decoded::Data(data) => body.extend_from_slice(&data),
                    Decoded::More => break,
                    Decoded::End => return Ok((String::from_utf8(body).unwrap(), true)),
                }
            }
        }
        Ok((String::from_utf8(body).unwrap(), false))
    }

    fn chunked(pieces: &[&[u8]]) -> Result<(String, bool), Broken> {
        read(BodyDecoder::Chunked(ChunkedDecoder::Size), pieces)
    }

    #[test]
    fn a_length_is_a_length() {
        assert_eq!(read(BodyDecoder::Length(5), &[b"ab", b"cdefg"]), Ok(("abcde".into(), true)));
        assert_eq!(read(BodyDecoder::Length(5), &[b"ab"]), Ok(("ab".into(), false)));
        assert_eq!(read(BodyDecoder::Length(0), &[b"x"]), Ok((String::new(), true)));
    }

    #[test]
    fn without_a_length_everything_is_body() {
        assert_eq!(read(BodyDecoder::Close, &[b"ab", b"c"]), Ok(("abc".into(), false)));
    }

    #[test]
    fn chunks_are_read_in_any_split() {
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
    fn what_stands_behind_the_end_is_left_alone() {
        let mut inbox = BytesMut::from(&b"1\r\na\r\n0\r\n\r\nHTTP"[..]);
        let mut framing = BodyDecoder::Chunked(ChunkedDecoder::Size);
        assert_eq!(framing.next(&mut inbox), Ok(Decoded::Data(Bytes::from_static(b"a"))));
        assert_eq!(framing.next(&mut inbox), Ok(Decoded::End));
        assert_eq!(&inbox[..], b"HTTP");
    }

    #[test]
    fn broken_framing_is_refused() {
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
            assert_eq!(chunked(&[bytes]), Err(Broken), "{}", String::from_utf8_lossy(&bytes[..bytes.len().min(40)]));
        }
        assert_eq!(chunked(&[b"ffffffffffffffff\r\na"]), Ok(("a".into(), false)));
    }
}
