//! A whole response of an upstream that speaks responses.

use crate::wire::chunk::{ChoiceSet, Completion, DecodedChunk, ParsedFrame, Usage};
use crate::wire::envelope::read_error;
use crate::wire::scan::{Malformed, Scanner};
use crate::wire::translation::TokenCounts;

/// Parses a whole response: a chunk with its usage if it has an `output`, which is empty where a limit of
/// tokens was reached early; an error if it has one or has failed.
///
/// ```
/// use petstream::wire::chunk::ParsedFrame;
/// use petstream::wire::responses::parse_response;
///
/// let body = br#"{"object":"response","status":"completed","error":null,"model":"m","output":[{"type":"message"}],
///     "usage":{"input_tokens":5,"output_tokens":2}}"#;
/// let parsed = parse_response(body)?;
/// let ParsedFrame::Chunk(facts) = parsed.frame else { panic!("no response") };
/// assert_eq!((facts.usage.map(|usage| usage.completion_tokens), parsed.model), (Some(2), Some("\"m\"")));
/// # Ok::<(), petstream::wire::chunk::Malformed>(())
/// ```
///
/// # Errors
/// [`Malformed`] when `body` is no JSON object in UTF-8.
pub fn parse_response(body: &[u8]) -> Result<Completion<'_>, Malformed> {
    let text = simdutf8::basic::from_utf8(body).map_err(|_| Malformed)?;
    let (mut scanner, mut model) = (Scanner::new(text), None);
    let (mut facts, mut items, mut is_failed) = (DecodedChunk::default(), None, false);
    scanner.object(|scanner, key| {
        if key == "output" && scanner.peek() == Some(b'[') {
            items = Some(0_u32);
            return scanner.array(|scanner| {
                items = items.map(|count| count.saturating_add(1));
                scanner.value().map(drop)
            });
        }
        let value = scanner.value()?;
        match &*key {
            "model" => drop(model.get_or_insert(value)),
            "usage" => facts.usage = TokenCounts::read(value).map(Usage::from),
            "error" => is_failed |= value != "null",
            "status" => is_failed |= value == "\"failed\"",
            _ => {}
        }
        Ok(())
    })?;
    scanner.end()?;
    let error = || serde_json::from_str(text).ok().as_ref().and_then(read_error);
    let frame = match items {
        _ if is_failed => ParsedFrame::Error(error()),
        Some(items) => ParsedFrame::Chunk(DecodedChunk {
            tokens: items,
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
    fn what_has_failed_or_has_no_output_is_no_response() {
        let frame = |body: &str| parse_response(body.as_bytes()).map(|parsed| parsed.frame);
        let failed = r#"{"status":"failed","error":{"code":"server_error","message":"Broken."},"output":[]}"#;
        let Ok(ParsedFrame::Error(Some(error))) = frame(failed) else { panic!("no error") };
        assert_eq!((error.code.as_deref(), &*error.message), (Some("server_error"), "Broken."));
        assert!(matches!(frame(r#"{"detail":"Gone."}"#), Ok(ParsedFrame::Error(Some(_)))));
        assert_eq!(frame(r#"{"status":"failed"}"#), Ok(ParsedFrame::Error(None)));
        for other in ["{}", r#"{"output":null}"#, r#"{"choices":[]}"#] {
            assert_eq!(frame(other), Ok(ParsedFrame::Other), "{other}");
        }
        assert_eq!(frame("[]"), Err(Malformed));
        assert_eq!(frame(r#"{"output":[1]} x"#), Err(Malformed));
    }
}
