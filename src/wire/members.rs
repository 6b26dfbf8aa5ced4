//! The members of a JSON object as slices of its text, and edits of that text.
//!
//! Bodies are forwarded byte for byte and never serialised again: numbers keep all their digits, and only the ranges
//! that must change are replaced.

use std::borrow::Cow;
use std::ops::Range;

use super::scan::{Malformed, Scanner};

/// A member of an object: `"key": value`.
#[derive(Debug)]
pub struct Member<'a> {
    /// The key, unescaped: `"m\u006fdel"` is `model`.
    pub key: Cow<'a, str>,
    /// The JSON of the value, without white space around it.
    pub value: &'a str,
}

/// The members of the JSON object `text`, in order, repeated keys included.
///
/// # Errors
/// [`Malformed`] when `text` is not one well-formed object.
///
/// ```
/// use petstream::wire::members::members;
///
/// let all = members(r#"{"n": 1.50, "m\u006fdel": ["a"]}"#)?;
/// assert_eq!((&*all[0].key, all[0].value), ("n", "1.50"));
/// assert_eq!((&*all[1].key, all[1].value), ("model", r#"["a"]"#));
/// # Ok::<(), petstream::wire::scan::Malformed>(())
/// ```
pub fn members(text: &str) -> Result<Vec<Member<'_>>, Malformed> {
    members_up_to(text, usize::MAX).map(|(all, _)| all)
}

/// The first `max` members and the number of all; all are checked to be well-formed.
///
/// # Errors
/// As [`members`].
pub(crate) fn members_up_to(text: &str, max: usize) -> Result<(Vec<Member<'_>>, usize), Malformed> {
    let mut all = Vec::with_capacity(max.min(8));
    let mut count = 0;
    let mut scanner = Scanner::new(text);
    scanner.object(|scanner, key| {
        let value = scanner.value()?;
        count += 1;
        if all.len() < max {
            all.push(Member { key, value });
        }
        Ok(())
    })?;
    scanner.end()?;
    Ok((all, count))
}

/// The decoded string of the first member `key` of the JSON object `text`. None when there is none or it is no string.
/// The text behind the member is not read.
#[must_use]
pub(crate) fn string_member<'a>(text: &'a str, key: &str) -> Option<Cow<'a, str>> {
    string_value(member(text, key)?)
}

/// The JSON of the first member `key` of the JSON object `text`. The text behind the member is not read.
#[must_use]
pub(crate) fn member<'a>(text: &'a str, key: &str) -> Option<&'a str> {
    let (mut scanner, mut found) = (Scanner::new(text), None);
    // The error ends the scan.
    let _ = scanner.object(|scanner, name| {
        let value = scanner.value()?;
        if name == key {
            found = Some(value);
            return Err(Malformed);
        }
        Ok(())
    });
    found
}

/// The decoded string that is `value`; none for another value.
#[must_use]
pub(crate) fn string_value(value: &str) -> Option<Cow<'_, str>> {
    let plain = value.strip_prefix('"')?.strip_suffix('"').filter(|text| !text.contains('\\'));
    plain.map_or_else(|| serde_json::from_str(value).ok().map(Cow::Owned), |text| Some(Cow::Borrowed(text)))
}

/// The elements of the JSON array `text`.
///
/// # Errors
/// [`Malformed`] when `text` is not one well-formed array.
pub(crate) fn elements(text: &str) -> Result<Vec<&str>, Malformed> {
    let mut all = Vec::new();
    let mut scanner = Scanner::new(text);
    scanner.array(|scanner| {
        all.push(scanner.value()?);
        Ok(())
    })?;
    scanner.end()?;
    Ok(all)
}

/// The range of `part`, which is a slice of `whole`, in `whole`.
#[must_use]
pub(crate) fn span(whole: impl AsRef<[u8]>, part: impl AsRef<[u8]>) -> Range<usize> {
    let (whole, part) = (whole.as_ref(), part.as_ref());
    let start = part.as_ptr() as usize - whole.as_ptr() as usize;
    start..start + part.len()
}

/// The text with each range replaced. Ranges are in order; of two that overlap, the second replaces what is left of it.
#[must_use]
pub(crate) fn apply_edits(text: &str, edits: &[(Range<usize>, String)]) -> String {
    let added: usize = edits.iter().map(|(_, new)| new.len()).sum();
    let mut edited = String::with_capacity(text.len() + added);
    let mut at = 0;
    for (range, new) in edits {
        edited.push_str(&text[at..range.start.max(at)]);
        edited.push_str(new);
        at = range.end.max(at);
    }
    edited.push_str(&text[at..]);
    edited
}

/// Whether objects and arrays in `json` nest deeper than `limit`. Counts brackets outside strings, so `json` need not
/// be well-formed.
#[must_use]
pub fn nests_deeper_than(json: &[u8], limit: usize) -> bool {
    let (mut depth, mut in_string, mut escaped) = (0_usize, false, false);
    for byte in json {
        if in_string {
            match byte {
                _ if escaped => escaped = false,
                b'\\' => escaped = true,
                b'"' => in_string = false,
                _ => {}
            }
            continue;
        }
        match byte {
            b'"' => in_string = true,
            b'{' | b'[' => {
                depth += 1;
                if depth > limit {
                    return true;
                }
            }
            b'}' | b']' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_string_member_is_found_without_reading_behind_it() {
        let find = |text| string_member(text, "model").map(Cow::into_owned);
        assert_eq!(find(r#"{"id":1,"model":"m","choices":[}"#).as_deref(), Some("m"));
        assert_eq!(find(r#"{"choices":[{"model":"x"}],"m\u006fdel":"\u00e9\""}"#).as_deref(), Some("é\""));
        for none in [r#"{"model":1}"#, r#"{"model":null,"model":"m"}"#, r#"{"choices":[]}"#, r#"{"model":"m"#, "[]", ""]
        {
            assert_eq!(find(none), None, "{none}");
        }
    }

    #[test]
    fn values_stay_as_they_were_written() {
        let text = r#" { "a" : 1.0e400 , "m\u006fdel":"x", "a":[ 1 ] } "#;
        let all = members(text).unwrap();
        let seen: Vec<_> = all.iter().map(|m| (&*m.key, m.value)).collect();
        assert_eq!(seen, [("a", "1.0e400"), ("model", "\"x\""), ("a", "[ 1 ]")]);
        assert_eq!(&text[span(text, all[2].value)], "[ 1 ]");
    }

    #[test]
    fn other_values_than_objects_are_malformed() {
        for text in ["", "1", "[1]", "{", "{\"a\":}", "{} x", "{\"a\":1,}"] {
            assert!(members(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_limited_number_of_members_is_kept_and_all_are_read() {
        let (all, count) = members_up_to(r#"{"a":1,"b":2,"c":3}"#, 2).unwrap();
        assert_eq!((all.len(), count, &*all[1].key), (2, 3, "b"));
        assert!(members_up_to(r#"{"a":1,"b":2,"c":}"#, 2).is_err());
    }

    #[test]
    fn edits_change_their_ranges_only() {
        assert_eq!(apply_edits("abcdef", &[(1..2, "X".to_owned()), (4..4, "Y".to_owned())]), "aXcdYef");
    }

    #[test]
    fn depth_counts_brackets_outside_strings() {
        assert!(!nests_deeper_than(br#"{"a":["[[[[\"[[["]}"#, 2));
        assert!(nests_deeper_than(br#"{"a":[[1]]}"#, 2));
        assert!(nests_deeper_than(&vec![b'['; 100_000], 128));
        for text in [r#"{"a":{}}"#, r#"{"a":{"b":[]}}"#, r#"{"a":[[1]],"b":1}"#, r#"{"a":"[[[[["}"#] {
            for max_depth in 1..5 {
                // The object itself is one level.
                let mut scanner = Scanner::new(text).with_max_depth(max_depth - 1);
                let malformed = scanner.object(|scanner, _| scanner.value().map(drop)).is_err();
                assert_eq!(malformed, nests_deeper_than(text.as_bytes(), max_depth), "{text} {max_depth}");
            }
        }
    }

    proptest! {
        #[test]
        fn hostile_text_never_panics(text in "[{}\\[\\]\":,a0\\\\ ]{0,60}") {
            let _ = members(&text);
            let _ = nests_deeper_than(text.as_bytes(), 3);
        }
    }
}
