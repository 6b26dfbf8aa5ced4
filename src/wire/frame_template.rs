//! Frames that differ from the one before in a few texts only, recognised without parsing them again.
//!
//! Nearly every chunk of a stream is the one before it with another text. A chunk that was parsed in full therefore
//! becomes a template: its bytes around the texts. A frame with the same bytes around its own texts is well-formed and
//! has the same content otherwise; only its texts have to be scanned for their ends.

use std::ops::Range;

use super::scan::string_end;

/// The largest number of texts in a template.
pub(super) const MAX_TEXTS: usize = 4;
/// The longest frame that becomes a template, bytes. A template is kept as long as the stream.
const MAX_BYTES: usize = 2 * 1024;

/// A string in a frame that may differ from frame to frame.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct TextSpan {
    /// Its position, without the quotes.
    pub(super) at: Range<usize>,
    /// Whether it is generated text. It then matters whether it is empty, since a token is counted only for text.
    pub(super) is_generated: bool,
}

/// The texts of a frame in order, as far as a template can have them. On the stack: there is one for every frame that is
/// parsed in full.
#[derive(Debug, Default)]
pub(super) struct TextSpans {
    /// The first `count` are set.
    first: [TextSpan; MAX_TEXTS],
    /// The number of all texts, which may be greater than [`MAX_TEXTS`].
    count: usize,
}

impl TextSpans {
    pub(super) fn push(&mut self, span: TextSpan) {
        if let Some(place) = self.first.get_mut(self.count) {
            *place = span;
        }
        self.count += 1;
    }

    /// All texts; none where there are too many for a template.
    fn all(&self) -> Option<&[TextSpan]> {
        self.first.get(..self.count)
    }
}

/// A frame's bytes without its texts.
#[derive(Debug)]
pub(super) struct FrameTemplate {
    /// The parts around the texts, one after the other. Each but the last ends with the opening quote of a text.
    fixed: Box<[u8]>,
    /// The ends of the parts that a text follows, and what the text's length must be.
    texts: Vec<(usize, LengthRule)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum LengthRule {
    Empty,
    NotEmpty,
    Any,
}

impl LengthRule {
    const fn allows(self, length: usize) -> bool {
        match self {
            Self::Empty => length == 0,
            Self::NotEmpty => length > 0,
            Self::Any => true,
        }
    }
}

impl FrameTemplate {
    /// The template of a well-formed frame with these texts, in order. None when it has no texts, too many, or is too
    /// long.
    #[must_use]
    pub(super) fn new(frame: &str, spans: &TextSpans) -> Option<Self> {
        let spans = spans.all()?;
        if spans.is_empty() || frame.len() > MAX_BYTES {
            return None;
        }
        let (mut fixed, mut texts, mut from) = (Vec::with_capacity(frame.len()), Vec::with_capacity(spans.len()), 0);
        for TextSpan { at, is_generated } in spans {
            fixed.extend_from_slice(&frame.as_bytes()[from..at.start]);
            let rule = match is_generated {
                true if at.is_empty() => LengthRule::Empty,
                true => LengthRule::NotEmpty,
                false => LengthRule::Any,
            };
            texts.push((fixed.len(), rule));
            from = at.end;
        }
        fixed.extend_from_slice(&frame.as_bytes()[from..]);
        Some(Self { fixed: fixed.into(), texts })
    }

    /// Whether `frame` differs in its texts only, and these are well-formed and of the length that their rules allow.
    #[must_use]
    pub(super) fn matches(&self, frame: &str) -> bool {
        let (mut rest, mut from) = (frame.as_bytes(), 0);
        for (end, rule) in &self.texts {
            let Some(after) = rest.strip_prefix(&self.fixed[from..*end]) else { return false };
            let Ok(closing) = string_end(after, 0) else { return false };
            if !rule.allows(closing) {
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

    /// The template of a frame whose texts are the values of these keys.
    fn template_of(frame: &str, keys: &[&str], is_generated: bool) -> Option<FrameTemplate> {
        let texts = keys.iter().map(|key| {
            let start = frame.find(&format!("\"{key}\":\"")).unwrap() + key.len() + 4;
            TextSpan { at: start..start + frame[start..].find('"').unwrap(), is_generated }
        });
        let mut spans = TextSpans::default();
        texts.for_each(|text| spans.push(text));
        FrameTemplate::new(frame, &spans)
    }

    #[test]
    fn only_texts_may_differ() {
        let one = template_of(r#"{"a":"x","b":[1,{"c":"y"}],"d":null}"#, &["a", "c"], false).unwrap();
        for frame in [
            r#"{"a":"x","b":[1,{"c":"y"}],"d":null}"#,
            r#"{"a":"","b":[1,{"c":"\"}]\\"}],"d":null}"#,
            r#"{"a":"é \u00e9","b":[1,{"c":"a long text, longer than a vector"}],"d":null}"#,
        ] {
            assert!(one.matches(frame), "{frame}");
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
            assert!(!one.matches(frame), "{frame}");
        }
    }

    #[test]
    fn generated_text_must_be_empty_where_it_was_empty() {
        for (one, other) in [(r#"{"a":"x"}"#, r#"{"a":""}"#), (r#"{"a":""}"#, r#"{"a":"x"}"#)] {
            let template = template_of(one, &["a"], true).unwrap();
            assert!(template.matches(one) && !template.matches(other), "{one}");
            assert!(template_of(one, &["a"], false).unwrap().matches(other), "{one}");
        }
    }

    #[test]
    fn frames_without_texts_with_many_texts_or_too_long_have_no_template() {
        assert!(template_of(r#"{"a":1}"#, &[], false).is_none());
        let many = r#"{"a":"1","b":"2","c":"3","d":"4","e":"5"}"#;
        assert!(template_of(many, &["a", "b", "c", "d", "e"], false).is_none());
        let long = json!({"a": "x".repeat(MAX_BYTES)}).to_string();
        assert!(template_of(&long, &["a"], false).is_none());
        // Other texts are part of the template.
        let part = template_of(r#"{"a":"x","b":"y"}"#, &["a"], false).unwrap();
        assert!(part.matches(r#"{"a":"z","b":"y"}"#) && !part.matches(r#"{"a":"x","b":"z"}"#));
    }

    proptest! {
        #[test]
        fn a_match_is_well_formed_json_that_differs_in_texts_only(
            before in "[a\\\\\"n\u{1}é]{0,10}", after in "[a\\\\\"n\u{1}é]{0,10}", tail in "[}\\]\",1]{0,3}",
        ) {
            let one = template_of(&json!({ "id": 1, "text": "x" }).to_string(), &["text"], false).unwrap();
            let other = json!({ "id": 1, "text": before }).to_string();
            prop_assert!(one.matches(&other));
            let odd = format!("{{\"id\":1,\"text\":\"{after}\"}}{tail}");
            if one.matches(&odd) {
                let value: Value = serde_json::from_str(&odd).unwrap();
                prop_assert_eq!(&value["id"], 1);
                prop_assert_eq!(value.as_object().unwrap().len(), 2);
            }
        }
    }
}
