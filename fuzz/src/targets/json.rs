//! The JSON scanner, compared with serde_json.

use petstream::wire::members::{members, nests_deeper_than};
use petstream::wire::scan::{Scanner, find_special};

use crate::reference::json;

/// Below serde_json's recursion limit.
const MAX_DEPTH: usize = 100;

/// Checks one input.
///
/// # Panics
/// When a check fails.
pub fn run(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let expected = json::is_value(text);
    let mut scanner = Scanner::new(text);
    let value = scanner.value();
    let accepted = value.is_ok() && scanner.end().is_ok();
    assert_eq!(accepted, expected, "whether it is JSON");
    if let (Ok(value), true) = (value, accepted) {
        assert_eq!(value, text.trim_matches([' ', '\t', '\r', '\n']), "the value");
        depths(text);
    }
    if !accepted || json::depth(text) < MAX_DEPTH {
        assert_members(text);
    }
    for at in 0..data.len().min(40) {
        let first = data[at..].iter().position(|byte| matches!(byte, b'"' | b'\\' | 0..0x20)).map(|found| at + found);
        assert_eq!(find_special(data, at), first, "the first special byte from {at} on");
    }
}

fn depths(text: &str) {
    let depth = json::depth(text);
    for limit in [depth.saturating_sub(1), depth, depth + 1] {
        assert_eq!(nests_deeper_than(text.as_bytes(), limit), depth > limit, "depth {depth}, limit {limit}");
        let read = Scanner::new(text).with_max_depth(limit).value();
        assert_eq!(read.is_err(), depth > limit, "depth {depth}, limit {limit}");
    }
}

fn assert_members(text: &str) {
    let read = members(text);
    let Some(expected) = json::members(text) else {
        assert!(read.is_err(), "no object: {read:?}");
        return;
    };
    let Ok(read) = read else { panic!("rejected: {expected:?}") };
    let read: Vec<_> = read.iter().map(|member| (member.key.to_string(), member.value)).collect();
    assert_eq!(read, expected);
}
