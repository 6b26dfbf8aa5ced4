//! Finds the end of JSON strings, 16 bytes at a time: most bytes of a chunk are in strings.

use wide::u8x16;

use super::malformed::Malformed;

/// The offset of the closing quote of the string whose first byte, behind the opening quote, is at `at`. Malformed when
/// it is not closed, and for bad escapes and raw control characters.
#[inline(always)]
pub(in crate::wire) fn string_end(bytes: &[u8], at: usize) -> Result<usize, Malformed> {
    match short_string_end(bytes, at) {
        Some(end) => Ok(end),
        None => any_string_end(bytes, at).map(|(end, _)| end),
    }
}

/// As [`string_end`], and the number of bytes by which the string is shorter once its escapes are decoded.
#[inline(always)]
pub(super) fn measured_string_end(bytes: &[u8], at: usize) -> Result<(usize, usize), Malformed> {
    match short_string_end(bytes, at) {
        Some(end) => Ok((end, 0)),
        None => any_string_end(bytes, at),
    }
}

/// As [`string_end`], for a string of less than 16 bytes without escapes, as most are. It neither loops nor calls
/// anything, so that the callers into which it is inlined need no stack frame.
#[inline(always)]
pub(super) fn short_string_end(bytes: &[u8], at: usize) -> Option<usize> {
    let chunk = bytes.get(at..)?.first_chunk()?;
    let end = first(marks(chunk));
    (chunk.get(end) == Some(&b'"')).then_some(at + end)
}

#[inline(never)]
fn any_string_end(bytes: &[u8], mut at: usize) -> Result<(usize, usize), Malformed> {
    let mut saved = 0;
    loop {
        at = find_special(bytes, at).ok_or(Malformed)?;
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
            // A raw control character.
            _ => return Err(Malformed),
        }
    }
}

/// The number of UTF-8 bytes that the four hexadecimal digits of a `\u` escape stand for.
fn decoded_len(digits: &[u8]) -> Result<usize, Malformed> {
    let mut code = 0;
    for digit in digits {
        code = code << 4 | char::from(*digit).to_digit(16).ok_or(Malformed)?;
    }
    Ok(match code {
        0..0x80 => 1,
        // Two surrogates make one character of four bytes.
        0x80..0x800 | 0xd800..0xe000 => 2,
        _ => 3,
    })
}

/// The offset of the first byte from `at` on that a JSON string can't hold unescaped: a quote, a backslash or a control
/// character (below 0x20).
///
/// ```
/// use petstream::wire::scan::find_special;
///
/// assert_eq!(find_special(b"plain, \"quoted\"", 0), Some(7));
/// assert_eq!(find_special(b"plain", 0), None);
/// ```
#[must_use]
#[inline]
pub fn find_special(bytes: &[u8], at: usize) -> Option<usize> {
    let mut rest = bytes.get(at..)?;
    while let Some((chunk, others)) = rest.split_first_chunk() {
        let found = marks(chunk);
        if found != 0 {
            return Some(bytes.len() - rest.len() + first(found));
        }
        rest = others;
    }
    let found = match bytes.last_chunk() {
        // The last 16 bytes; some were searched already.
        Some(last) => first(marks(last) >> (16 - rest.len())),
        None => rest.iter().position(|byte| matches!(byte, b'"' | b'\\' | 0..0x20))?,
    };
    (found < rest.len()).then(|| bytes.len() - rest.len() + found)
}

/// A bit for each special byte; the first byte is the lowest bit.
#[inline(always)]
fn marks(chunk: &[u8; 16]) -> u32 {
    let bytes = u8x16::from(*chunk);
    // Flipping bit 1 swaps the quote (0x22) and the space (0x20): a quote is then the byte above the control
    // characters.
    let flipped = bytes ^ u8x16::splat(0b10);
    let quote_or_control = flipped.min(u8x16::splat(0x20)).simd_eq(flipped);
    (quote_or_control | bytes.simd_eq(u8x16::splat(b'\\'))).to_bitmask()
}

/// The index of the first marked byte; 32 if there is none.
#[inline(always)]
const fn first(marks: u32) -> usize {
    marks.trailing_zeros() as usize
}
