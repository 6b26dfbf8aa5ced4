//! Recognises the deltas of a stream without parsing them: nearly every one is the one before with another text and
//! another number.

use super::native::NativeEvent;
use crate::wire::frame_template::{FrameTemplate, TextSpan, TextSpans};
use crate::wire::members::span;

/// The number of templates in a row that no event matched, after which none are made any more.
const MAX_MISSES: u8 = 8;

/// The last delta of a stream as a template, at most 4 KiB.
#[derive(Debug, Default)]
pub(in crate::wire) struct TextTemplate {
    made: Option<Made>,
    misses: u8,
}

#[derive(Debug)]
struct Made {
    /// What precedes the number; none: the deltas have no number.
    before: Option<Box<str>>,
    /// The rest, with its texts.
    rest: FrameTemplate,
    of_tool: bool,
}

/// A delta that was parsed.
#[derive(Clone, Copy, Debug)]
pub(in crate::wire) struct ParsedDelta<'a> {
    /// Its data.
    pub(in crate::wire) data: &'a str,
    /// The JSON of its number, if it has one; before its texts.
    pub(in crate::wire) number: Option<&'a str>,
    /// The JSON of the generated text: a string that is not empty.
    pub(in crate::wire) text: &'a str,
    /// The JSON of a string behind it that may be any, such as padding.
    pub(in crate::wire) other: Option<&'a str>,
    /// Whether the text is a part of a tool call.
    pub(in crate::wire) of_tool: bool,
}

impl TextTemplate {
    /// What an event is if it differs from the template in its texts and its number only, and its number.
    pub(in crate::wire) fn recognise(&mut self, data: &str) -> Option<(NativeEvent, Option<u64>)> {
        let Made { before, rest, of_tool } = self.made.as_ref()?;
        let (number, after) = match before {
            None => (None, data),
            Some(before) => {
                let (digits, after) = leading_number(data.strip_prefix(&**before)?)?;
                (Some(digits.parse().ok()?), after)
            }
        };
        if !rest.matches(after) {
            return None;
        }
        self.misses = 0;
        Some((if *of_tool { NativeEvent::ToolDelta } else { NativeEvent::Text }, number))
    }

    /// Takes a delta, which was not recognised, as the template.
    pub(in crate::wire) fn learn(&mut self, delta: &ParsedDelta<'_>) {
        let ParsedDelta { data, number, text, other, of_tool } = *delta;
        if self.misses >= MAX_MISSES {
            return;
        }
        self.misses += 1;
        let number = number.map(|number| span(data, number));
        let begin = number.as_ref().map_or(0, |at| at.end);
        let mut spans = TextSpans::default();
        for (value, is_generated) in [(Some(text), true), (other, false)] {
            let Some(value) = value.filter(|value| value.len() >= 2 && value.starts_with('"')) else { continue };
            let at = span(data, value);
            let inside = at.start + 1..at.end - 1;
            if inside.start < begin {
                self.made = None;
                return;
            }
            spans.push(TextSpan { at: inside.start - begin..inside.end - begin, is_generated });
        }
        let before = number.map(|at| Box::from(&data[..at.start]));
        self.made = FrameTemplate::new(&data[begin..], &spans).map(|rest| Made { before, rest, of_tool });
    }
}

/// The whole number at the beginning of a text, as JSON allows it, and what follows.
fn leading_number(text: &str) -> Option<(&str, &str)> {
    let length = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (digits, after) = text.split_at(length);
    let is_number = !digits.is_empty() && (digits == "0" || !digits.starts_with('0'));
    is_number.then_some((digits, after))
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: &str = r#"{"type":"d","sequence_number":7,"delta":"a","obfuscation":"xx"}"#;

    fn learned(data: &str, number: Option<&str>) -> TextTemplate {
        let value = |key: &str| {
            let at = data.find(&format!("\"{key}\":")).unwrap() + key.len() + 3;
            &data[at..at + data[at..].find([',', '}']).unwrap()]
        };
        let mut template = TextTemplate::default();
        template.learn(&ParsedDelta {
            data,
            number: number.map(value),
            text: value("delta"),
            other: Some(value("obfuscation")),
            of_tool: false,
        });
        template
    }

    #[test]
    fn deltas_with_other_texts_and_another_number_are_recognised() {
        let mut template = learned(FIRST, Some("sequence_number"));
        for (data, number) in [
            (r#"{"type":"d","sequence_number":8,"delta":"b\n","obfuscation":""}"#, 8),
            (r#"{"type":"d","sequence_number":1234,"delta":"é","obfuscation":"yyyy"}"#, 1234),
            (r#"{"type":"d","sequence_number":0,"delta":" ","obfuscation":"y"}"#, 0),
        ] {
            assert_eq!(template.recognise(data), Some((NativeEvent::Text, Some(number))), "{data}");
        }
        for other in [
            r#"{"type":"d","sequence_number":07,"delta":"a","obfuscation":"xx"}"#,
            r#"{"type":"d","sequence_number":,"delta":"a","obfuscation":"xx"}"#,
            r#"{"type":"d","sequence_number":1.5,"delta":"a","obfuscation":"xx"}"#,
            r#"{"type":"d","sequence_number":8,"delta":"","obfuscation":"xx"}"#,
            r#"{"type":"d","sequence_number":8,"delta":"a","obfuscation":"xx""#,
            r#"{"type":"e","sequence_number":8,"delta":"a","obfuscation":"xx"}"#,
        ] {
            assert_eq!(template.recognise(other), None, "{other}");
        }
    }

    #[test]
    fn without_a_number_the_texts_alone_differ() {
        let mut template = learned(FIRST, None);
        assert!(template.recognise(&FIRST.replace("\"a\"", "\"b\"")).is_some());
        assert_eq!(template.recognise(&FIRST.replace(":7", ":8")), None);
    }

    #[test]
    fn after_some_misses_nothing_is_learned_any_more() {
        let mut template = TextTemplate::default();
        for at in 0..20 {
            let data = format!(r#"{{"n{at}":1,"delta":"a"}}"#);
            let text = &data[data.len() - 4..data.len() - 1];
            template.learn(&ParsedDelta { data: &data, number: None, text, other: None, of_tool: true });
            let again = template.recognise(&data).is_some();
            assert_eq!(again, at < usize::from(MAX_MISSES), "{at}");
            template.misses = u8::try_from(at).unwrap() + 1;
        }
    }
}
