//! Frames that are alike but for a few texts, recognised without reading them anew.
//!
//! Nearly every chunk of a stream is the one before it with another piece of text. So a chunk that was read in full
//! becomes a pattern: what stands around its texts, byte for byte. A frame that has the same around its own texts is
//! well-formed and says the same otherwise; only the texts themselves have to be looked through for their ends.

use std::ops::Range;

use super::scan::{Malformed, Scanner, text_end};

/// Most texts that a pattern leaves open.
const MOST_TEXTS: usize = 4;
/// Longest frame that is made a pattern, bytes. It is kept for as long as the stream goes on.
const MOST_BYTES: usize = 2 * 1024;

/// See the module.
#[derive(Debug)]
pub(super) struct Pattern {
    /// The frame without its texts: each piece ends with a text's opening quote, or is the last.
    fixed: Box<[u8]>,
    /// Where the pieces end.
    ends: Vec<usize>,
}

impl Pattern {
    /// The pattern of a well-formed frame with these texts, which are in order: the places between their quotes. None
    /// where it would not pay.
    #[must_use]
    pub(super) fn of(frame: &str, texts: &[Range<usize>]) -> Option<Self> {
        if texts.is_empty() || texts.len() > MOST_TEXTS || frame.len() > MOST_BYTES {
            return None;
        }
        let (mut fixed, mut ends, mut from) = (Vec::with_capacity(frame.len()), Vec::with_capacity(texts.len() + 1), 0);
        for text in texts {
            fixed.extend_from_slice(&frame.as_bytes()[from..text.start]);
            ends.push(fixed.len());
            from = text.end;
        }
        fixed.extend_from_slice(&frame.as_bytes()[from..]);
        ends.push(fixed.len());
        Some(Self { fixed: fixed.into(), ends })
    }

    /// Whether `frame` is the same but for its texts, and these are well-formed.
    #[must_use]
    pub(super) fn fits(&self, frame: &str) -> bool {
        let (mut rest, mut from) = (frame.as_bytes(), 0);
        let Some((last, ends)) = self.ends.split_last() else { return false };
        for end in ends {
            let Some(after) = rest.strip_prefix(&self.fixed[from..*end]) else { return false };
            let Ok(closing) = text_end(after, 0) else { return false };
            (rest, from) = (&after[closing..], *end);
        }
        rest == &self.fixed[from..*last]
    }
}

/// Reads a value, and notes where the texts in it stand, as long as there are few and they don't lie deep.
///
/// # Errors
/// [`Malformed`].
pub(super) fn texts(scanner: &mut Scanner<'_>, depth: u8, found: &mut Vec<Range<usize>>) -> Result<(), Malformed> {
    match scanner.peek() {
        Some(b'"') => {
            let start = scanner.at() + 1;
            scanner.value()?;
            found.push(start..scanner.at() - 1);
            Ok(())
        }
        Some(b'{') if depth > 0 => scanner.object(|scanner, _| texts(scanner, depth - 1, found)),
        Some(b'[') if depth > 0 => scanner.array(|scanner| texts(scanner, depth - 1, found)),
        _ => scanner.value().map(drop),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    fn pattern(frame: &str) -> Option<Pattern> {
        let mut found = Vec::new();
        texts(&mut Scanner::new(frame), 4, &mut found).unwrap();
        Pattern::of(frame, &found)
    }

    #[test]
    fn another_text_fits_and_anything_else_does_not() {
        let one = pattern(r#"{"a":"x","b":[1,{"c":"y"}],"d":null}"#).unwrap();
        for frame in [
            r#"{"a":"x","b":[1,{"c":"y"}],"d":null}"#,
            r#"{"a":"","b":[1,{"c":"\"}]\\"}],"d":null}"#,
            r#"{"a":"é \u00e9","b":[1,{"c":"a long text, longer than all words"}],"d":null}"#,
        ] {
            assert!(one.fits(frame), "{frame}");
        }
        for frame in [
            r#"{"a":"x","b":[2,{"c":"y"}],"d":null}"#,
            r#"{"a":"x","b":[1,{"c":"y"}],"d":nul}"#,
            r#"{"a":"x","b":[1,{"c":"y"}],"d":null} "#,
            r#"{"a":"x","b":[1,{"c":"y"}],"d":null"#,
            r#"{"a":"x","b":[1,{"c":"y","e":1}],"d":null}"#,
            r#"{"a":"x\","b":[1,{"c":"y"}],"d":null}"#,
            r#"{"a":"\x","b":[1,{"c":"y"}],"d":null}"#,
            "{\"a\":\"\n\",\"b\":[1,{\"c\":\"y\"}],\"d\":null}",
            r#"{"a":"x"#,
            "",
        ] {
            assert!(!one.fits(frame), "{frame}");
        }
    }

    #[test]
    fn what_would_not_pay_is_no_pattern() {
        assert!(pattern(r#"{"a":1}"#).is_none());
        assert!(pattern(r#"["a","b","c","d","e"]"#).is_none());
        assert!(pattern(&json!(["x".repeat(MOST_BYTES)]).to_string()).is_none());
        // Texts that lie too deep are part of the pattern.
        let deep = pattern(r#"["a",[[[[["b"]]]]]]"#).unwrap();
        assert!(deep.fits(r#"["c",[[[[["b"]]]]]]"#) && !deep.fits(r#"["a",[[[[["c"]]]]]]"#));
    }

    proptest! {
        #[test]
        fn what_fits_is_json_that_differs_in_texts_only(
            before in "[a\\\\\"n\u{1}é]{0,10}", after in "[a\\\\\"n\u{1}é]{0,10}", tail in "[}\\]\",1]{0,3}",
        ) {
            let one = pattern(&json!({ "id": 1, "text": "x" }).to_string()).unwrap();
            let other = json!({ "id": 1, "text": before }).to_string();
            prop_assert!(one.fits(&other));
            let odd = format!("{{\"id\":1,\"text\":\"{after}\"}}{tail}");
            if one.fits(&odd) {
                let value: Value = serde_json::from_str(&odd).unwrap();
                prop_assert_eq!(&value["id"], 1);
                prop_assert_eq!(value.as_object().unwrap().len(), 2);
            }
        }
    }
}
