//! A whole response of an upstream that speaks responses.

use crate::wire::chunk::Completion;
use crate::wire::scan::Malformed;
use crate::wire::translation::{TokenCounts, WholeAnswer, parse_whole};

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
    parse_whole(
        body,
        &WholeAnswer {
            list: "output",
            usage: TokenCounts::read,
            is_failure: |key, value| match key {
                "error" => value != "null",
                "status" => value == "\"failed\"",
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
