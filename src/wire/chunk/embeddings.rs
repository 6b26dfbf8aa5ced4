//! A whole answer to a request of embeddings.

use super::decoded_chunk::DecodedChunk;
use super::parser::{Completion, ParsedFrame, error_of};
use super::usage::read_usage;
use crate::wire::scan::{Malformed, Scanner};

/// Parses a whole answer with embeddings: a chunk with its usage if there is an embedding in it. The vectors are only
/// checked to be well-formed.
///
/// ```
/// use petstream::wire::chunk::{ParsedFrame, parse_embeddings};
///
/// let answer = br#"{"data":[{"embedding":[0.5,-1e-3]}],"model":"e","usage":{"prompt_tokens":2,"total_tokens":2}}"#;
/// let parsed = parse_embeddings(answer)?;
/// let ParsedFrame::Chunk(facts) = parsed.frame else { panic!("no embeddings") };
/// assert_eq!((facts.usage.map(|usage| usage.prompt_tokens), parsed.model), (Some(2), Some("\"e\"")));
/// # Ok::<(), petstream::wire::scan::Malformed>(())
/// ```
///
/// # Errors
/// [`Malformed`] when `body` is no JSON object in UTF-8.
pub fn parse_embeddings(body: &[u8]) -> Result<Completion<'_>, Malformed> {
    let text = simdutf8::basic::from_utf8(body).map_err(|_| Malformed)?;
    let (mut scanner, mut model) = (Scanner::new(text), None);
    let (mut facts, mut count, mut has_error) = (DecodedChunk::default(), 0_usize, false);
    scanner.object(|scanner, key| {
        if key == "data" && scanner.peek() == Some(b'[') {
            return scanner.array(|scanner| {
                count += 1;
                scanner.value().map(drop)
            });
        }
        let value = scanner.value()?;
        match &*key {
            "model" => drop(model.get_or_insert(value)),
            "usage" => facts.usage = facts.usage.or_else(|| read_usage(value)),
            "error" => has_error |= value != "null",
            _ => {}
        }
        Ok(())
    })?;
    scanner.end()?;
    let frame = match (has_error, count) {
        (true, _) => ParsedFrame::Error(error_of(text)),
        (false, 0) => error_of(text).map_or(ParsedFrame::Other, |error| ParsedFrame::Error(Some(error))),
        (false, _) => ParsedFrame::Chunk(facts),
    };
    Ok(Completion { frame, model })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_without_embeddings_is_an_error_or_nothing() {
        let frame = |body: &str| parse_embeddings(body.as_bytes()).map(|parsed| parsed.frame);
        assert!(matches!(frame(r#"{"error":{"message":"Busy."},"data":[{}]}"#), Ok(ParsedFrame::Error(Some(_)))));
        assert!(matches!(frame(r#"{"object":"error","message":"Busy."}"#), Ok(ParsedFrame::Error(Some(_)))));
        for other in ["{}", r#"{"data":[]}"#, r#"{"data":{}}"#, r#"{"data":null,"error":null}"#] {
            assert_eq!(frame(other), Ok(ParsedFrame::Other), "{other}");
        }
        for malformed in ["[]", "", r#"{"data":[{"embedding":[0.1,]}]}"#, r#"{"data":[1]} x"#] {
            assert_eq!(frame(malformed), Err(Malformed), "{malformed}");
        }
    }
}
