//! Live events as frames of an event stream. An event is encoded once for all subscribers; the one number that depends
//! on a subscriber's topics (`prev`) is inserted when it is written.
//!
//! A frame has the lines `id`, `event` and one `data` (WHATWG HTML, section 9.2). Its data is JSON, in which raw line
//! ends are only white space between tokens. They become spaces, so that no payload can begin a field.

use bytes::{BufMut, Bytes, BytesMut};
use jiff::Timestamp;

use super::event::{Cursor, Epoch, EventKind, LastSeqs, Topic, Topics};

/// The contents of an event.
#[derive(Clone, Copy, Debug)]
pub struct EventParts<'a> {
    /// The kind of the event.
    pub kind: EventKind,
    /// The id of the resource.
    pub id: &'a str,
    /// The version of the resource after the change.
    pub version: u64,
    /// The time of the change. It is written with milliseconds.
    pub at: Timestamp,
    /// The last event of each topic before this one.
    pub prev: LastSeqs,
    /// The JSON members from `"resource"` on, without braces.
    pub body: &'a str,
}

/// An encoded event.
#[derive(Debug)]
pub struct EncodedEvent {
    /// Its sequence number.
    pub seq: u64,
    /// Its topic.
    pub topic: Topic,
    prev: LastSeqs,
    kind: EventKind,
    /// `id: …\nevent: …\ndata: {…"prev":` and, from `prev_at` on, `,…}`.
    bytes: Bytes,
    /// The offset of the `event` line.
    name_at: usize,
    /// The offset of the `data` line.
    data_at: usize,
    /// The offset at which `prev` is inserted.
    prev_at: usize,
}

const DATA: &[u8] = b"data: ";

impl EncodedEvent {
    /// Encodes event `seq` of the log `epoch`.
    #[must_use]
    pub fn new(epoch: &Epoch, seq: u64, parts: &EventParts<'_>) -> Self {
        let mut digits = itoa::Buffer::new();
        let mut out = BytesMut::with_capacity(192 + parts.body.len());
        put(&mut out, &[b"id: ", epoch.as_str().as_bytes(), b".", digits.format(seq).as_bytes(), b"\n"]);
        let name_at = out.len();
        put(&mut out, &[b"event: ", parts.kind.name().as_bytes(), b"\n"]);
        let data_at = out.len();
        put(&mut out, &[DATA, b"{\"type\":\"", parts.kind.name().as_bytes(), b"\",\"id\":"]);
        put_json_string(&mut out, parts.id);
        put(&mut out, &[b",\"version\":", digits.format(parts.version).as_bytes(), b",\"prev\":"]);
        let prev_at = out.len();
        put(&mut out, &[b",\"time\":\"", format!("{:.3}", parts.at).as_bytes(), b"\","]);
        put_on_one_line(&mut out, parts.body);
        out.put_u8(b'}');
        let topic = parts.kind.topic();
        Self { seq, topic, prev: parts.prev, kind: parts.kind, bytes: out.freeze(), name_at, data_at, prev_at }
    }

    /// The length, bytes, without `prev` and the blank line.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Always false: every event has an id.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Appends the event as a frame of a stream of `topics`; the `event` line only if `named`.
    pub fn push_block(&self, out: &mut BytesMut, topics: Topics, named: bool) {
        let from = if named { self.name_at } else { self.data_at };
        let mut digits = itoa::Buffer::new();
        let prev = digits.format(self.prev.of(topics)).as_bytes();
        let id = &self.bytes[..self.name_at];
        let (before, after) = (&self.bytes[from..self.prev_at], &self.bytes[self.prev_at..]);
        out.reserve(self.bytes.len() + prev.len() + 2);
        put(out, &[id, before, prev, after, b"\n\n"]);
    }

    /// Appends the event as a JSON object `{"id","event","data"}`. Its `data` is what the `data` line of a stream of
    /// `topics` has.
    pub fn push_json(&self, out: &mut BytesMut, topics: Topics) {
        let id = &self.bytes[b"id: ".len()..self.name_at - 1];
        let data_at = self.data_at + DATA.len();
        let mut digits = itoa::Buffer::new();
        let prev = digits.format(self.prev.of(topics)).as_bytes();
        put(out, &[b"{\"id\":\"", id, b"\",\"event\":\"", self.kind.name().as_bytes(), b"\",\"data\":"]);
        put(out, &[&self.bytes[data_at..self.prev_at], prev, &self.bytes[self.prev_at..], b"}"]);
    }
}

/// An ephemeral event as a frame: it has no id and is never replayed. Clones share the bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EphemeralFrame {
    bytes: Bytes,
    /// The offset of the `data` line.
    data_at: usize,
}

impl EphemeralFrame {
    /// Encodes the event `name`, whose data is `json`.
    #[must_use]
    pub fn new(name: &'static str, json: &str) -> Self {
        let mut out = BytesMut::with_capacity(name.len() + json.len() + 32);
        put(&mut out, &[b"event: ", name.as_bytes(), b"\n"]);
        let data_at = out.len();
        out.extend_from_slice(DATA);
        put_on_one_line(&mut out, json);
        out.extend_from_slice(b"\n\n");
        Self { bytes: out.freeze(), data_at }
    }

    /// The frame; the `event` line only if `named`.
    #[must_use]
    pub fn block(&self, named: bool) -> Bytes {
        if named { self.bytes.clone() } else { self.bytes.slice(self.data_at..) }
    }
}

/// A frame about the stream itself: connected, heartbeat, reset.
///
/// ```
/// use petstream::wire::event_frame::ControlFrame;
///
/// let mut out = bytes::BytesMut::new();
/// ControlFrame { name: "heartbeat", id: None, data: "{}" }.push(&mut out);
/// assert_eq!(out, "event: heartbeat\ndata: {}\n\n");
/// ```
#[derive(Clone, Copy, Debug)]
pub struct ControlFrame<'a> {
    /// The event's name.
    pub name: &'static str,
    /// The client's new last event ID; none leaves it unchanged.
    pub id: Option<&'a Cursor>,
    /// The data, as JSON.
    pub data: &'a str,
}

impl ControlFrame<'_> {
    /// Appends the frame.
    pub fn push(&self, out: &mut BytesMut) {
        if let Some(id) = self.id {
            put(out, &[b"id: ", id.to_string().as_bytes(), b"\n"]);
        }
        put(out, &[b"event: ", self.name.as_bytes(), b"\n", DATA]);
        put_on_one_line(out, self.data);
        out.extend_from_slice(b"\n\n");
    }
}

/// Appends a frame that sets the client's last event ID and dispatches no event.
pub fn push_id(out: &mut BytesMut, cursor: &Cursor) {
    put(out, &[b"id: ", cursor.to_string().as_bytes(), b"\n\n"]);
}

/// Appends the reconnection time: how long the client waits after the stream ends. Whole milliseconds.
pub fn push_retry(out: &mut BytesMut, wait: std::time::Duration) {
    let ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
    put(out, &[b"retry: ", itoa::Buffer::new().format(ms).as_bytes(), b"\n\n"]);
}

fn put(out: &mut BytesMut, parts: &[&[u8]]) {
    parts.iter().for_each(|part| out.extend_from_slice(part));
}

/// Appends `text` as a JSON string.
fn put_json_string(out: &mut BytesMut, text: &str) {
    out.extend_from_slice(serde_json::Value::from(text).to_string().as_bytes());
}

/// Appends JSON with spaces for its raw line ends.
fn put_on_one_line(out: &mut BytesMut, json: &str) {
    let mut rest = json.as_bytes();
    while let Some(at) = memchr::memchr2(b'\n', b'\r', rest) {
        put(out, &[&rest[..at], b" "]);
        rest = &rest[at + 1..];
    }
    out.extend_from_slice(rest);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::Value;

    fn encoded(id: &str, body: &str) -> EncodedEvent {
        let at = "2026-01-02T03:04:05.678Z".parse().unwrap();
        let prev = LastSeqs([4, 7, 0, 0]);
        let parts = EventParts { kind: EventKind::PetUpdate, id, version: 3, at, prev, body };
        EncodedEvent::new(&"k3f9a2".parse().unwrap(), 42, &parts)
    }

    fn block(event: &EncodedEvent, topics: Topics, named: bool) -> String {
        let mut out = BytesMut::new();
        event.push_block(&mut out, topics, named);
        String::from_utf8(out.to_vec()).unwrap()
    }

    #[test]
    fn an_event_has_id_name_and_data_with_the_event_before_it_among_the_topics() {
        let event = encoded("p1", r#""resource":{"a":1}"#);
        let data = |prev: u64| {
            format!(
                "{{\"type\":\"pet-update\",\"id\":\"p1\",\"version\":3,\"prev\":{prev},\
                 \"time\":\"2026-01-02T03:04:05.678Z\",\"resource\":{{\"a\":1}}}}"
            )
        };
        let named = format!("id: k3f9a2.42\nevent: pet-update\ndata: {}\n\n", data(7));
        assert_eq!(block(&event, Topics::ALL, true), named);
        let pets: Topics = [Topic::Pets].into_iter().collect();
        assert_eq!(block(&event, pets, false), format!("id: k3f9a2.42\ndata: {}\n\n", data(4)));
        let mut json = BytesMut::new();
        event.push_json(&mut json, pets);
        let expected = format!("{{\"id\":\"k3f9a2.42\",\"event\":\"pet-update\",\"data\":{}}}", data(4));
        assert_eq!(json, expected.as_bytes());
    }

    #[test]
    fn control_frames_ids_and_reconnection_times_are_frames() {
        let cursor = "e.9".parse().unwrap();
        let mut out = BytesMut::new();
        push_retry(&mut out, std::time::Duration::from_millis(1_500));
        ControlFrame { name: "connected", id: Some(&cursor), data: "{}" }.push(&mut out);
        ControlFrame { name: "heartbeat", id: None, data: "{}" }.push(&mut out);
        push_id(&mut out, &cursor);
        let expected =
            "retry: 1500\n\nid: e.9\nevent: connected\ndata: {}\n\nevent: heartbeat\ndata: {}\n\nid: e.9\n\n";
        assert_eq!(out, expected.as_bytes());
    }

    #[test]
    fn ephemeral_events_have_no_id() {
        let frame = EphemeralFrame::new("stats", "{\"a\":\r\n1}");
        assert_eq!(frame.block(true), "event: stats\ndata: {\"a\":  1}\n\n");
        assert_eq!(frame.block(false), "data: {\"a\":  1}\n\n");
    }

    proptest! {
        #[test]
        fn no_payload_can_begin_a_line(id in "[\\PC\r\n\"\\\\]{0,20}", text in "(\r\n|\r|\n|id: 1|event: x|[a-z ]){0,12}") {
            let body = format!("\"resource\":{}\n,\r\"old\":\r\n1", Value::from(text.as_str()));
            let block = block(&encoded(&id, &body), Topics::ALL, true);
            prop_assert!(!block.contains('\r'));
            prop_assert_eq!(block.matches('\n').count(), 4);
            let data = block.lines().nth(2).unwrap().strip_prefix("data: ").unwrap();
            let value: Value = serde_json::from_str(data).unwrap();
            prop_assert_eq!((value["id"].as_str(), value["resource"].as_str()), (Some(id.as_str()), Some(text.as_str())));
        }
    }
}
