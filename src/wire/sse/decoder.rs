//! Bytes in any split -> events, in bounded memory.

use bytes::{Buf, Bytes, BytesMut};

/// One dispatched event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// The `data` lines, joined by LF. Not checked for UTF-8.
    pub data: Bytes,
    /// The `event` field, if there was one that is not empty.
    pub name: Option<Bytes>,
    /// The frame as it stood in the input, when that is already `data: …\n\n` to the byte, so that it
    /// can be passed on without being written anew.
    pub verbatim: Option<Bytes>,
}

/// A line or an event is longer than the limit; the stream can't be read any further.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooLong;

/// Turns chunks of bytes into [`Event`]s. Holds at most `limit` bytes of an unfinished event, besides
/// the chunk given last.
#[derive(Debug)]
pub struct Decoder {
    limit: usize,
    /// What was pushed and not yet read.
    input: Bytes,
    /// The beginning of a line whose end is not there yet.
    line: BytesMut,
    data: BytesMut,
    has_data: bool,
    name: Option<Bytes>,
    /// The last `id` field; it counts from the end of its block on.
    id: Option<Bytes>,
    last_id: Option<Bytes>,
    retry: Option<u64>,
    /// The last byte read was a CR that ended a line: an LF right after belongs to it.
    after_cr: bool,
    at_start: bool,
}

const BOM: &[u8] = b"\xEF\xBB\xBF";
const EXACT: &[u8] = b"data: ";
/// Buffers that have grown beyond this are not used again, bytes: a single long event would keep them for ever.
const MAX_ROOM: usize = 16 * 1024;

/// What `buffer` holds. The room behind it is kept for what comes next, if it is not much.
fn take(buffer: &mut BytesMut) -> Bytes {
    if buffer.capacity() > MAX_ROOM { std::mem::take(buffer).freeze() } else { buffer.split().freeze() }
}

impl Decoder {
    /// A decoder that refuses lines and events of more than `limit` bytes.
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

    /// Gives the decoder the next bytes. Take all events out before pushing again, or memory grows.
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

    /// The next event, or none until more is pushed.
    ///
    /// # Errors
    /// [`TooLong`], from then on always.
    pub fn next_event(&mut self) -> Result<Option<Event>, TooLong> {
        // As it is behind nearly every frame of a model that thinks between its tokens.
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

    /// The last event ID as of the event given last, or, when there is none to give, of the last whole block; empty
    /// where the stream said so, none where it never said anything. Not checked for UTF-8.
    #[must_use]
    pub fn last_id(&self) -> Option<&[u8]> {
        self.last_id.as_deref()
    }

    /// The reconnection time that the stream asked for last, milliseconds.
    #[must_use]
    pub const fn retry(&self) -> Option<u64> {
        self.retry
    }

    /// The memory that an unfinished event takes, besides the chunk given last; bytes.
    #[must_use]
    pub fn held(&self) -> usize {
        self.line.capacity() + self.data.capacity()
    }

    /// The event that the end of the input left unfinished. The standard discards it; a relay looks at it,
    /// because some upstreams forget the blank line after their last frame.
    ///
    /// # Errors
    /// [`TooLong`] as ever.
    pub fn finish(&mut self) -> Result<Option<Event>, TooLong> {
        if !self.line.is_empty() {
            let line = take(&mut self.line);
            self.take_line(line)?;
        }
        Ok(self.dispatch())
    }

    /// The common case without copying: a whole `data: …\n\n` frame at the beginning of the input.
    fn exact_frame(&mut self) -> Result<Option<Event>, TooLong> {
        let fresh = self.line.is_empty() && !self.has_data && self.name.is_none() && !self.after_cr;
        if !fresh || !self.input.starts_with(EXACT) {
            return Ok(None);
        }
        let Some(end) = memchr::memchr2(b'\n', b'\r', &self.input) else { return Ok(None) };
        if self.input.get(end..end + 2) != Some(b"\n\n") {
            return Ok(None);
        }
        if end > self.limit {
            return Err(self.poison());
        }
        self.at_start = false;
        self.last_id.clone_from(&self.id);
        let frame = self.input.split_to(end + 2);
        Ok(Some(Event { data: frame.slice(EXACT.len()..end), name: None, verbatim: Some(frame) }))
    }

    /// The next whole line without its end, or none.
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
            // An empty field is a comment; others are ignored.
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

    /// Frees what is held and makes every further look fail too.
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
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// All events of `chunks`: data and name.
    fn events(chunks: &[&[u8]]) -> Vec<(String, Option<String>)> {
        let text = |bytes: &Bytes| String::from_utf8_lossy(bytes).into_owned();
        let mut decoder = Decoder::new(1 << 20);
        let mut all = Vec::new();
        for chunk in chunks {
            decoder.push(Bytes::copy_from_slice(chunk));
            while let Some(event) = decoder.next_event().unwrap() {
                all.push((text(&event.data), event.name.as_ref().map(text)));
            }
        }
        all
    }

    fn data(chunks: &[&[u8]]) -> Vec<String> {
        events(chunks).into_iter().map(|(data, _)| data).collect()
    }

    #[test]
    fn frames_end_at_lf_crlf_and_lone_cr() {
        assert_eq!(data(&[b"data: a\n\ndata: b\r\n\r\ndata: c\r\rdata: d\r\n\n"]), ["a", "b", "c", "d"]);
    }

    #[test]
    fn one_blank_after_the_colon_is_optional_and_only_one_is_dropped() {
        assert_eq!(data(&[b"data:a\n\ndata:  b\n\n"]), ["a", " b"]);
    }

    #[test]
    fn several_data_lines_are_joined() {
        assert_eq!(data(&[b"data: {\ndata: }\n\n"]), ["{\n}"]);
    }

    #[test]
    fn comments_ids_retries_and_unknown_fields_dispatch_nothing() {
        assert_eq!(data(&[b": hi\n\nid: 1\nretry: 5\nfoo: x\nbar\n\nevent: ping\n\ndata: a\n\n"]), ["a"]);
    }

    #[test]
    fn ids_stay_until_the_next_and_count_from_the_end_of_their_block() {
        let mut decoder = Decoder::new(64);
        let mut ids = |chunk: &'static [u8]| {
            decoder.push(Bytes::from_static(chunk));
            let event = decoder.next_event().unwrap().map(|event| event.data);
            (event.is_some(), decoder.last_id().map(|id| String::from_utf8_lossy(id).into_owned()), decoder.retry())
        };
        assert_eq!(ids(b"data: a\n\n"), (true, None, None));
        assert_eq!(ids(b"id: 1\n"), (false, None, None));
        assert_eq!(ids(b"data: b\n\n"), (true, Some("1".to_owned()), None));
        assert_eq!(ids(b"data: c\n\n"), (true, Some("1".to_owned()), None));
        assert_eq!(ids(b"id: 2\nretry: 5x\n\n"), (false, Some("2".to_owned()), None));
        assert_eq!(ids(b"id: 3\0\nretry: 50\n\n"), (false, Some("2".to_owned()), Some(50)));
        assert_eq!(ids(b"id\n\n"), (false, Some(String::new()), Some(50)));
    }

    #[test]
    fn an_event_name_belongs_to_its_frame_only() {
        let all = events(&[b"event: error\ndata: a\n\ndata: b\n\n"]);
        assert_eq!(all, [("a".to_owned(), Some("error".to_owned())), ("b".to_owned(), None)]);
    }

    #[test]
    fn a_byte_order_mark_is_dropped_at_the_start_only() {
        assert_eq!(data(&[b"\xEF\xBB\xBFdata: a\n\n\xEF\xBB\xBFdata: b\n\ndata: c\n\n"]), ["a", "c"]);
    }

    #[test]
    fn a_field_without_a_colon_is_an_empty_field() {
        assert_eq!(data(&[b"data\n\n"]), [""]);
    }

    #[test]
    fn crlf_split_between_chunks_is_one_line_end() {
        assert_eq!(data(&[b"data: a\r", b"\n", b"data: b\r", b"\n\r", b"\n"]), ["a\nb"]);
    }

    #[test]
    fn exact_frames_are_passed_on_without_a_copy() {
        let mut decoder = Decoder::new(64);
        let chunk = Bytes::from_static(b"data: {}\n\ndata: [DONE]\n\n");
        decoder.push(chunk.clone());
        let first = decoder.next_event().unwrap().unwrap();
        assert_eq!(first.verbatim.unwrap().as_ptr(), chunk.as_ptr());
        assert_eq!(&decoder.next_event().unwrap().unwrap().verbatim.unwrap()[..], b"data: [DONE]\n\n");
        assert_eq!(decoder.next_event(), Ok(None));
    }

    #[test]
    fn frames_over_the_limit_are_refused_whole_or_in_pieces_and_for_ever() {
        let long = [b"data: ".as_slice(), &[b'x'; 100], b"\n\n"].concat();
        let mut whole = Decoder::new(64);
        whole.push(Bytes::from(long.clone()));
        assert_eq!(whole.next_event(), Err(TooLong));
        let mut pieces = Decoder::new(64);
        let refused = long.chunks(7).any(|piece| {
            pieces.push(Bytes::copy_from_slice(piece));
            pieces.next_event().is_err()
        });
        assert!(refused);
        pieces.push(Bytes::from_static(b"data: a\n\n"));
        assert_eq!(pieces.next_event(), Err(TooLong));
        let mut lines = Decoder::new(64);
        lines.push(Bytes::from(b"data: 0123456789\n".repeat(10)));
        assert_eq!(lines.next_event(), Err(TooLong));
    }

    #[test]
    fn an_unfinished_event_is_told_at_the_end() {
        let mut decoder = Decoder::new(64);
        decoder.push(Bytes::from_static(b"data: [DONE]"));
        assert_eq!(decoder.next_event(), Ok(None));
        assert_eq!(&decoder.finish().unwrap().unwrap().data[..], b"[DONE]");
        assert_eq!(decoder.finish(), Ok(None));
    }

    /// Pieces of streams: well-formed, odd, and broken ones.
    fn piece() -> impl Strategy<Value = Vec<u8>> {
        prop_oneof![
            4 => "[a-zé€😀:{}\", ]{0,12}".prop_map(|text| format!("data: {text}").into_bytes()),
            1 => "(event|id|retry|data|: c|x)(: ?[a-z]{0,4})?".prop_map(String::into_bytes),
            4 => prop_oneof![Just(b"\n".to_vec()), Just(b"\r".to_vec()), Just(b"\r\n".to_vec()), Just(b"\n\n".to_vec())],
            1 => Just(BOM.to_vec()),
            1 => proptest::collection::vec(any::<u8>(), 0..6),
        ]
    }

    proptest! {
        #[test]
        fn any_split_gives_the_same_events(
            stream in proptest::collection::vec(piece(), 0..40).prop_map(|pieces| pieces.concat()),
            cuts in proptest::collection::vec(any::<prop::sample::Index>(), 0..20),
        ) {
            let mut at: Vec<usize> = cuts.iter().map(|cut| cut.index(stream.len() + 1)).collect();
            at.sort_unstable();
            let mut chunks = Vec::new();
            let mut from = 0;
            for to in at.into_iter().chain([stream.len()]) {
                chunks.push(&stream[from..to]);
                from = to;
            }
            let bytewise: Vec<&[u8]> = stream.chunks(1).collect();
            prop_assert_eq!(events(&chunks), events(&[&stream]));
            prop_assert_eq!(events(&bytewise), events(&[&stream]));
        }

        #[test]
        fn what_is_written_is_read_back(texts in proptest::collection::vec("[^\r\n]{0,30}", 0..10)) {
            let mut out = BytesMut::new();
            for text in &texts {
                crate::wire::sse::push_frame(&mut out, text.as_bytes());
            }
            prop_assert_eq!(data(&[&out]), texts);
        }
    }
}
