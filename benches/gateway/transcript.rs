//! A stream of a completion, checked as it comes: all tokens in their order, one `[DONE]`, and nothing after it.

use memchr::memmem::{self, Finder};

use crate::Done;
use crate::clock::{DIGITS, read_digits};

/// What stands before a token's number.
const MARK: &str = r#""content":" #"#;

/// What was seen of a stream.
pub(crate) struct Transcript<'a> {
    mark: &'a Finder<'static>,
    /// How many tokens there must be.
    expected: usize,
    /// How many there were.
    pub(crate) tokens: usize,
    finished: bool,
    done: bool,
    /// A frame whose end has not come.
    begun: Vec<u8>,
}

/// Finds what stands before a token's number. Made once: it costs more than what it finds.
pub(crate) fn mark() -> Finder<'static> {
    Finder::new(MARK)
}

impl<'a> Transcript<'a> {
    pub(crate) fn new(mark: &'a Finder<'static>, expected: usize) -> Self {
        Self { mark, expected, tokens: 0, finished: false, done: false, begun: Vec::new() }
    }

    /// Takes what came, and gives the stamp of each token in it to `token`.
    pub(crate) fn take(&mut self, mut data: &[u8], token: &mut impl FnMut(u64)) -> Done<()> {
        if !self.begun.is_empty() {
            self.begun.extend_from_slice(data);
            let begun = std::mem::take(&mut self.begun);
            return self.take(&begun, token);
        }
        while let Some(end) = memmem::find(data, b"\n\n") {
            self.frame(&data[..end], token)?;
            data = &data[end + 2..];
        }
        self.begun.extend_from_slice(data);
        Ok(())
    }

    fn frame(&mut self, frame: &[u8], token: &mut impl FnMut(u64)) -> Done<()> {
        // A sign of life.
        if frame.starts_with(b":") {
            return Ok(());
        }
        let data = frame.strip_prefix(b"data: ").ok_or_else(|| strange("no data", frame))?;
        if self.done {
            return Err(strange("behind the end", frame));
        }
        if let Some(at) = self.mark.find(data) {
            let number = &data[at + MARK.len()..];
            let stamp = number.get(7..7 + DIGITS).and_then(read_digits);
            let (Some(index), Some(stamp)) = (read_digits(&number[..6]), stamp) else {
                return Err(strange("a token without its stamp", frame));
            };
            if index != self.tokens as u64 || self.finished {
                return Err(strange(&format!("token {} was to come", self.tokens), frame));
            }
            self.tokens += 1;
            token(stamp);
        } else if data == b"[DONE]" {
            self.done = true;
        } else if memmem::find(data, br#""finish_reason":"stop""#).is_some() {
            self.finished = true;
        } else if memmem::find(data, br#""role":"assistant""#).is_none() {
            return Err(strange("neither a token nor an end", frame));
        }
        Ok(())
    }

    /// The body is over: so must be the stream.
    pub(crate) fn end(self) -> Done<()> {
        let whole = self.tokens == self.expected && self.finished && self.done && self.begun.is_empty();
        whole.then_some(()).ok_or_else(|| {
            let (tokens, expected) = (self.tokens, self.expected);
            format!("{tokens} of {expected} tokens, finished: {}, [DONE]: {}", self.finished, self.done).into()
        })
    }
}

fn strange(what: &str, frame: &[u8]) -> crate::Failure {
    format!("{what}: {}", String::from_utf8_lossy(frame)).into()
}
