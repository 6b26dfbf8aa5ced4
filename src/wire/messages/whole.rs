//! A whole message of an upstream that speaks messages.

use crate::wire::chunk::{ChoiceSet, Completion, DecodedChunk, ParsedFrame, Usage};
use crate::wire::envelope::read_error;
use crate::wire::scan::{Malformed, Scanner};
use crate::wire::translation::TokenCounts;

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
    let text = simdutf8::basic::from_utf8(body).map_err(|_| Malformed)?;
    let (mut scanner, mut model) = (Scanner::new(text), None);
    let (mut facts, mut blocks, mut is_error) = (DecodedChunk::default(), None, false);
    scanner.object(|scanner, key| {
        if key == "content" && scanner.peek() == Some(b'[') {
            blocks = Some(0_u32);
            return scanner.array(|scanner| {
                blocks = blocks.map(|count| count.saturating_add(1));
                scanner.value().map(drop)
            });
        }
        let value = scanner.value()?;
        match &*key {
            "model" => drop(model.get_or_insert(value)),
            "usage" if value.starts_with('{') => {
                let mut counts = TokenCounts::default();
                counts.read_messages(value);
                facts.usage = Some(Usage::from(counts));
            }
            "type" => is_error |= value == "\"error\"",
            "error" => is_error |= value != "null",
            _ => {}
        }
        Ok(())
    })?;
    scanner.end()?;
    let error = || serde_json::from_str(text).ok().as_ref().and_then(read_error);
    let frame = match blocks {
        _ if is_error => ParsedFrame::Error(error()),
        Some(blocks) => ParsedFrame::Chunk(DecodedChunk {
            tokens: blocks,
            seen: ChoiceSet::first(1),
            finished: ChoiceSet::first(1),
            ..facts
        }),
        None => error().map_or(ParsedFrame::Other, |error| ParsedFrame::Error(Some(error))),
    };
    Ok(Completion { frame, model })
}

#[cfg(test)]
mod tests {
    use super::*;

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
