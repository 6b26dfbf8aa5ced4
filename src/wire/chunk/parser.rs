//! The parser of a stream's frames, and that of a whole completion.

use super::decoded_chunk::DecodedChunk;
use super::reader::{ChoiceShape, Reader};
use crate::wire::envelope::{ErrorBody, read_error};
use crate::wire::frame_template::{FrameTemplate, TextSpans};
use crate::wire::scan::{Malformed, Scanner};

/// The data of a frame, parsed.
#[derive(Debug, PartialEq)]
pub enum ParsedFrame {
    /// `[DONE]`.
    Done,
    /// An error object. `None` when it has no readable message.
    Error(Option<ErrorBody>),
    /// A chunk: it has an array of `choices`, or at least token counts.
    Chunk(DecodedChunk),
    /// Any other JSON object, such as a ping.
    Other,
}

/// Parses the frames of one stream in order. Nearly all frames of a stream begin alike and differ in their text only;
/// the parser keeps the last one, at most 3 KiB, and compares before it parses. The result never depends on the kept
/// chunk.
///
/// ```
/// use petstream::wire::chunk::{ChunkParser, ParsedFrame};
///
/// let mut parser = ChunkParser::default();
/// let chunk = br#"{"choices":[{"index":0,"delta":{"content":"Hi"},"finish_reason":null}]}"#;
/// let Ok(ParsedFrame::Chunk(decoded)) = parser.parse(chunk) else { panic!("no chunk") };
/// assert_eq!((decoded.tokens, decoded.seen.len(), decoded.finished.is_empty()), (1, 1, true));
///
/// assert_eq!(parser.parse(b"[DONE]"), Ok(ParsedFrame::Done));
/// assert!(matches!(parser.parse(br#"{"error":{"message":"Busy."}}"#), Ok(ParsedFrame::Error(Some(_)))));
/// assert!(parser.parse(b"{\"choices\":[").is_err());
/// ```
#[derive(Debug, Default)]
pub struct ChunkParser {
    shape: ChoiceShape,
    /// The beginning of the last chunk that was read from its beginning, up to the value of `choices`. Empty when it is
    /// too long or holds a member that matters.
    pub(super) head: String,
    /// The last chunk that carried text and nothing else, as a template, and the facts about chunks that match it.
    template: Option<(FrameTemplate, DecodedChunk)>,
    /// Templates that were made since one last matched.
    misses: u8,
}

/// The longest `head` that is kept, bytes. It is kept as long as the stream.
pub(super) const MAX_HEAD: usize = 1024;

/// The number of misses after which no templates are made any more: in some streams no two chunks are alike.
const MAX_MISSES: u8 = 8;

impl ChunkParser {
    /// A parser for a stream whose choices have this shape.
    #[must_use]
    pub fn new(shape: ChoiceShape) -> Self {
        Self { shape, ..Self::default() }
    }

    /// Parses the data of one frame.
    ///
    /// # Errors
    /// [`Malformed`] when it is neither `[DONE]` nor a JSON object in UTF-8.
    pub fn parse(&mut self, data: &[u8]) -> Result<ParsedFrame, Malformed> {
        if data == b"[DONE]" || data.trim_ascii() == b"[DONE]" {
            return Ok(ParsedFrame::Done);
        }
        let text = simdutf8::basic::from_utf8(data).map_err(|_| Malformed)?;
        if let Some((template, chunk)) = &self.template
            && template.matches(text)
        {
            self.misses = 0;
            return Ok(ParsedFrame::Chunk(*chunk));
        }
        let (frame, texts) = self.read(text)?;
        if let ParsedFrame::Chunk(chunk) = &frame
            && chunk.is_text_only()
            && self.misses < MAX_MISSES
        {
            self.misses += 1;
            self.template = FrameTemplate::new(text, &texts).map(|template| (template, *chunk));
        }
        Ok(frame)
    }

    /// Reads a frame in full; returns also where its generated texts are.
    fn read(&mut self, text: &str) -> Result<(ParsedFrame, TextSpans), Malformed> {
        let mut reader = Reader::new(self.shape);
        let mut scanner = Scanner::resume(text, self.head.len());
        if self.head.is_empty() || !text.starts_with(&self.head) {
            scanner = Scanner::new(text);
            scanner.object(|scanner, key| reader.member(scanner, &key))?;
            self.head.clear();
            if reader.head_len <= MAX_HEAD {
                self.head.push_str(&text[..reader.head_len]);
            }
        } else {
            reader.choices(&mut scanner)?;
            scanner.further_members(|scanner, key| reader.member(scanner, &key))?;
        }
        scanner.end()?;
        Ok((classify(text, &reader), reader.texts))
    }
}

/// A whole completion, parsed.
#[derive(Debug, PartialEq)]
pub struct Completion<'a> {
    /// What it is. `[DONE]` is none.
    pub frame: ParsedFrame,
    /// The JSON of its `model`, if it has that member; of several the first.
    pub model: Option<&'a str>,
}

/// Parses a whole completion, whose choices have this shape. Everything else is as in [`ChunkParser::parse`].
///
/// # Errors
/// [`Malformed`] when `body` is no JSON object in UTF-8.
pub fn parse_completion(body: &[u8], shape: ChoiceShape) -> Result<Completion<'_>, Malformed> {
    let text = simdutf8::basic::from_utf8(body).map_err(|_| Malformed)?;
    let mut reader = Reader::new(shape);
    let (mut scanner, mut model) = (Scanner::new(text), None);
    scanner.object(|scanner, key| {
        if key == "model" {
            let value = scanner.value()?;
            model.get_or_insert(value);
            return Ok(());
        }
        reader.member(scanner, &key)
    })?;
    scanner.end()?;
    Ok(Completion { frame: classify(text, &reader), model })
}

/// An object with an error is an error, whatever else is in it. Without an array of `choices`, an object in another
/// shape of errors is one too: `{"object":"error","message":…}`, `{"detail":…}`.
fn classify(text: &str, reader: &Reader) -> ParsedFrame {
    if reader.has_error {
        return ParsedFrame::Error(error_of(text));
    }
    let chunk = reader.chunk;
    if chunk.has_choices {
        return ParsedFrame::Chunk(chunk);
    }
    match error_of(text) {
        Some(error) => ParsedFrame::Error(Some(error)),
        None if chunk.usage.is_some() => ParsedFrame::Chunk(chunk),
        None => ParsedFrame::Other,
    }
}

pub(super) fn error_of(text: &str) -> Option<ErrorBody> {
    serde_json::from_str(text).ok().as_ref().and_then(read_error)
}
