//! The decoder: bytes in chunks of any size become events, in bounded memory.

use bytes::{Buf, Bytes, BytesMut};

/// A dispatched event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// The `data` lines, joined by LF. Not checked for UTF-8.
    pub data: Bytes,
    /// The `event` field, unless it is absent or empty.
    pub name: Option<Bytes>,
    /// The event's bytes in the input, if they are exactly `data: …\n\n`, behind `event: …\n` if it has a name: they can
    /// be passed on without encoding the event again.
    pub verbatim: Option<Bytes>,
}

/// A line or an event exceeds the limit. The rest of the stream can't be decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooLong;

/// Decodes one event stream. Keeps at most `limit` bytes of an unfinished event, besides the last chunk pushed.
///
/// ```
/// use petstream::wire::sse::{Decoder, TooLong};
///
/// let mut decoder = Decoder::new(64);
/// decoder.push("event: greeting\ndata: hel".into());
/// assert_eq!(decoder.next_event()?, None);
/// decoder.push("lo\n\n".into());
/// let event = decoder.next_event()?.expect("an event");
/// assert_eq!((event.name.as_deref(), &event.data[..]), (Some(&b"greeting"[..]), &b"hello"[..]));
/// assert_eq!(decoder.next_event()?, None);
/// # Ok::<(), TooLong>(())
/// ```
#[derive(Debug)]
pub struct Decoder {
    limit: usize,
    /// The bytes that were pushed and not read yet.
    input: Bytes,
    /// The beginning of a line whose end has not arrived.
    line: BytesMut,
    data: BytesMut,
    has_data: bool,
    name: Option<Bytes>,
    /// The last `id` field. It becomes `last_id` at the blank line.
    id: Option<Bytes>,
    last_id: Option<Bytes>,
    retry: Option<u64>,
    /// Whether the last byte read was a CR: an LF directly behind it belongs to the same line end.
    after_cr: bool,
    at_start: bool,
}

const BOM: &[u8] = b"\xEF\xBB\xBF";
const EXACT: &[u8] = b"data: ";
const EXACT_NAME: &[u8] = b"event: ";
/// The largest buffer that is reused, bytes. Otherwise one long event would keep its memory as long as the stream.
const MAX_REUSED: usize = 16 * 1024;

/// Takes the contents of `buffer`. Its spare capacity is reused unless the buffer is larger than [`MAX_REUSED`].
fn take(buffer: &mut BytesMut) -> Bytes {
    if buffer.capacity() > MAX_REUSED { std::mem::take(buffer).freeze() } else { buffer.split().freeze() }
}

/// The length of `event: …\n` at the beginning of `input`; 0 where there is no such line. None for one without an end,
/// with another line end, or with an empty name.
fn exact_name(input: &[u8]) -> Option<usize> {
    if !input.starts_with(EXACT_NAME) {
        return Some(0);
    }
    let end = memchr::memchr2(b'\n', b'\r', input)?;
    (input[end] == b'\n' && end > EXACT_NAME.len()).then_some(end + 1)
}

impl Decoder {
    /// A decoder that fails for lines and events of more than `limit` bytes.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        Self {
            limit,
            input: Bytes::new(),
            line: BytesMut::new(),
            data: BytesMut::new(),
            has_data: false,
            name: None,
            id: None,
            last_id: None,
            retry: None,
            after_cr: false,
            at_start: true,
        }
    }

    /// Adds the next bytes of the stream. Take all events before pushing again: bytes that are not read are kept and
    /// copied.
    pub fn push(&mut self, bytes: Bytes) {
        if self.input.is_empty() {
            self.input = bytes;
        } else {
            let mut joined = BytesMut::with_capacity(self.input.len() + bytes.len());
            joined.extend_from_slice(&self.input);
            joined.extend_from_slice(&bytes);
            self.input = joined.freeze();
        }
    }

    /// The next event; none until more bytes are pushed.
    ///
    /// # Errors
    /// [`TooLong`], and from then on always.
    pub fn next_event(&mut self) -> Result<Option<Event>, TooLong> {
        // The common case between two tokens.
        if self.input.is_empty() && self.limit > 0 {
            return Ok(None);
        }
        if let Some(event) = self.exact_frame()? {
            return Ok(Some(event));
        }
        while let Some(line) = self.next_line()? {
            if let Some(event) = self.take_line(line)? {
                return Ok(Some(event));
            }
        }
        Ok(None)
    }

    /// The last event ID, as of the last event returned or the last block without data. Empty if the stream set it so,
    /// none if it never set one. Not checked for UTF-8.
    #[must_use]
    pub fn last_id(&self) -> Option<&[u8]> {
        self.last_id.as_deref()
    }

    /// The last reconnection time that the stream set (`retry`), milliseconds.
    #[must_use]
    pub const fn retry(&self) -> Option<u64> {
        self.retry
    }

    /// The memory of an unfinished event, besides the last chunk pushed; bytes.
    #[must_use]
    pub fn held(&self) -> usize {
        self.line.capacity() + self.data.capacity()
    }

    /// The event that the end of the input left unfinished. The standard discards it; a proxy needs it, since some
    /// upstreams omit the blank line behind their last event.
    ///
    /// # Errors
    /// As [`Decoder::next_event`].
    pub fn finish(&mut self) -> Result<Option<Event>, TooLong> {
        if !self.line.is_empty() {
            let line = take(&mut self.line);
            self.take_line(line)?;
        }
        Ok(self.dispatch())
    }

    /// The common case, without copying: a whole `data: …\n\n` at the beginning of the input, with or without
    /// `event: …\n` before it.
    fn exact_frame(&mut self) -> Result<Option<Event>, TooLong> {
        let fresh = self.line.is_empty() && !self.has_data && self.name.is_none() && !self.after_cr;
        if !fresh {
            return Ok(None);
        }
        let Some(begin) = exact_name(&self.input) else { return Ok(None) };
        let line = &self.input[begin..];
        if !line.starts_with(EXACT) {
            return Ok(None);
        }
        let Some(length) = memchr::memchr2(b'\n', b'\r', line) else { return Ok(None) };
        if line.get(length..length + 2) != Some(b"\n\n") {
            return Ok(None);
        }
        if length.max(begin) > self.limit {
            return Err(self.poison());
        }
        self.at_start = false;
        self.last_id.clone_from(&self.id);
        let frame = self.input.split_to(begin + length + 2);
        let name = (begin > 0).then(|| frame.slice(EXACT_NAME.len()..begin - 1));
        Ok(Some(Event { data: frame.slice(begin + EXACT.len()..begin + length), name, verbatim: Some(frame) }))
    }

    /// The next whole line without its line end.
    fn next_line(&mut self) -> Result<Option<Bytes>, TooLong> {
        if self.after_cr && !self.input.is_empty() {
            self.after_cr = false;
            if self.input[0] == b'\n' {
                self.input.advance(1);
            }
        }
        let Some(end) = memchr::memchr2(b'\n', b'\r', &self.input) else {
            let rest = std::mem::take(&mut self.input);
            if self.line.len() + self.data.len() + rest.len() > self.limit {
                return Err(self.poison());
            }
            self.line.extend_from_slice(&rest);
            return Ok(None);
        };
        self.after_cr = self.input[end] == b'\r';
        let tail = self.input.split_to(end);
        self.input.advance(1);
        if self.line.len() + self.data.len() + tail.len() > self.limit {
            return Err(self.poison());
        }
        if self.line.is_empty() {
            return Ok(Some(tail));
        }
        self.line.extend_from_slice(&tail);
        Ok(Some(take(&mut self.line)))
    }

    fn take_line(&mut self, mut line: Bytes) -> Result<Option<Event>, TooLong> {
        if std::mem::take(&mut self.at_start) && line.starts_with(BOM) {
            line.advance(BOM.len());
        }
        if line.is_empty() {
            return Ok(self.dispatch());
        }
        let (field, value) = match memchr::memchr(b':', &line) {
            Some(at) => (line.slice(..at), line.slice(at + 1..)),
            None => (line.clone(), Bytes::new()),
        };
        let value = if value.first() == Some(&b' ') { value.slice(1..) } else { value };
        match &field[..] {
            b"data" => {
                if self.has_data {
                    self.data.extend_from_slice(b"\n");
                }
                self.data.extend_from_slice(&value);
                self.has_data = true;
            }
            b"event" => self.name = Some(value).filter(|name| !name.is_empty()),
            b"id" if !value.contains(&0) => self.id = Some(value),
            b"retry" if !value.is_empty() && value.iter().all(u8::is_ascii_digit) => {
                self.retry = std::str::from_utf8(&value).ok().and_then(|digits| digits.parse().ok()).or(self.retry);
            }
            // A line that begins with a colon is a comment; other fields are ignored.
            _ => {}
        }
        Ok(None)
    }

    fn dispatch(&mut self) -> Option<Event> {
        self.last_id.clone_from(&self.id);
        let name = self.name.take();
        if !std::mem::take(&mut self.has_data) {
            return None;
        }
        Some(Event { data: take(&mut self.data), name, verbatim: None })
    }

    /// Frees the buffers and makes every later call fail.
    fn poison(&mut self) -> TooLong {
        let limit = std::mem::take(&mut self.limit);
        if limit > 0 {
            self.line = BytesMut::new();
            self.data = BytesMut::from(&b"!"[..]);
        }
        self.input = Bytes::new();
        TooLong
    }
}

#[cfg(test)]
mod tests;
