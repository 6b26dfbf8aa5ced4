//! Checks a completion stream while it arrives: every token once and in order, a finish reason, one `[DONE]`, and
//! nothing after it.

use memchr::memmem::{self, Finder};

use crate::clock::{DIGITS, read_digits};
use crate::result::{Failure, Result};
use crate::surface::Surface;

/// The state of a stream that is being checked.
pub(crate) struct StreamCheck<'a> {
    surface: Surface,
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
pub(crate) fn token_finder(surface: Surface) -> Finder<'static> {
    Finder::new(surface.mark())
}

impl<'a> StreamCheck<'a> {
    pub(crate) fn new(surface: Surface, mark: &'a Finder<'static>, expected: usize) -> Self {
        Self { surface, mark, expected, tokens: 0, finished: false, done: false, unfinished: Vec::new() }
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
        // Events of other APIs have a name.
        let named = frame.strip_prefix(b"event: ").and_then(|rest| Some(&rest[memchr::memchr(b'\n', rest)? + 1..]));
        let data = named.unwrap_or(frame).strip_prefix(b"data: ").ok_or_else(|| unexpected("no data", frame))?;
        let [finish, done] = self.surface.ends();
        if self.done {
            return Err(unexpected("after [DONE]", frame));
        }
        if let Some(at) = self.mark.find(data) {
            let number = &data[at + self.surface.mark().len()..];
            let stamp = number.get(7..7 + DIGITS).and_then(read_digits);
            let (Some(index), Some(stamp)) = (read_digits(&number[..6]), stamp) else {
                return Err(unexpected("a token without its stamp", frame));
            };
            if index != self.tokens as u64 || self.finished {
                return Err(unexpected(&format!("token {} was to come", self.tokens), frame));
            }
            self.tokens += 1;
            on_token(stamp);
        } else if data.starts_with(done.as_bytes()) {
            self.done = true;
        } else if memmem::find(data, finish.as_bytes()).is_some() {
            self.finished = true;
        } else if self.surface == Surface::Chat && memmem::find(data, br#""role":"assistant""#).is_none() {
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
