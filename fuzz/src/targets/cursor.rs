//! Event cursors: in `Last-Event-ID`, in queries, and in `id:` lines.

use bytes::{Bytes, BytesMut};
use http::HeaderValue;
use petstream::api::events::fuzzing::since;
use petstream::events::Since;
use petstream::wire::event::Cursor;
use petstream::wire::event_frame::push_id;
use petstream::wire::sse::Decoder;

/// Checks one input.
///
/// # Panics
/// When a check fails.
pub fn run(data: &[u8]) {
    if let Ok(header) = HeaderValue::from_bytes(data) {
        let text = String::from_utf8_lossy(data);
        assert_eq!(since("", Some(header)), Some(expected(&text)), "in a header");
    }
    let Ok(text) = std::str::from_utf8(data) else { return };
    for name in ["last_event_id", "after"] {
        let query = url::form_urlencoded::Serializer::new(String::new()).append_pair(name, text).finish();
        assert_eq!(since(&query, None), Some(expected(text)), "as {name}");
    }
    let read = text.parse::<Cursor>();
    let expected = cursor(text);
    assert_eq!(read.as_ref().ok().map(|cursor| (cursor.epoch.as_str(), cursor.seq)), expected);
    if let Ok(cursor) = read {
        assert_sent(&cursor);
    }
    // Any query.
    let _ = since(text, None);
}

fn expected(text: &str) -> Since {
    match text {
        "" => Since::Now,
        "earliest" => Since::Earliest,
        _ => match cursor(text) {
            Some(_) => text.parse().map_or(Since::Unreadable, Since::After),
            None => Since::Unreadable,
        },
    }
}

/// `EPOCH.NUMBER`: 1 to 16 lower-case letters and digits, a dot, a number of 64 bits.
fn cursor(text: &str) -> Option<(&str, u64)> {
    let parts: Vec<_> = text.split('.').collect();
    let [epoch, number] = parts[..] else { return None };
    let letters = epoch.chars().all(|letter| "abcdefghijklmnopqrstuvwxyz0123456789".contains(letter));
    if !letters || epoch.is_empty() || epoch.chars().count() > 16 || number.is_empty() {
        return None;
    }
    let mut seq = 0_u64;
    for digit in number.chars() {
        if !digit.is_ascii() {
            return None;
        }
        seq = seq.checked_mul(10)?.checked_add(u64::from(digit.to_digit(10)?))?;
    }
    Some((epoch, seq))
}

/// A client that decodes an `id:` line has the same cursor.
fn assert_sent(cursor: &Cursor) {
    let mut block = BytesMut::new();
    push_id(&mut block, cursor);
    let mut decoder = Decoder::new(1024);
    decoder.push(Bytes::from(block));
    assert_eq!(decoder.next_event(), Ok(None), "an id dispatches nothing");
    let kept = String::from_utf8_lossy(decoder.last_id().unwrap_or_default()).into_owned();
    assert_eq!(kept.parse::<Cursor>().as_ref(), Ok(cursor));
}
