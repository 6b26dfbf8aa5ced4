//! Texts: where they end. Most of what is looked at lies in them, so this goes sixteen bytes at a time.

use wide::u8x16;

use super::Malformed;

/// Where the text that begins at `at`, behind its opening quote, has its closing one.
///
/// # Errors
/// [`Malformed`] when it has none, or holds what a text must not.
#[inline(always)]
pub(in crate::wire) fn text_end(bytes: &[u8], at: usize) -> Result<usize, Malformed> {
    match short_text_end(bytes, at) {
        Some(end) => Ok(end),
        None => any_text_end(bytes, at).map(|(end, _)| end),
    }
}

/// As [`text_end`], with the bytes by which the text is shorter once its escapes are decoded.
#[inline(always)]
pub(super) fn measured_text_end(bytes: &[u8], at: usize) -> Result<(usize, usize), Malformed> {
    match short_text_end(bytes, at) {
        Some(end) => Ok((end, 0)),
        None => any_text_end(bytes, at),
    }
}

/// As [`text_end`], of a text of less than sixteen bytes in which nothing is escaped, as most are. It neither loops nor
/// calls anything, so that whoever it becomes part of needs no room on the stack.
#[inline(always)]
pub(super) fn short_text_end(bytes: &[u8], at: usize) -> Option<usize> {
    let text = bytes.get(at..)?.first_chunk()?;
    let end = first(marks(text));
    (text.get(end) == Some(&b'"')).then_some(at + end)
}

#[inline(never)]
fn any_text_end(bytes: &[u8], mut at: usize) -> Result<(usize, usize), Malformed> {
    let mut saved = 0;
    loop {
        at = special(bytes, at).ok_or(Malformed)?;
        match bytes[at] {
            b'"' => return Ok((at, saved)),
            b'\\' => match bytes.get(at + 1) {
                Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => {
                    at += 2;
                    saved += 1;
                }
                Some(b'u') => {
                    let digits = bytes.get(at + 2..at + 6).ok_or(Malformed)?;
                    at += 6;
                    saved += 6 - decoded_len(digits)?;
                }
                _ => return Err(Malformed),
            },
            // A control character, which must be escaped.
            _ => return Err(Malformed),
        }
    }
}

/// How many bytes of UTF-8 the four hexadecimal digits of an escape stand for.
fn decoded_len(digits: &[u8]) -> Result<usize, Malformed> {
    let mut code = 0;
    for digit in digits {
        code = code << 4 | char::from(*digit).to_digit(16).ok_or(Malformed)?;
    }
    Ok(match code {
        0..0x80 => 1,
        // Two of these make one character of four bytes.
        0x80..0x800 | 0xd800..0xe000 => 2,
        _ => 3,
    })
}

/// The first quote, backslash or control character from `at` on: what a JSON text can't hold as it is.
#[must_use]
#[inline]
pub fn special(bytes: &[u8], at: usize) -> Option<usize> {
    let mut rest = bytes.get(at..)?;
    while let Some((chunk, others)) = rest.split_first_chunk() {
        let found = marks(chunk);
        if found != 0 {
            return Some(bytes.len() - rest.len() + first(found));
        }
        rest = others;
    }
    let found = match bytes.last_chunk() {
        // With some that have been looked at.
        Some(last) => first(marks(last) >> (16 - rest.len())),
        None => rest.iter().position(|byte| matches!(byte, b'"' | b'\\' | 0..0x20))?,
    };
    (found < rest.len()).then(|| bytes.len() - rest.len() + found)
}

/// A bit for each byte that is special, from the lowest on.
#[inline(always)]
fn marks(chunk: &[u8; 16]) -> u32 {
    let bytes = u8x16::from(*chunk);
    // With its second bit turned over, a quote comes right behind the control characters, and a blank behind it.
    let turned = bytes ^ u8x16::splat(0b10);
    let quote_or_control = turned.min(u8x16::splat(0x20)).simd_eq(turned);
    (quote_or_control | bytes.simd_eq(u8x16::splat(b'\\'))).to_bitmask()
}

/// The place of the first byte that is marked, beyond all bytes if none is.
#[inline(always)]
const fn first(marks: u32) -> usize {
    marks.trailing_zeros() as usize
}
