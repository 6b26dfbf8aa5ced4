//! The members of a JSON object as slices of the text they stand in.
//!
//! Bodies are forwarded byte for byte, so they are looked at, never rebuilt: each value stays the text
//! that it was (numbers keep all their digits), and knows where in the body it stands.

use std::borrow::Cow;
use std::ops::Range;

use super::scan::{Malformed, Scanner};

/// One `"key": value` of an object.
#[derive(Debug)]
pub struct Member<'a> {
    /// The key, unescaped: `"m\u006fdel"` is `model`.
    pub key: Cow<'a, str>,
    /// The value as written, without white space around it.
    pub value: &'a str,
}

/// The members of the object that `text` is, in order, repeated keys included.
///
/// # Errors
/// When `text` is not one well-formed JSON object.
pub fn members(text: &str) -> Result<Vec<Member<'_>>, Malformed> {
    members_up_to(text, usize::MAX).map(|(all, _)| all)
}

/// As [`members`], but no more than the first `most`, and how many there are.
///
/// # Errors
/// As [`members`].
pub fn members_up_to(text: &str, most: usize) -> Result<(Vec<Member<'_>>, usize), Malformed> {
    let mut all = Vec::with_capacity(most.min(8));
    let mut count = 0;
    let mut scanner = Scanner::new(text);
    scanner.object(|scanner, key| {
        let value = scanner.value()?;
        count += 1;
        if all.len() < most {
            all.push(Member { key, value });
        }
        Ok(())
    })?;
    scanner.end()?;
    Ok((all, count))
}

/// The text of the first member `key` of the object that `text` is; none where it is no text. Nothing behind it is looked at.
#[must_use]
pub fn text_member<'a>(text: &'a str, key: &str) -> Option<Cow<'a, str>> {
    let (mut scanner, mut found) = (Scanner::new(text), None);
    let _stopped = scanner.object(|scanner, name| {
        let value = scanner.value()?;
        if name == key {
            found = Some(value);
            return Err(Malformed);
        }
        Ok(())
    });
    let value = found?;
    let plain = value.strip_prefix('"')?.strip_suffix('"').filter(|text| !text.contains('\\'));
    plain.map_or_else(|| serde_json::from_str(value).ok().map(Cow::Owned), |text| Some(Cow::Borrowed(text)))
}

/// The elements of the array that `text` is.
///
/// # Errors
/// When `text` is not one well-formed JSON array.
pub fn elements(text: &str) -> Result<Vec<&str>, Malformed> {
    let mut all = Vec::new();
    let mut scanner = Scanner::new(text);
    scanner.array(|scanner| {
        all.push(scanner.value()?);
        Ok(())
    })?;
    scanner.end()?;
    Ok(all)
}

/// Where `part`, a slice of `whole`, begins and ends in it.
#[must_use]
pub fn span(whole: &str, part: &str) -> Range<usize> {
    let start = part.as_ptr() as usize - whole.as_ptr() as usize;
    start..start + part.len()
}

/// The text with each range replaced; ranges are in order and do not overlap (what overlaps is left out once).
#[must_use]
pub fn patch(text: &str, edits: &[(Range<usize>, String)]) -> String {
    let added: usize = edits.iter().map(|(_, new)| new.len()).sum();
    let mut patched = String::with_capacity(text.len() + added);
    let mut at = 0;
    for (range, new) in edits {
        patched.push_str(&text[at..range.start.max(at)]);
        patched.push_str(new);
        at = range.end.max(at);
    }
    patched.push_str(&text[at..]);
    patched
}

/// Whether objects and arrays in `json` nest deeper than `limit`. Counts brackets outside strings, so it
/// can run before anything is parsed.
#[must_use]
pub fn deeper_than(json: &[u8], limit: usize) -> bool {
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
    fn a_text_is_found_without_looking_behind_it() {
        let find = |text| text_member(text, "model").map(Cow::into_owned);
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
    fn what_is_no_object_is_refused() {
        for text in ["", "1", "[1]", "{", "{\"a\":}", "{} x", "{\"a\":1,}"] {
            assert!(members(text).is_err(), "{text}");
        }
    }

    #[test]
    fn only_so_many_members_are_kept_and_all_are_read() {
        let (all, count) = members_up_to(r#"{"a":1,"b":2,"c":3}"#, 2).unwrap();
        assert_eq!((all.len(), count, &*all[1].key), (2, 3, "b"));
        assert!(members_up_to(r#"{"a":1,"b":2,"c":}"#, 2).is_err());
    }

    #[test]
    fn edits_leave_the_rest_alone() {
        assert_eq!(patch("abcdef", &[(1..2, "X".to_owned()), (4..4, "Y".to_owned())]), "aXcdYef");
    }

    #[test]
    fn depth_counts_brackets_outside_strings() {
        assert!(!deeper_than(br#"{"a":["[[[[\"[[["]}"#, 2));
        assert!(deeper_than(br#"{"a":[[1]]}"#, 2));
        assert!(deeper_than(&vec![b'['; 100_000], 128));
        for text in [r#"{"a":{}}"#, r#"{"a":{"b":[]}}"#, r#"{"a":[[1]],"b":1}"#, r#"{"a":"[[[[["}"#] {
            for deepest in 1..5 {
                // The object itself is one.
                let mut scanner = Scanner::new(text).no_deeper_than(deepest - 1);
                let refused = scanner.object(|scanner, _| scanner.value().map(drop)).is_err();
                assert_eq!(refused, deeper_than(text.as_bytes(), deepest), "{text} {deepest}");
            }
        }
    }

    proptest! {
        #[test]
        fn hostile_text_never_panics(text in "[{}\\[\\]\":,a0\\\\ ]{0,60}") {
            let _ = members(&text);
            let _ = deeper_than(text.as_bytes(), 3);
        }
    }
}
