//! JSON looked at in one pass, from left to right, without building anything.
//!
//! Every token of every stream is checked to be well-formed (RFC 8259) and searched for a few members. A tree would cost
//! more than all the rest of the relay; this costs little more than finding where the strings end.

use std::borrow::Cow;

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
    pub fn peek(&mut self) -> Option<u8> {
        let bytes = self.text.as_bytes();
        while matches!(bytes.get(self.at), Some(b' ' | b'\n' | b'\r' | b'\t')) {
            self.at += 1;
        }
        bytes.get(self.at).copied()
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
        let key = self.key()?;
        member(self, key)?;
        self.further_members(member)
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
        let first = self.peek().ok_or(Malformed)?;
        let start = self.at;
        match first {
            b'{' | b'[' => self.nested()?,
            _ => self.scalar(first)?,
        }
        Ok(&self.text[start..self.at])
    }

    /// Makes sure that nothing but white space is left.
    ///
    /// # Errors
    /// [`Malformed`].
    pub fn end(&mut self) -> Result<(), Malformed> {
        if self.peek().is_none() { Ok(()) } else { Err(Malformed) }
    }

    /// An object or an array, however deep, in a loop: what comes from outside must not use up the stack.
    fn nested(&mut self) -> Result<(), Malformed> {
        let mut nest = Nest::default();
        loop {
            let first = self.peek().ok_or(Malformed)?;
            match first {
                b'{' | b'[' => {
                    if nest.depth == self.deepest {
                        return Err(Malformed);
                    }
                    self.at += 1;
                    let end = first + 2; // As ASCII has them.
                    if self.peek() == Some(end) {
                        self.at += 1;
                    } else {
                        nest.push(first == b'{');
                        if first == b'{' {
                            self.skip_key()?;
                        }
                        continue;
                    }
                }
                _ => self.scalar(first)?,
            }
            // A value has ended, and perhaps what it stands in.
            loop {
                let Some(in_object) = nest.top() else { return Ok(()) };
                if self.goes_on(if in_object { b'}' } else { b']' })? {
                    if in_object {
                        self.skip_key()?;
                    }
                    break;
                }
                nest.pop();
            }
        }
    }

    fn scalar(&mut self, first: u8) -> Result<(), Malformed> {
        match first {
            b'"' => self.string().map(drop),
            b'-' | b'0'..=b'9' => self.number(),
            b't' => self.word("true"),
            b'f' => self.word("false"),
            b'n' => self.word("null"),
            _ => Err(Malformed),
        }
    }

    /// A comma; no: the end.
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

    fn key(&mut self) -> Result<Cow<'a, str>, Malformed> {
        if self.peek() != Some(b'"') {
            return Err(Malformed);
        }
        let start = self.at;
        let escaped = self.string()?;
        let written = &self.text[start..self.at];
        self.expect(b':')?;
        if escaped {
            return serde_json::from_str(written).map(Cow::Owned).map_err(|_| Malformed);
        }
        Ok(Cow::Borrowed(&written[1..written.len() - 1]))
    }

    fn skip_key(&mut self) -> Result<(), Malformed> {
        if self.peek() != Some(b'"') {
            return Err(Malformed);
        }
        self.string()?;
        self.expect(b':')
    }

    /// A string, from its opening quote on; whether anything in it is escaped.
    fn string(&mut self) -> Result<bool, Malformed> {
        let (end, escaped) = text_end(self.text.as_bytes(), self.at + 1)?;
        self.at = end + 1;
        Ok(escaped)
    }

    fn number(&mut self) -> Result<(), Malformed> {
        let bytes = self.text.as_bytes();
        if bytes[self.at] == b'-' {
            self.at += 1;
        }
        // No digit follows a zero that comes first.
        if bytes.get(self.at) == Some(&b'0') {
            self.at += 1;
        } else {
            self.digits()?;
        }
        if bytes.get(self.at) == Some(&b'.') {
            self.at += 1;
            self.digits()?;
        }
        if matches!(bytes.get(self.at), Some(b'e' | b'E')) {
            self.at += 1;
            if matches!(bytes.get(self.at), Some(b'+' | b'-')) {
                self.at += 1;
            }
            self.digits()?;
        }
        Ok(())
    }

    /// At least one digit.
    fn digits(&mut self) -> Result<(), Malformed> {
        let rest = &self.text.as_bytes()[self.at..];
        let count = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        self.at += count;
        if count > 0 { Ok(()) } else { Err(Malformed) }
    }

    fn word(&mut self, word: &str) -> Result<(), Malformed> {
        if !self.text.as_bytes()[self.at..].starts_with(word.as_bytes()) {
            return Err(Malformed);
        }
        self.at += word.len();
        Ok(())
    }
}

/// Where the text that begins at `at`, behind its opening quote, has its closing one, and whether anything in it is escaped.
///
/// # Errors
/// [`Malformed`] when it has none, or holds what a text must not.
pub(super) fn text_end(bytes: &[u8], mut at: usize) -> Result<(usize, bool), Malformed> {
    let mut escaped = false;
    loop {
        at = special(bytes, at).ok_or(Malformed)?;
        match bytes[at] {
            b'"' => return Ok((at, escaped)),
            b'\\' => {
                escaped = true;
                at += match bytes.get(at + 1) {
                    Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => 2,
                    Some(b'u') => {
                        let digits = bytes.get(at + 2..at + 6).ok_or(Malformed)?;
                        if !digits.iter().all(u8::is_ascii_hexdigit) {
                            return Err(Malformed);
                        }
                        6
                    }
                    _ => return Err(Malformed),
                };
            }
            // A control character, which must be escaped.
            _ => return Err(Malformed),
        }
    }
}

/// The first quote, backslash or control character from `at` on: what a JSON text can't hold as it is.
#[must_use]
pub fn special(bytes: &[u8], mut at: usize) -> Option<usize> {
    const ONES: u64 = u64::from_ne_bytes([1; 8]);
    const HIGH: u64 = ONES << 7;
    // The highest bit of each byte that is zero; of later ones too, perhaps, but never of an earlier one.
    let zero = |word: u64| word.wrapping_sub(ONES) & !word & HIGH;
    // Eight bytes at a time.
    while let Some(chunk) = bytes.get(at..at + 8).and_then(|chunk| <[u8; 8]>::try_from(chunk).ok()) {
        let word = u64::from_le_bytes(chunk);
        let quote = zero(word ^ (ONES * u64::from(b'"')));
        let backslash = zero(word ^ (ONES * u64::from(b'\\')));
        let control = word.wrapping_sub(ONES * 0x20) & !word & HIGH;
        let found = quote | backslash | control;
        if found != 0 {
            return Some(at + found.trailing_zeros() as usize / 8);
        }
        at += 8;
    }
    let rest = bytes.get(at..)?;
    rest.iter().position(|byte| matches!(byte, b'"' | b'\\' | 0..0x20)).map(|found| at + found)
}

/// What a value stands in, from the outside in: a bit for each object or array.
#[derive(Default)]
struct Nest {
    depth: usize,
    /// The last 64 or fewer.
    bits: u64,
    outer: Vec<u64>,
}

impl Nest {
    fn push(&mut self, object: bool) {
        if self.depth > 0 && self.depth.is_multiple_of(64) {
            self.outer.push(self.bits);
        }
        self.bits = self.bits << 1 | u64::from(object);
        self.depth += 1;
    }

    fn top(&self) -> Option<bool> {
        (self.depth > 0).then_some(self.bits & 1 == 1)
    }

    fn pop(&mut self) {
        self.bits >>= 1;
        self.depth -= 1;
        if self.depth > 0 && self.depth.is_multiple_of(64) {
            self.bits = self.outer.pop().unwrap_or_default();
        }
    }
}

#[cfg(test)]
mod tests;
