//! The frames of chat streams: one `data:` line each, which ends with LF.

use bytes::BytesMut;

/// The last frame of a chat stream.
pub const DONE: &[u8] = b"data: [DONE]\n\n";

/// A heartbeat: a comment, which all SDKs ignore.
pub const KEEP_ALIVE: &[u8] = b": keep-alive\n\n";

/// Appends `data`, which must be JSON, as one frame. Raw line ends become spaces: in JSON they are only white space
/// between tokens, and in an event stream they would end the `data` line.
///
/// ```
/// use petstream::wire::sse::push_frame;
///
/// let mut out = bytes::BytesMut::new();
/// push_frame(&mut out, b"{\"a\":\n1}");
/// assert_eq!(&out[..], b"data: {\"a\": 1}\n\n");
/// ```
pub fn push_frame(out: &mut BytesMut, data: &[u8]) {
    push(out, &[data], push_in_one_line);
}

/// Appends one frame whose data is given in parts; no part may have a line end.
pub(crate) fn push_frame_parts(out: &mut BytesMut, parts: &[&[u8]]) {
    push(out, parts, |out, part| out.extend_from_slice(part));
}

fn push(out: &mut BytesMut, parts: &[&[u8]], mut push_part: impl FnMut(&mut BytesMut, &[u8])) {
    let length = parts.iter().map(|part| part.len()).sum::<usize>() + 8;
    if out.capacity() == 0 {
        // The exact size: a full buffer is frozen without a copy.
        *out = BytesMut::with_capacity(length);
    }
    out.reserve(length);
    out.extend_from_slice(b"data: ");
    parts.iter().for_each(|part| push_part(out, part));
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
    fn line_ends_in_json_become_spaces() {
        let mut out = BytesMut::new();
        push_frame(&mut out, b"{\"a\":\r\n1,\n\"b\":2}");
        assert_eq!(&out[..], b"data: {\"a\":  1, \"b\":2}\n\n");
    }
}
