//! Live events as bytes: each is encoded once, and written for any set of topics by putting in the one number that
//! differs.
//!
//! On the wire an event is `id`, `event` and one line of `data`: JSON, in which raw line ends are only white space
//! between tokens. LF, CRLF and lone CR all end a line there, so all of them become blanks: no payload can begin a field.

use bytes::{BufMut, Bytes, BytesMut};
use jiff::Timestamp;

use super::event::{Cursor, Epoch, EventKind, LastSeqs, Topic, Topics};

/// An event as its parts.
#[derive(Clone, Copy, Debug)]
pub struct EventParts<'a> {
    /// What happened.
    pub kind: EventKind,
    /// The id of the resource.
    pub id: &'a str,
    /// The version of the resource after the change.
    pub version: u64,
    /// When.
    pub at: Timestamp,
    /// The last event of each topic before this one.
    pub prev: LastSeqs,
    /// The members of its JSON from `"resource"` on, without braces.
    pub body: &'a str,
}

/// An event as bytes.
#[derive(Debug)]
pub struct EncodedEvent {
    /// Its number.
    pub seq: u64,
    /// The topic that it belongs to.
    pub topic: Topic,
    prev: LastSeqs,
    kind: EventKind,
    /// `id: …\nevent: …\ndata: {…"prev":` and, after `cut`, `,…}`.
    bytes: Bytes,
    /// Where the `event` line begins.
    name: usize,
    /// Where the `data` line begins.
    data: usize,
    /// Where the number of the event before goes in.
    cut: usize,
}

const DATA: &[u8] = b"data: ";

impl EncodedEvent {
    /// Encodes event `seq` of the log `epoch`.
    #[must_use]
    pub fn new(epoch: &Epoch, seq: u64, parts: &EventParts<'_>) -> Self {
        let mut out = BytesMut::with_capacity(192 + parts.body.len());
        put(&mut out, &[b"id: ", epoch.as_str().as_bytes(), b".", Digits::of(seq).text(), b"\n"]);
        let name = out.len();
        put(&mut out, &[b"event: ", parts.kind.name().as_bytes(), b"\n"]);
        let data = out.len();
        put(&mut out, &[DATA, b"{\"type\":\"", parts.kind.name().as_bytes(), b"\",\"id\":"]);
        put_json_text(&mut out, parts.id);
        put(&mut out, &[b",\"version\":", Digits::of(parts.version).text(), b",\"prev\":"]);
        let cut = out.len();
        put(&mut out, &[b",\"time\":\"", format!("{:.3}", parts.at).as_bytes(), b"\","]);
        put_on_one_line(&mut out, parts.body);
        out.put_u8(b'}');
        let topic = parts.kind.topic();
        Self { seq, topic, prev: parts.prev, kind: parts.kind, bytes: out.freeze(), name, data, cut }
    }

    /// Bytes that it takes.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Never: every event has an id.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Appends it as a block of a stream of `topics`; the `event` line only if `named`.
    pub fn push_block(&self, out: &mut BytesMut, topics: Topics, named: bool) {
        let from = if named { self.name } else { self.data };
        let prev = Digits::of(self.prev.of(topics));
        let (id, before, after) = (&self.bytes[..self.name], &self.bytes[from..self.cut], &self.bytes[self.cut..]);
        out.reserve(self.bytes.len() + prev.text().len() + 2);
        put(out, &[id, before, prev.text(), after, b"\n\n"]);
    }

    /// Appends it as `{"id","event","data"}`, of which `data` is the object that a stream of `topics` has in its `data`
    /// line.
    pub fn push_json(&self, out: &mut BytesMut, topics: Topics) {
        let id = &self.bytes[b"id: ".len()..self.name - 1];
        let data = self.data + DATA.len();
        let prev = Digits::of(self.prev.of(topics));
        put(out, &[b"{\"id\":\"", id, b"\",\"event\":\"", self.kind.name().as_bytes(), b"\",\"data\":"]);
        put(out, &[&self.bytes[data..self.cut], prev.text(), &self.bytes[self.cut..], b"}"]);
    }
}

/// A block that is told in passing: it has no id, and who was not there has missed it. Clones share its bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EphemeralFrame {
    bytes: Bytes,
    /// Where the `data` line begins.
    data: usize,
}

impl EphemeralFrame {
    /// Encodes the event `name`, whose data is `json`.
    #[must_use]
    pub fn new(name: &'static str, json: &str) -> Self {
        let mut out = BytesMut::with_capacity(name.len() + json.len() + 32);
        put(&mut out, &[b"event: ", name.as_bytes(), b"\n"]);
        let data = out.len();
        out.extend_from_slice(DATA);
        put_on_one_line(&mut out, json);
        out.extend_from_slice(b"\n\n");
        Self { bytes: out.freeze(), data }
    }

    /// The block; the `event` line only if `named`.
    #[must_use]
    pub fn block(&self, named: bool) -> Bytes {
        if named { self.bytes.clone() } else { self.bytes.slice(self.data..) }
    }
}

/// A block that is about the stream itself.
#[derive(Clone, Copy, Debug)]
pub struct ControlFrame<'a> {
    /// The `event:` name.
    pub name: &'static str,
    /// What the client keeps from now on; none: what it has.
    pub id: Option<&'a Cursor>,
    /// JSON.
    pub data: &'a str,
}

impl ControlFrame<'_> {
    /// Appends it.
    pub fn push(&self, out: &mut BytesMut) {
        if let Some(id) = self.id {
            put(out, &[b"id: ", id.to_string().as_bytes(), b"\n"]);
        }
        put(out, &[b"event: ", self.name.as_bytes(), b"\n", DATA]);
        put_on_one_line(out, self.data);
        out.extend_from_slice(b"\n\n");
    }
}

/// Appends a block that moves the client's id on and dispatches nothing.
pub fn push_id(out: &mut BytesMut, cursor: &Cursor) {
    put(out, &[b"id: ", cursor.to_string().as_bytes(), b"\n\n"]);
}

/// Appends the wait, milliseconds, before the client comes back to a stream that broke or ended.
pub fn push_retry(out: &mut BytesMut, wait: std::time::Duration) {
    let ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
    put(out, &[b"retry: ", Digits::of(ms).text(), b"\n\n"]);
}

fn put(out: &mut BytesMut, pieces: &[&[u8]]) {
    pieces.iter().for_each(|piece| out.extend_from_slice(piece));
}

/// `text` as a JSON string.
fn put_json_text(out: &mut BytesMut, text: &str) {
    out.extend_from_slice(serde_json::Value::from(text).to_string().as_bytes());
}

/// JSON without raw line ends.
fn put_on_one_line(out: &mut BytesMut, json: &str) {
    let mut rest = json.as_bytes();
    while let Some(at) = memchr::memchr2(b'\n', b'\r', rest) {
        put(out, &[&rest[..at], b" "]);
        rest = &rest[at + 1..];
    }
    out.extend_from_slice(rest);
}

/// A number in decimal, without an allocation: one is written for every event and subscriber.
struct Digits {
    bytes: [u8; 20],
    from: usize,
}

impl Digits {
    fn of(mut number: u64) -> Self {
        let mut digits = Self { bytes: [b'0'; 20], from: 20 };
        loop {
            digits.from -= 1;
            digits.bytes[digits.from] = b'0' + u8::try_from(number % 10).unwrap_or(0);
            number /= 10;
            if number == 0 {
                return digits;
            }
        }
    }

    fn text(&self) -> &[u8] {
        &self.bytes[self.from..]
    }
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
    fn an_event_is_id_name_and_data_with_the_number_before_it_among_its_topics() {
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
    fn notices_and_ids_are_blocks() {
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
    fn what_is_told_in_passing_has_no_id() {
        let passing = EphemeralFrame::new("stats", "{\"a\":\r\n1}");
        assert_eq!(passing.block(true), "event: stats\ndata: {\"a\":  1}\n\n");
        assert_eq!(passing.block(false), "data: {\"a\":  1}\n\n");
    }

    #[test]
    fn numbers_are_written_as_they_are() {
        for number in [0, 1, 9, 10, 12_345, u64::MAX] {
            assert_eq!(Digits::of(number).text(), number.to_string().as_bytes());
        }
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
