//! Checks a completion stream while it arrives: every token once and in order, a finish reason, one `[DONE]`, and
//! nothing after it.

use memchr::memmem::{self, Finder};

use crate::clock::{DIGITS, read_digits};
use crate::result::{Failure, Result};

/// The text in front of a token's number.
const MARK: &str = r#""content":" #"#;

/// The state of a stream that is being checked.
pub(crate) struct StreamCheck<'a> {
    mark: &'a Finder<'static>,
    /// Tokens that the stream must have.
    expected: usize,
    /// Tokens so far.
    pub(crate) tokens: usize,
    finished: bool,
    done: bool,
    /// The beginning of a frame whose end has not arrived.
    unfinished: Vec<u8>,
}

/// A searcher for the text in front of a token's number. To be made once: making it costs more than a search.
pub(crate) fn token_finder() -> Finder<'static> {
    Finder::new(MARK)
}

impl<'a> StreamCheck<'a> {
    pub(crate) fn new(mark: &'a Finder<'static>, expected: usize) -> Self {
        Self { mark, expected, tokens: 0, finished: false, done: false, unfinished: Vec::new() }
    }

    /// Checks the next bytes, and passes the timestamp of each token in them to `on_token`.
    pub(crate) fn push(&mut self, mut data: &[u8], on_token: &mut impl FnMut(u64)) -> Result<()> {
        if !self.unfinished.is_empty() {
            self.unfinished.extend_from_slice(data);
            let unfinished = std::mem::take(&mut self.unfinished);
            return self.push(&unfinished, on_token);
        }
        while let Some(end) = memmem::find(data, b"\n\n") {
            self.frame(&data[..end], on_token)?;
            data = &data[end + 2..];
        }
        self.unfinished.extend_from_slice(data);
        Ok(())
    }

    fn frame(&mut self, frame: &[u8], on_token: &mut impl FnMut(u64)) -> Result<()> {
        // A comment: a heartbeat.
        if frame.starts_with(b":") {
            return Ok(());
        }
        let data = frame.strip_prefix(b"data: ").ok_or_else(|| unexpected("no data", frame))?;
        if self.done {
            return Err(unexpected("after [DONE]", frame));
        }
        if let Some(at) = self.mark.find(data) {
            let number = &data[at + MARK.len()..];
            let stamp = number.get(7..7 + DIGITS).and_then(read_digits);
            let (Some(index), Some(stamp)) = (read_digits(&number[..6]), stamp) else {
                return Err(unexpected("a token without its stamp", frame));
            };
            if index != self.tokens as u64 || self.finished {
                return Err(unexpected(&format!("token {} was to come", self.tokens), frame));
            }
            self.tokens += 1;
            on_token(stamp);
        } else if data == b"[DONE]" {
            self.done = true;
        } else if memmem::find(data, br#""finish_reason":"stop""#).is_some() {
            self.finished = true;
        } else if memmem::find(data, br#""role":"assistant""#).is_none() {
            return Err(unexpected("neither a token nor the end", frame));
        }
        Ok(())
    }

    /// Checks, at the end of the body, that the stream is complete.
    pub(crate) fn finish(self) -> Result<()> {
        let whole = self.tokens == self.expected && self.finished && self.done && self.unfinished.is_empty();
        whole.then_some(()).ok_or_else(|| {
            let (tokens, expected) = (self.tokens, self.expected);
            format!("{tokens} of {expected} tokens, finished: {}, [DONE]: {}", self.finished, self.done).into()
        })
    }
}

fn unexpected(what: &str, frame: &[u8]) -> Failure {
    format!("{what}: {}", String::from_utf8_lossy(frame)).into()
}
