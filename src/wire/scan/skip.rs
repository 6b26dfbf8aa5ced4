//! Skips a JSON value without decoding it. The position is passed as an argument, so that it stays in a register.

use super::malformed::Malformed;
use super::string::string_end;

/// The offset of the end of the value that begins at `at` with the byte `first`. Malformed when it nests deeper than
/// `max_depth`.
#[inline]
pub(super) fn value_end(bytes: &[u8], at: usize, first: u8, max_depth: usize) -> Result<usize, Malformed> {
    match first {
        b'"' => Ok(string_end(bytes, at + 1)? + 1),
        b'{' | b'[' => nested_end(bytes, at, max_depth),
        _ => literal_or_number_end(bytes, at, first),
    }
}

/// As [`value_end`], for a non-negative integer or a null that is followed directly by a comma or a closing bracket.
#[inline(always)]
pub(super) fn short_end(bytes: &[u8], at: usize) -> Option<usize> {
    let end = match bytes.get(at)? {
        // No digit may follow a leading zero.
        b'0' => at + 1,
        b'1'..=b'9' => (at + 1..bytes.len()).find(|at| !bytes[*at].is_ascii_digit())?,
        _ => literal_end(bytes, at, b"null").ok()?,
    };
    matches!(bytes.get(end), Some(b',' | b'}' | b']')).then_some(end)
}

/// The first byte from `at` on that is no white space, and its offset.
#[inline(always)]
pub(super) fn next(bytes: &[u8], at: usize) -> Option<(u8, usize)> {
    match bytes.get(at)? {
        // The common case: no white space.
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

/// The end of an object or an array. Loops instead of recursing, so that deep nesting can't exhaust the stack.
fn nested_end(bytes: &[u8], mut at: usize, max_depth: usize) -> Result<usize, Malformed> {
    let mut containers = ContainerStack::default();
    loop {
        let (first, begin) = next(bytes, at).ok_or(Malformed)?;
        at = match first {
            b'{' | b'[' => {
                if containers.depth == max_depth {
                    return Err(Malformed);
                }
                let (inside, offset) = next(bytes, begin + 1).ok_or(Malformed)?;
                // In ASCII a closing bracket is its opening one plus 2.
                if inside == first + 2 {
                    offset + 1
                } else {
                    containers.push(first == b'{');
                    at = if first == b'{' { key_end(bytes, offset)? } else { offset };
                    continue;
                }
            }
            b'"' => string_end(bytes, begin + 1)? + 1,
            _ => literal_or_number_end(bytes, begin, first)?,
        };
        // A value has ended, and perhaps the containers around it.
        loop {
            let Some(in_object) = containers.top() else { return Ok(at) };
            let (byte, offset) = next(bytes, at).ok_or(Malformed)?;
            at = offset + 1;
            match (byte, in_object) {
                (b',', true) => {
                    let (_, offset) = next(bytes, at).ok_or(Malformed)?;
                    at = key_end(bytes, offset)?;
                    break;
                }
                (b',', false) => break,
                (b'}', true) | (b']', false) => containers.pop(),
                _ => return Err(Malformed),
            }
        }
    }
}

/// The offset behind the colon of the key at `at`.
#[inline]
fn key_end(bytes: &[u8], at: usize) -> Result<usize, Malformed> {
    if bytes.get(at) != Some(&b'"') {
        return Err(Malformed);
    }
    match next(bytes, string_end(bytes, at + 1)? + 1) {
        Some((b':', offset)) => Ok(offset + 1),
        _ => Err(Malformed),
    }
}

fn literal_or_number_end(bytes: &[u8], at: usize, first: u8) -> Result<usize, Malformed> {
    match first {
        b'-' | b'0'..=b'9' => number_end(bytes, at),
        b't' => literal_end(bytes, at, b"true"),
        b'f' => literal_end(bytes, at, b"false"),
        b'n' => literal_end(bytes, at, b"null"),
        _ => Err(Malformed),
    }
}

#[inline]
fn literal_end<const LENGTH: usize>(bytes: &[u8], at: usize, literal: &[u8; LENGTH]) -> Result<usize, Malformed> {
    if bytes.get(at..at + LENGTH) == Some(literal) { Ok(at + LENGTH) } else { Err(Malformed) }
}

#[inline]
fn number_end(bytes: &[u8], mut at: usize) -> Result<usize, Malformed> {
    if bytes.get(at) == Some(&b'-') {
        at += 1;
    }
    // No digit may follow a leading zero.
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

/// The end of one or more digits.
#[inline]
fn digits_end(bytes: &[u8], begin: usize) -> Result<usize, Malformed> {
    let mut at = begin;
    while bytes.get(at).is_some_and(u8::is_ascii_digit) {
        at += 1;
    }
    if at > begin { Ok(at) } else { Err(Malformed) }
}

/// The objects and arrays around the current value: one bit each, set for an object.
#[derive(Default)]
struct ContainerStack {
    depth: usize,
    /// The innermost ones, up to 64; the innermost is the lowest bit.
    bits: u64,
    /// The others, 64 in each.
    outer: Vec<u64>,
}

impl ContainerStack {
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
