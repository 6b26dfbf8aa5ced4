//! One frame of an upstream's chat stream, or a whole answer: what a relay must know of it, found without building a tree.
//!
//! One pass checks that the frame is well-formed UTF-8 JSON and picks up the few members that matter.

mod facts;
mod patch;
mod read;
mod usage;

use super::envelope::{ErrorBody, read_error};
use super::frame_template::{FrameTemplate, Text};
use super::scan::Scanner;

pub use super::scan::Malformed;
pub use facts::{Facts, Indices, Usage};
pub use patch::{Calls, Repair, last_chunk, push_repaired};

use read::Reading;

/// What a frame is.
#[derive(Debug, PartialEq)]
pub enum Frame {
    /// `[DONE]`.
    Done,
    /// An error object; `None` where it has no readable message.
    Error(Option<ErrorBody>),
    /// A chunk: it has a list of `choices`, or at least token counts.
    Chunk(Facts),
    /// JSON that is neither: a ping, for example.
    Other,
}

/// Looks at the frames of one stream, one after the other.
#[derive(Debug, Default)]
pub struct ChunkParser {
    /// How the last chunk began that was read from its beginning: up to its choices, if that says nothing to us. All chunks
    /// of most streams begin so.
    head: String,
    /// That of the last chunk that carried text and nothing else, and what such a chunk says.
    usual: Option<(FrameTemplate, Facts)>,
    /// How many patterns were tried in vain since one did: in some streams no two chunks are alike.
    vain: u8,
}

/// Longest beginning of a chunk that is kept for as long as the stream goes on, bytes.
const MAX_HEAD: usize = 1024;

/// Patterns that are tried in vain before a stream's frames are all read in full.
const TRIES: u8 = 8;

impl ChunkParser {
    /// Looks at the data of one frame.
    ///
    /// # Errors
    /// [`Malformed`].
    pub fn look(&mut self, data: &[u8]) -> Result<Frame, Malformed> {
        if data == b"[DONE]" || data.trim_ascii() == b"[DONE]" {
            return Ok(Frame::Done);
        }
        let text = simdutf8::basic::from_utf8(data).map_err(|_| Malformed)?;
        if let Some((pattern, facts)) = &self.usual
            && pattern.fits(text)
        {
            self.vain = 0;
            return Ok(Frame::Chunk(*facts));
        }
        let (frame, texts) = self.read(text)?;
        if let Frame::Chunk(facts) = &frame
            && facts.is_usual()
            && self.vain < TRIES
        {
            self.vain += 1;
            self.usual = FrameTemplate::of(text, &texts).map(|pattern| (pattern, *facts));
        }
        Ok(frame)
    }

    /// Reads one frame; tells also where the texts that streams are about stand in it.
    fn read(&mut self, text: &str) -> Result<(Frame, Vec<Text>), Malformed> {
        let mut reading = Reading::default();
        let mut scanner = Scanner::from(text, self.head.len());
        if self.head.is_empty() || !text.starts_with(&self.head) {
            scanner = Scanner::new(text);
            scanner.object(|scanner, key| reading.member(scanner, &key))?;
            self.head.clear();
            if reading.head <= MAX_HEAD {
                self.head.push_str(&text[..reading.head]);
            }
        } else {
            reading.choices(&mut scanner)?;
            scanner.further_members(|scanner, key| reading.member(scanner, &key))?;
        }
        scanner.end()?;
        Ok((frame_of(text, &reading), reading.texts))
    }
}

impl Facts {
    /// Whether the chunk carries text and nothing else.
    fn is_usual(&self) -> bool {
        self.finished.is_empty() && !self.has_usage && self.usage.is_none() && !self.null_error && self.tokens > 0
    }
}

/// Looks at a whole answer. Its choices have messages where those of a chunk have deltas; all else is the same, and what
/// is an error in a chunk is one here.
///
/// # Errors
/// [`Malformed`].
pub fn look_at_answer(body: &[u8]) -> Result<Frame, Malformed> {
    let text = simdutf8::basic::from_utf8(body).map_err(|_| Malformed)?;
    let mut reading = Reading::of_answer();
    let mut scanner = Scanner::new(text);
    scanner.object(|scanner, key| reading.member(scanner, &key))?;
    scanner.end()?;
    Ok(frame_of(text, &reading))
}

/// What is an error and what is a chunk, for streams and whole answers alike: whatever carries an error is one, whatever
/// else is in it; without a list of choices, so is whatever reads like an error in another shape, as
/// `{"object":"error","message":…}` and `{"detail":…}` do.
fn frame_of(text: &str, reading: &Reading) -> Frame {
    if reading.has_error {
        return Frame::Error(error_of(text));
    }
    let facts = reading.facts;
    if facts.has_choices {
        return Frame::Chunk(facts);
    }
    match error_of(text) {
        Some(error) => Frame::Error(Some(error)),
        None if facts.usage.is_some() => Frame::Chunk(facts),
        None => Frame::Other,
    }
}

fn error_of(text: &str) -> Option<ErrorBody> {
    serde_json::from_str(text).ok().as_ref().and_then(read_error)
}

#[cfg(test)]
mod tests;
