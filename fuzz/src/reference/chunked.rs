//! Chunked bodies, after RFC 9112, section 7.1.

use super::request_head::is_token;

/// The end of a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The framing is malformed.
    Broken,
    /// The input is incomplete.
    More,
    /// The body is complete; the number of bytes behind it.
    Ended(usize),
}

/// Reads a body: its bytes and its end.
#[must_use]
pub fn read(mut input: &[u8]) -> (Vec<u8>, End) {
    let mut body = Vec::new();
    loop {
        let size = match line(&mut input) {
            Ok(Some(line)) => match size(line) {
                Some(size) => size,
                None => return (body, End::Broken),
            },
            Ok(None) => return (body, End::More),
            Err(()) => return (body, End::Broken),
        };
        if size == 0 {
            break;
        }
        let count = usize::try_from(size).unwrap_or(usize::MAX).min(input.len());
        body.extend_from_slice(&input[..count]);
        input = &input[count..];
        if (count as u64) < size {
            return (body, End::More);
        }
        match input {
            [b'\r', b'\n', rest @ ..] => input = rest,
            [] | [b'\r'] => return (body, End::More),
            _ => return (body, End::Broken),
        }
    }
    loop {
        match line(&mut input) {
            Ok(Some([])) => return (body, End::Ended(input.len())),
            Ok(Some(trailer)) if is_field(trailer) => {}
            Ok(Some(_)) => return (body, End::Broken),
            Ok(None) => return (body, End::More),
            Err(()) => return (body, End::Broken),
        }
    }
}

/// Reads a line that ends with CRLF and has neither CR nor LF elsewhere. None when its end is missing.
fn line<'a>(input: &mut &'a [u8]) -> Result<Option<&'a [u8]>, ()> {
    let Some(at) = input.iter().position(|byte| *byte == b'\n') else { return Ok(None) };
    let (line, rest) = (&input[..at], &input[at + 1..]);
    let Some((b'\r', line)) = line.split_last() else { return Err(()) };
    if line.contains(&b'\r') {
        return Err(());
    }
    *input = rest;
    Ok(Some(line))
}

/// Whether it is a field line (section 5): a name, a colon directly behind it, and a value without control characters.
fn is_field(line: &[u8]) -> bool {
    let Some(at) = line.iter().position(|byte| *byte == b':') else { return false };
    is_token(&line[..at]) && !has_control(&line[at..])
}

fn has_control(text: &[u8]) -> bool {
    text.iter().any(|byte| byte.is_ascii_control() && *byte != b'\t')
}

/// Reads a chunk size: at most 16 hexadecimal digits, then nothing, white space, or extensions behind a semicolon.
fn size(line: &[u8]) -> Option<u64> {
    if has_control(line) {
        return None;
    }
    let line = line.iter().map(|byte| char::from(*byte)).collect::<String>();
    let size = line.split(';').next()?.trim_end_matches([' ', '\t']);
    let plain = !size.is_empty() && size.len() <= 16 && size.chars().all(|digit| digit.is_ascii_hexdigit());
    if plain { u64::from_str_radix(size, 16).ok() } else { None }
}
