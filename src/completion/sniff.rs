//! The kind of an upstream's body, by its first bytes: content types are often wrong.

use bytes::{Bytes, BytesMut};

use crate::upstream::{Failure, UpstreamBody};

/// Most white space before the first word of a body, bytes.
const MAX_SPACE: usize = 1024;

/// The fields of an event stream, each with its colon; the one without a name is a comment.
const FIELDS: [&[u8]; 5] = [b"data:", b"event:", b"id:", b"retry:", b":"];

const BOM: &[u8] = b"\xEF\xBB\xBF";

/// The kind of a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A stream of events.
    Events,
    /// JSON.
    Json,
    /// Neither.
    Other,
}

/// Reads the body until its kind is known. Returns the kind, and the bytes read so far.
pub(super) async fn sniff(body: &mut UpstreamBody) -> Result<(Kind, Bytes), Failure> {
    let mut begin = Bytes::new();
    loop {
        if let Some(kind) = kind(&begin) {
            return Ok((kind, begin));
        }
        let Some(more) = body.data().await else { return Ok((Kind::Other, begin)) };
        let more = more?;
        if begin.is_empty() {
            begin = more;
        } else {
            let mut joined = BytesMut::from(begin);
            joined.extend_from_slice(&more);
            begin = joined.freeze();
        }
    }
}

/// The kind of a body with this beginning; none: more is needed.
fn kind(begin: &[u8]) -> Option<Kind> {
    if begin.len() < BOM.len() && BOM.starts_with(begin) {
        return None;
    }
    let text = begin.strip_prefix(BOM).unwrap_or(begin).trim_ascii_start();
    match text.first() {
        None => (begin.len() > MAX_SPACE).then_some(Kind::Other),
        Some(b'{' | b'[') => Some(Kind::Json),
        _ if FIELDS.iter().any(|field| text.starts_with(field)) => Some(Kind::Events),
        _ if FIELDS.iter().any(|field| field.starts_with(text)) => None,
        _ => Some(Kind::Other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_word_decides() {
        for (begin, is) in [
            ("data: {}", Some(Kind::Events)),
            ("data:", Some(Kind::Events)),
            ("event: ping\ndata: {}", Some(Kind::Events)),
            ("id: 1", Some(Kind::Events)),
            ("retry: 5", Some(Kind::Events)),
            (": OPENROUTER PROCESSING", Some(Kind::Events)),
            ("\n\r\n data: {}", Some(Kind::Events)),
            ("\u{feff}data: {}", Some(Kind::Events)),
            ("\u{feff}{\"error\":1}", Some(Kind::Json)),
            ("{", Some(Kind::Json)),
            ("\n\n[", Some(Kind::Json)),
            ("<html>", Some(Kind::Other)),
            ("database", Some(Kind::Other)),
            ("hello", Some(Kind::Other)),
            ("dat", None),
            ("event", None),
            ("\u{feff}", None),
            ("\n\n", None),
            ("", None),
        ] {
            assert_eq!(kind(begin.as_bytes()), is, "{begin:?}");
        }
        assert_eq!(kind(&BOM[..2]), None);
        assert_eq!(kind(&[b' '; MAX_SPACE + 1]), Some(Kind::Other));
    }
}
