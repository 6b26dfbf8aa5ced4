//! A whole message of an upstream that speaks messages.

use crate::wire::chunk::Completion;
use crate::wire::scan::Malformed;
use crate::wire::translation::{TokenCounts, WholeAnswer, parse_whole};

/// Parses a whole message: a chunk with its usage if it has a `content`, which may be empty; an error if it is one.
///
/// ```
/// use petstream::wire::chunk::ParsedFrame;
/// use petstream::wire::messages::parse_message;
///
/// let body = br#"{"type":"message","model":"m","content":[{"type":"text","text":"Hi"}],
///     "usage":{"input_tokens":5,"cache_read_input_tokens":3,"output_tokens":2}}"#;
/// let parsed = parse_message(body)?;
/// let ParsedFrame::Chunk(facts) = parsed.frame else { panic!("no message") };
/// assert_eq!((facts.usage.map(|usage| usage.prompt_tokens), parsed.model), (Some(8), Some("\"m\"")));
/// # Ok::<(), petstream::wire::chunk::Malformed>(())
/// ```
///
/// # Errors
/// [`Malformed`] when `body` is no JSON object in UTF-8.
pub fn parse_message(body: &[u8]) -> Result<Completion<'_>, Malformed> {
    parse_whole(
        body,
        &WholeAnswer {
            list: "content",
            usage: |json| {
                let mut counts = TokenCounts::default();
                counts.read_messages(json);
                json.starts_with('{').then_some(counts)
            },
            is_failure: |key, value| match key {
                "error" => value != "null",
                "type" => value == "\"error\"",
                _ => false,
            },
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::chunk::ParsedFrame;

    #[test]
    fn an_error_is_no_message() {
        let frame = |body: &str| parse_message(body.as_bytes()).map(|parsed| parsed.frame);
        let failed = r#"{"type":"error","error":{"type":"overloaded_error","message":"Busy."}}"#;
        let Ok(ParsedFrame::Error(Some(error))) = frame(failed) else { panic!("no error") };
        assert_eq!((&*error.kind, &*error.message), ("overloaded_error", "Busy."));
        assert_eq!(frame(r#"{"type":"error"}"#), Ok(ParsedFrame::Error(None)));
        for other in ["{}", r#"{"content":null}"#, r#"{"choices":[]}"#] {
            assert_eq!(frame(other), Ok(ParsedFrame::Other), "{other}");
        }
        let Ok(ParsedFrame::Chunk(empty)) = frame(r#"{"content":[],"usage":null}"#) else { panic!("no message") };
        assert_eq!((empty.tokens, empty.usage), (0, None));
        assert_eq!(frame("[]"), Err(Malformed));
    }
}
