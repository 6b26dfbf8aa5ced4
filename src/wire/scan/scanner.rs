//! The scanner: callbacks for members and elements, slices for values.

use std::borrow::Cow;

use super::malformed::Malformed;
#[cfg(test)]
use super::steps;
use super::{skip, string};

/// A position in a JSON text. After an error the position is unspecified.
///
/// ```
/// use petstream::wire::scan::{Malformed, Scanner};
///
/// let mut names = Vec::new();
/// let mut scanner = Scanner::new(r#"{"id": 7, "pets": ["Rex", {"name": "Tom"}]}"#);
/// scanner.object(|scanner, key| match &*key {
///     "pets" => scanner.array(|scanner| {
///         names.push(scanner.value()?);
///         Ok(())
///     }),
///     _ => scanner.value().map(drop),
/// })?;
/// scanner.end()?;
/// assert_eq!(names, [r#""Rex""#, r#"{"name": "Tom"}"#]);
/// # Ok::<(), Malformed>(())
/// ```
#[derive(Clone, Debug)]
pub struct Scanner<'a> {
    text: &'a str,
    at: usize,
    max_depth: usize,
}

impl<'a> Scanner<'a> {
    /// A scanner at the beginning of `text`, without a limit of depth.
    #[must_use]
    pub const fn new(text: &'a str) -> Self {
        Self { text, at: 0, max_depth: usize::MAX }
    }

    /// A scanner that resumes at `at`, the position of a scanner of another text whose beginning up to there is the
    /// same.
    #[must_use]
    pub const fn resume(text: &'a str, at: usize) -> Self {
        Self { at, ..Self::new(text) }
    }

    /// Makes [`Scanner::value`] fail for values in which objects and arrays nest deeper than `max_depth`.
    #[must_use]
    pub const fn with_max_depth(self, max_depth: usize) -> Self {
        Self { max_depth, ..self }
    }

    /// The offset of the next byte.
    #[must_use]
    pub const fn position(&self) -> usize {
        self.at
    }

    /// Skips white space; returns the next byte without consuming it. None at the end of the text.
    #[inline(always)]
    pub fn peek(&mut self) -> Option<u8> {
        let next = skip::next(self.text.as_bytes(), self.at);
        let start = std::mem::replace(&mut self.at, next.map_or(self.text.len(), |(_, at)| at));
        self.count(start);
        next.map(|(byte, _)| byte)
    }

    /// Reads an object. Calls `member` with each key, unescaped and in order, repeated keys included; `member` must
    /// read the key's value.
    ///
    /// # Errors
    /// [`Malformed`] when the next value is no object, and the errors of `member`.
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
            if !self.comma_or(b'}')? {
                return Ok(());
            }
        }
    }

    /// As [`Scanner::object`], from behind one of the object's members on.
    ///
    /// # Errors
    /// [`Malformed`] when no comma or closing brace follows, and the errors of `member`.
    pub fn further_members(
        &mut self,
        mut member: impl FnMut(&mut Self, Cow<'a, str>) -> Result<(), Malformed>,
    ) -> Result<(), Malformed> {
        while self.comma_or(b'}')? {
            let key = self.key()?;
            member(self, key)?;
        }
        Ok(())
    }

    /// Reads an array. Calls `element` for each element; `element` must read its value.
    ///
    /// # Errors
    /// [`Malformed`] when the next value is no array, and the errors of `element`.
    pub fn array(&mut self, mut element: impl FnMut(&mut Self) -> Result<(), Malformed>) -> Result<(), Malformed> {
        self.expect(b'[')?;
        if self.peek() == Some(b']') {
            self.at += 1;
            return Ok(());
        }
        loop {
            element(self)?;
            if !self.comma_or(b']')? {
                return Ok(());
            }
        }
    }

    /// Reads a value of any type; returns its JSON without white space around it.
    ///
    /// # Errors
    /// [`Malformed`] when no well-formed value follows, or one that nests too deep.
    pub fn value(&mut self) -> Result<&'a str, Malformed> {
        let bytes = self.text.as_bytes();
        let end = match bytes.get(self.at) {
            Some(b'"') => string::short_string_end(bytes, self.at + 1).map(|end| end + 1),
            Some(b'0'..=b'9' | b'n') => skip::short_end(bytes, self.at),
            _ => None,
        };
        let Some(end) = end else { return self.any_value() };
        let start = std::mem::replace(&mut self.at, end);
        self.count(start);
        Ok(&self.text[start..end])
    }

    /// Reads a string; returns its JSON, quotes included, and its length in bytes once its escapes are decoded. None
    /// when another type follows, whose value is then still to be read.
    pub(in crate::wire) fn string(&mut self) -> Result<Option<(&'a str, usize)>, Malformed> {
        if self.peek() != Some(b'"') {
            return Ok(None);
        }
        let start = self.at;
        let (end, saved) = string::measured_string_end(self.text.as_bytes(), start + 1)?;
        self.at = end + 1;
        self.count(start);
        Ok(Some((&self.text[start..=end], end - start - 1 - saved)))
    }

    /// Counts the bytes since `start` as work, for the tests of how it grows.
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
        self.at = skip::value_end(self.text.as_bytes(), start, first, self.max_depth)?;
        self.count(start);
        Ok(&self.text[start..self.at])
    }

    pub(in crate::wire) const fn allows_depth(&self, depth: usize) -> bool {
        self.max_depth >= depth
    }

    /// Moves to the position of `other`, a scanner of the same text; returns the text between.
    pub(in crate::wire) fn skip_to(&mut self, other: &Self) -> &'a str {
        let start = self.at;
        self.at = other.at;
        &self.text[start..self.at]
    }

    /// Checks that only white space is left.
    ///
    /// # Errors
    /// [`Malformed`] when anything else is.
    pub fn end(&mut self) -> Result<(), Malformed> {
        if self.peek().is_none() { Ok(()) } else { Err(Malformed) }
    }

    /// Reads a comma (true) or `end` (false).
    #[inline(always)]
    fn comma_or(&mut self, end: u8) -> Result<bool, Malformed> {
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

    /// Reads a key and its colon.
    #[inline(always)]
    fn key(&mut self) -> Result<Cow<'a, str>, Malformed> {
        match self.plain_key() {
            Some(key) => Ok(Cow::Borrowed(key)),
            None => self.any_key(),
        }
    }

    /// As [`Scanner::key`], for a key of less than 16 bytes without escapes and white space around it.
    fn plain_key(&mut self) -> Option<&'a str> {
        let (bytes, start) = (self.text.as_bytes(), self.at + 1);
        if bytes.get(self.at) != Some(&b'"') {
            return None;
        }
        let end = string::short_string_end(bytes, start)?;
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
        let plain = string::find_special(bytes, start).ok_or(Malformed)?;
        let end = string::string_end(bytes, plain)?;
        self.at = end + 1;
        self.count(start);
        self.expect(b':')?;
        if plain == end {
            return Ok(Cow::Borrowed(&self.text[start..end]));
        }
        serde_json::from_str(&self.text[start - 1..=end]).map(Cow::Owned).map_err(|_| Malformed)
    }
}
