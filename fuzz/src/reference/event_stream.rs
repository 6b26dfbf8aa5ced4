//! Event streams, after the HTML standard, section 9.2.6, "Interpreting an event stream", step by step.
//!
//! As in the decoder, bytes are not checked to be UTF-8, and a reconnection time beyond 64 bits is ignored.

/// A dispatched event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// The data.
    pub data: Vec<u8>,
    /// The type; none for `message`.
    pub name: Option<Vec<u8>>,
    /// The last event ID when it was dispatched; none if none was set before.
    pub last_id: Option<Vec<u8>>,
}

/// A decoded stream.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Stream {
    /// The events.
    pub events: Vec<Event>,
    /// The last event ID at the end.
    pub last_id: Option<Vec<u8>>,
    /// The reconnection time, milliseconds.
    pub retry: Option<u64>,
}

/// Reads a whole stream.
#[must_use]
pub fn read(input: &[u8]) -> Stream {
    // "Streams must be decoded using the UTF-8 decode algorithm", which strips one leading byte order mark.
    let input = input.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(input);
    let mut stream = Stream::default();
    let (mut data, mut name, mut id) = (Vec::new(), Vec::new(), None::<Vec<u8>>);
    for line in lines(input) {
        if line.is_empty() {
            // "Dispatch the event".
            stream.last_id.clone_from(&id);
            if !data.is_empty() {
                // "If the data buffer's last character is a LF, then remove it."
                data.pop();
                let name = Some(name.clone()).filter(|name| !name.is_empty());
                stream.events.push(Event { data: data.clone(), name, last_id: stream.last_id.clone() });
            }
            data.clear();
            name.clear();
            continue;
        }
        let (field, value) = match line.iter().position(|byte| *byte == b':') {
            Some(0) => continue,
            Some(at) => (&line[..at], &line[at + 1..]),
            None => (line, &b""[..]),
        };
        let value = value.strip_prefix(b" ").unwrap_or(value);
        match field {
            b"event" => name = value.to_vec(),
            b"data" => {
                data.extend_from_slice(value);
                data.push(b'\n');
            }
            b"id" if !value.contains(&0) => id = Some(value.to_vec()),
            b"retry" if !value.is_empty() && value.iter().all(u8::is_ascii_digit) => {
                let number = String::from_utf8_lossy(value).parse().ok();
                stream.retry = number.or(stream.retry);
            }
            _ => {}
        }
    }
    // "Any pending data must be discarded."
    stream
}

/// The lines with a line end: CRLF, LF or CR.
fn lines(mut input: &[u8]) -> Vec<&[u8]> {
    let mut lines = Vec::new();
    while let Some(at) = input.iter().position(|byte| matches!(byte, b'\r' | b'\n')) {
        lines.push(&input[..at]);
        let end = if input[at..].starts_with(b"\r\n") { 2 } else { 1 };
        input = &input[at + end..];
    }
    lines
}
