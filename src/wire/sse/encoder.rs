//! Frames as petstream writes them on chat streams: one `data:` line, LF only, nothing else.

use bytes::BytesMut;

/// The frame after which nothing follows.
pub const DONE: &[u8] = b"data: [DONE]\n\n";

/// A heartbeat: a comment is the one form of silence that all SDKs survive.
pub const KEEP_ALIVE: &[u8] = b": keep-alive\n\n";

/// Appends `data` as one frame.
///
/// Line ends within become blanks, since `data` is JSON, where raw line ends are only white space
/// between tokens: a strict client must get one `data:` line, and a lone CR must not end one.
pub fn push_frame(out: &mut BytesMut, data: &[u8]) {
    push(out, &[data], push_in_one_line);
}

/// Appends the pieces of what is one line already as one frame.
pub fn push_frame_parts(out: &mut BytesMut, line: &[&[u8]]) {
    push(out, line, |out, piece| out.extend_from_slice(piece));
}

fn push(out: &mut BytesMut, data: &[&[u8]], mut piece: impl FnMut(&mut BytesMut, &[u8])) {
    let room = data.iter().map(|piece| piece.len()).sum::<usize>() + 8;
    if out.capacity() == 0 {
        // To the byte: a buffer that is full can be given away as it is.
        *out = BytesMut::with_capacity(room);
    }
    out.reserve(room);
    out.extend_from_slice(b"data: ");
    data.iter().for_each(|data| piece(out, data));
    out.extend_from_slice(b"\n\n");
}

fn push_in_one_line(out: &mut BytesMut, mut rest: &[u8]) {
    while let Some(at) = memchr::memchr2(b'\n', b'\r', rest) {
        out.extend_from_slice(&rest[..at]);
        out.extend_from_slice(b" ");
        rest = &rest[at + 1..];
    }
    out.extend_from_slice(rest);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn line_ends_in_json_become_blanks() {
        let mut out = BytesMut::new();
        push_frame(&mut out, b"{\"a\":\r\n1,\n\"b\":2}");
        assert_eq!(&out[..], b"data: {\"a\":  1, \"b\":2}\n\n");
    }
}
