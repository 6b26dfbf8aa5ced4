//! JSON looked at in one pass, from left to right, without building anything.
//!
//! Every token of every stream is checked to be well-formed (RFC 8259) and searched for a few members. A tree would cost
//! more than all the rest of the relay; this costs little more than finding where the strings end.

mod skip;
#[cfg(test)]
pub(super) mod steps;
mod text;

use std::borrow::Cow;

pub use text::special;
pub(super) use text::text_end;

/// The text is not JSON, or not of the shape that was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Malformed;

/// Where in a text a look has come to.
#[derive(Clone, Debug)]
pub struct Scanner<'a> {
    text: &'a str,
    at: usize,
    /// How deep a value may nest.
    deepest: usize,
}

impl<'a> Scanner<'a> {
    /// Begins at the beginning.
    #[must_use]
    pub const fn new(text: &'a str) -> Self {
        Self { text, at: 0, deepest: usize::MAX }
    }

    /// Begins in the middle, at a place that a scanner of another text has come to which is the same up to there.
    #[must_use]
    pub const fn from(text: &'a str, at: usize) -> Self {
        Self { at, ..Self::new(text) }
    }

    /// Takes values for malformed in which objects and arrays nest deeper than this.
    #[must_use]
    pub const fn no_deeper_than(self, deepest: usize) -> Self {
        Self { deepest, ..self }
    }

    /// How far it is, bytes.
    #[must_use]
    pub const fn at(&self) -> usize {
        self.at
    }

    /// The first byte of the next value; none at the end of the text.
    #[inline(always)]
    pub fn peek(&mut self) -> Option<u8> {
        let next = skip::next(self.text.as_bytes(), self.at);
        let start = std::mem::replace(&mut self.at, next.map_or(self.text.len(), |(_, at)| at));
        self.count(start);
        next.map(|(byte, _)| byte)
    }

    /// Reads an object: calls `member` with each key, unescaped, in order, repeated ones included, to read the key's value.
    ///
    /// # Errors
    /// [`Malformed`] where there is no object, and whatever `member` says.
    pub fn object(
        &mut self,
        mut member: impl FnMut(&mut Self, Cow<'a, str>) -> Result<(), Malformed>,
    ) -> Result<(), Malformed> {
        self.expect(b'{')?;
        if self.peek() == Some(b'}') {
            self.at += 1;
            return Ok(());
        }
        loop {
            let key = self.key()?;
            member(self, key)?;
            if !self.goes_on(b'}')? {
                return Ok(());
            }
        }
    }

    /// As [`Scanner::object`], from behind a member of the object on.
    ///
    /// # Errors
    /// [`Malformed`] where the object does not go on or end, and whatever `member` says.
    pub fn further_members(
        &mut self,
        mut member: impl FnMut(&mut Self, Cow<'a, str>) -> Result<(), Malformed>,
    ) -> Result<(), Malformed> {
        while self.goes_on(b'}')? {
            let key = self.key()?;
            member(self, key)?;
        }
        Ok(())
    }

    /// Reads an array: calls `element` to read each of its elements.
    ///
    /// # Errors
    /// [`Malformed`] where there is no array, and whatever `element` says.
    pub fn array(&mut self, mut element: impl FnMut(&mut Self) -> Result<(), Malformed>) -> Result<(), Malformed> {
        self.expect(b'[')?;
        if self.peek() == Some(b']') {
            self.at += 1;
            return Ok(());
        }
        loop {
            element(self)?;
            if !self.goes_on(b']')? {
                return Ok(());
            }
        }
    }

    /// Reads one value of any kind; gives its text, without white space around it.
    ///
    /// # Errors
    /// [`Malformed`].
    pub fn value(&mut self) -> Result<&'a str, Malformed> {
        let bytes = self.text.as_bytes();
        let end = match bytes.get(self.at) {
            Some(b'"') => text::short_text_end(bytes, self.at + 1).map(|end| end + 1),
            Some(b'0'..=b'9' | b'n') => skip::short_end(bytes, self.at),
            _ => None,
        };
        let Some(end) = end else { return self.any_value() };
        let start = std::mem::replace(&mut self.at, end);
        self.count(start);
        Ok(&self.text[start..end])
    }

    /// Reads a string; gives its text in quotes, as written, and how many bytes it has once its escapes are decoded. None
    /// where there is another value, which is still to be read.
    ///
    /// # Errors
    /// [`Malformed`].
    pub(super) fn text(&mut self) -> Result<Option<(&'a str, usize)>, Malformed> {
        if self.peek() != Some(b'"') {
            return Ok(None);
        }
        let start = self.at;
        let (end, saved) = text::measured_text_end(self.text.as_bytes(), start + 1)?;
        self.at = end + 1;
        self.count(start);
        Ok(Some((&self.text[start..=end], end - start - 1 - saved)))
    }

    /// Counts the bytes from `start` on as looked at. For the tests of how the work grows.
    #[inline(always)]
    fn count(&self, start: usize) {
        #[cfg(test)]
        steps::add(self.at - start + 1);
        let _ = start;
    }

    #[inline(never)]
    fn any_value(&mut self) -> Result<&'a str, Malformed> {
        let first = self.peek().ok_or(Malformed)?;
        let start = self.at;
        self.at = skip::value_end(self.text.as_bytes(), start, first, self.deepest)?;
        self.count(start);
        Ok(&self.text[start..self.at])
    }

    /// Whether a value may nest as deep as this.
    pub(super) const fn may_nest(&self, depth: usize) -> bool {
        self.deepest >= depth
    }

    /// Goes on to where `other` has come to, a scanner of the same text; gives what lies between.
    pub(super) fn skip_to(&mut self, other: &Self) -> &'a str {
        let start = self.at;
        self.at = other.at;
        &self.text[start..self.at]
    }

    /// Makes sure that nothing but white space is left.
    ///
    /// # Errors
    /// [`Malformed`].
    pub fn end(&mut self) -> Result<(), Malformed> {
        if self.peek().is_none() { Ok(()) } else { Err(Malformed) }
    }

    /// A comma; no: the end.
    #[inline(always)]
    fn goes_on(&mut self, end: u8) -> Result<bool, Malformed> {
        let byte = self.peek().ok_or(Malformed)?;
        self.at += 1;
        match byte {
            b',' => Ok(true),
            _ if byte == end => Ok(false),
            _ => Err(Malformed),
        }
    }

    fn expect(&mut self, byte: u8) -> Result<(), Malformed> {
        if self.peek() != Some(byte) {
            return Err(Malformed);
        }
        self.at += 1;
        Ok(())
    }

    /// A key and its colon.
    #[inline(always)]
    fn key(&mut self) -> Result<Cow<'a, str>, Malformed> {
        match self.plain_key() {
            Some(key) => Ok(Cow::Borrowed(key)),
            None => self.any_key(),
        }
    }

    /// As [`Scanner::key`], if it is short, nothing in it is escaped and no white space is around it.
    fn plain_key(&mut self) -> Option<&'a str> {
        let (bytes, start) = (self.text.as_bytes(), self.at + 1);
        if bytes.get(self.at) != Some(&b'"') {
            return None;
        }
        let end = text::short_text_end(bytes, start)?;
        if bytes.get(end + 1) != Some(&b':') {
            return None;
        }
        self.at = end + 2;
        self.count(start);
        Some(&self.text[start..end])
    }

    #[cold]
    fn any_key(&mut self) -> Result<Cow<'a, str>, Malformed> {
        self.expect(b'"')?;
        let (bytes, start) = (self.text.as_bytes(), self.at);
        let plain = special(bytes, start).ok_or(Malformed)?;
        let end = text_end(bytes, plain)?;
        self.at = end + 1;
        self.count(start);
        self.expect(b':')?;
        if plain == end {
            return Ok(Cow::Borrowed(&self.text[start..end]));
        }
        serde_json::from_str(&self.text[start - 1..=end]).map(Cow::Owned).map_err(|_| Malformed)
    }
}

#[cfg(test)]
mod tests;
