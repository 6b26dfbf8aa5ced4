//! Values that nobody asks anything: where they end. The place is handed on rather than kept, so that it stays in a
//! register.

use super::Malformed;
use super::text::text_end;

/// Where the value ends that begins with this byte at `at`, and nests no deeper than `deepest`.
///
/// # Errors
/// [`Malformed`].
#[inline]
pub(super) fn value_end(bytes: &[u8], at: usize, first: u8, deepest: usize) -> Result<usize, Malformed> {
    match first {
        b'"' => Ok(text_end(bytes, at + 1)? + 1),
        b'{' | b'[' => nested_end(bytes, at, deepest),
        _ => word_or_number_end(bytes, at, first),
    }
}

/// As [`value_end`], of a whole number or a null, if what they stand in goes on or ends right behind it.
#[inline(always)]
pub(super) fn short_end(bytes: &[u8], at: usize) -> Option<usize> {
    let end = match bytes.get(at)? {
        // No digit follows a zero that comes first.
        b'0' => at + 1,
        b'1'..=b'9' => (at + 1..bytes.len()).find(|at| !bytes[*at].is_ascii_digit())?,
        _ => word_end(bytes, at, b"null").ok()?,
    };
    matches!(bytes.get(end), Some(b',' | b'}' | b']')).then_some(end)
}

/// The first byte from `at` on that is no white space, and its place.
#[inline(always)]
pub(super) fn next(bytes: &[u8], at: usize) -> Option<(u8, usize)> {
    match bytes.get(at)? {
        // As good as always.
        byte @ b'!'.. => Some((*byte, at)),
        _ => next_behind_space(bytes, at),
    }
}

#[inline(never)]
fn next_behind_space(bytes: &[u8], mut at: usize) -> Option<(u8, usize)> {
    loop {
        match bytes.get(at)? {
            b' ' | b'\n' | b'\r' | b'\t' => at += 1,
            byte => return Some((*byte, at)),
        }
    }
}

/// An object or an array, however deep, in a loop: what comes from outside must not use up the stack.
fn nested_end(bytes: &[u8], mut at: usize, deepest: usize) -> Result<usize, Malformed> {
    let mut nest = Nest::default();
    loop {
        let (first, begin) = next(bytes, at).ok_or(Malformed)?;
        at = match first {
            b'{' | b'[' => {
                if nest.depth == deepest {
                    return Err(Malformed);
                }
                let (inside, place) = next(bytes, begin + 1).ok_or(Malformed)?;
                // As ASCII has them.
                if inside == first + 2 {
                    place + 1
                } else {
                    nest.push(first == b'{');
                    at = if first == b'{' { key_end(bytes, place)? } else { place };
                    continue;
                }
            }
            b'"' => text_end(bytes, begin + 1)? + 1,
            _ => word_or_number_end(bytes, begin, first)?,
        };
        // A value has ended, and perhaps what it stands in.
        loop {
            let Some(in_object) = nest.top() else { return Ok(at) };
            let (byte, place) = next(bytes, at).ok_or(Malformed)?;
            at = place + 1;
            match (byte, in_object) {
                (b',', true) => {
                    let (_, place) = next(bytes, at).ok_or(Malformed)?;
                    at = key_end(bytes, place)?;
                    break;
                }
                (b',', false) => break,
                (b'}', true) | (b']', false) => nest.pop(),
                _ => return Err(Malformed),
            }
        }
    }
}

/// Where the colon behind a key ends.
#[inline]
fn key_end(bytes: &[u8], at: usize) -> Result<usize, Malformed> {
    if bytes.get(at) != Some(&b'"') {
        return Err(Malformed);
    }
    match next(bytes, text_end(bytes, at + 1)? + 1) {
        Some((b':', place)) => Ok(place + 1),
        _ => Err(Malformed),
    }
}

fn word_or_number_end(bytes: &[u8], at: usize, first: u8) -> Result<usize, Malformed> {
    match first {
        b'-' | b'0'..=b'9' => number_end(bytes, at),
        b't' => word_end(bytes, at, b"true"),
        b'f' => word_end(bytes, at, b"false"),
        b'n' => word_end(bytes, at, b"null"),
        _ => Err(Malformed),
    }
}

#[inline]
fn word_end<const LENGTH: usize>(bytes: &[u8], at: usize, word: &[u8; LENGTH]) -> Result<usize, Malformed> {
    if bytes.get(at..at + LENGTH) == Some(word) { Ok(at + LENGTH) } else { Err(Malformed) }
}

#[inline]
fn number_end(bytes: &[u8], mut at: usize) -> Result<usize, Malformed> {
    if bytes.get(at) == Some(&b'-') {
        at += 1;
    }
    // No digit follows a zero that comes first.
    at = if bytes.get(at) == Some(&b'0') { at + 1 } else { digits_end(bytes, at)? };
    if bytes.get(at) == Some(&b'.') {
        at = digits_end(bytes, at + 1)?;
    }
    if matches!(bytes.get(at), Some(b'e' | b'E')) {
        at += 1;
        if matches!(bytes.get(at), Some(b'+' | b'-')) {
            at += 1;
        }
        at = digits_end(bytes, at)?;
    }
    Ok(at)
}

/// At least one digit.
#[inline]
fn digits_end(bytes: &[u8], begin: usize) -> Result<usize, Malformed> {
    let mut at = begin;
    while bytes.get(at).is_some_and(u8::is_ascii_digit) {
        at += 1;
    }
    if at > begin { Ok(at) } else { Err(Malformed) }
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
