//! Frames that are alike but for a few texts, recognised without reading them anew.
//!
//! Nearly every chunk of a stream is the one before it with another piece of text. So a chunk that was read in full
//! becomes a pattern: what stands around its texts, byte for byte. A frame that has the same around its own texts is
//! well-formed and says the same otherwise; only the texts themselves have to be looked through for their ends.

use std::ops::Range;

use super::scan::text_end;

/// Most texts that a pattern leaves open.
const MAX_TEXTS: usize = 4;
/// Longest frame that is made a pattern, bytes. It is kept for as long as the stream goes on.
const MAX_BYTES: usize = 2 * 1024;

/// A text in a frame that may differ from frame to frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Text {
    /// Where it stands, without its quotes.
    pub(super) at: Range<usize>,
    /// Whether it matters that it is empty or is not: a token is counted only where there is text.
    pub(super) counts: bool,
}

/// See the module.
#[derive(Debug)]
pub(super) struct FrameTemplate {
    /// The frame without its texts: each piece ends with a text's opening quote, or is the last.
    fixed: Box<[u8]>,
    /// Where the pieces end that a text follows, and what that must be.
    ends: Vec<(usize, Must)>,
}

/// What a text must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Must {
    Empty,
    Filled,
    /// It may be either.
    Any,
}

impl Must {
    const fn allows(self, length: usize) -> bool {
        match self {
            Self::Empty => length == 0,
            Self::Filled => length > 0,
            Self::Any => true,
        }
    }
}

impl FrameTemplate {
    /// The pattern of a well-formed frame with these texts, which are in order. None where it would not pay.
    #[must_use]
    pub(super) fn of(frame: &str, texts: &[Text]) -> Option<Self> {
        if texts.is_empty() || texts.len() > MAX_TEXTS || frame.len() > MAX_BYTES {
            return None;
        }
        let (mut fixed, mut ends, mut from) = (Vec::with_capacity(frame.len()), Vec::with_capacity(texts.len()), 0);
        for Text { at, counts } in texts {
            fixed.extend_from_slice(&frame.as_bytes()[from..at.start]);
            let must = match counts {
                true if at.is_empty() => Must::Empty,
                true => Must::Filled,
                false => Must::Any,
            };
            ends.push((fixed.len(), must));
            from = at.end;
        }
        fixed.extend_from_slice(&frame.as_bytes()[from..]);
        Some(Self { fixed: fixed.into(), ends })
    }

    /// Whether `frame` is the same but for its texts, and these are well-formed and empty only where they were.
    #[must_use]
    pub(super) fn fits(&self, frame: &str) -> bool {
        let (mut rest, mut from) = (frame.as_bytes(), 0);
        for (end, must) in &self.ends {
            let Some(after) = rest.strip_prefix(&self.fixed[from..*end]) else { return false };
            let Ok(closing) = text_end(after, 0) else { return false };
            if !must.allows(closing) {
                return false;
            }
            (rest, from) = (&after[closing..], *end);
        }
        rest == &self.fixed[from..]
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    /// The pattern of a frame, all of whose texts are values of these keys.
    fn pattern_of(frame: &str, keys: &[&str], counts: bool) -> Option<FrameTemplate> {
        let texts = keys.iter().map(|key| {
            let start = frame.find(&format!("\"{key}\":\"")).unwrap() + key.len() + 4;
            Text { at: start..start + frame[start..].find('"').unwrap(), counts }
        });
        FrameTemplate::of(frame, &texts.collect::<Vec<_>>())
    }

    #[test]
    fn another_text_fits_and_anything_else_does_not() {
        let one = pattern_of(r#"{"a":"x","b":[1,{"c":"y"}],"d":null}"#, &["a", "c"], false).unwrap();
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
    fn where_text_counts_an_empty_one_is_another_frame() {
        for (one, other) in [(r#"{"a":"x"}"#, r#"{"a":""}"#), (r#"{"a":""}"#, r#"{"a":"x"}"#)] {
            let pattern = pattern_of(one, &["a"], true).unwrap();
            assert!(pattern.fits(one) && !pattern.fits(other), "{one}");
            assert!(pattern_of(one, &["a"], false).unwrap().fits(other), "{one}");
        }
    }

    #[test]
    fn what_would_not_pay_is_no_pattern() {
        assert!(pattern_of(r#"{"a":1}"#, &[], false).is_none());
        let many = r#"{"a":"1","b":"2","c":"3","d":"4","e":"5"}"#;
        assert!(pattern_of(many, &["a", "b", "c", "d", "e"], false).is_none());
        let long = json!({"a": "x".repeat(MAX_BYTES)}).to_string();
        assert!(pattern_of(&long, &["a"], false).is_none());
        // Texts that are not named are part of the pattern.
        let part = pattern_of(r#"{"a":"x","b":"y"}"#, &["a"], false).unwrap();
        assert!(part.fits(r#"{"a":"z","b":"y"}"#) && !part.fits(r#"{"a":"x","b":"z"}"#));
    }

    proptest! {
        #[test]
        fn what_fits_is_json_that_differs_in_texts_only(
            before in "[a\\\\\"n\u{1}é]{0,10}", after in "[a\\\\\"n\u{1}é]{0,10}", tail in "[}\\]\",1]{0,3}",
        ) {
            let one = pattern_of(&json!({ "id": 1, "text": "x" }).to_string(), &["text"], false).unwrap();
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
