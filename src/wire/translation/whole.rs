//! Whole answers of upstreams that speak another API than chat.

use super::usage::TokenCounts;
use crate::wire::chunk::{ChoiceSet, Completion, DecodedChunk, ParsedFrame, Usage};
use crate::wire::envelope::read_error;
use crate::wire::scan::{Malformed, Scanner};

/// What an API's whole answers have.
pub(in crate::wire) struct WholeAnswer {
    /// The member with the list of what was generated, which may be empty.
    pub(in crate::wire) list: &'static str,
    /// Reads the JSON of `usage`.
    pub(in crate::wire) usage: fn(&str) -> Option<TokenCounts>,
    /// Whether a member, with this JSON as its value, says that the answer is an error.
    pub(in crate::wire) is_failure: fn(&str, &str) -> bool,
}

/// Parses a whole answer: a chunk with its usage and one finished choice if it has its list; an error if it is one.
///
/// # Errors
/// [`Malformed`] when `body` is no JSON object in UTF-8.
pub(in crate::wire) fn parse_whole<'a>(body: &'a [u8], answer: &WholeAnswer) -> Result<Completion<'a>, Malformed> {
    let text = simdutf8::basic::from_utf8(body).map_err(|_| Malformed)?;
    let (mut scanner, mut model) = (Scanner::new(text), None);
    let (mut usage, mut generated, mut is_failed) = (None, None, false);
    scanner.object(|scanner, key| {
        if key == answer.list && scanner.peek() == Some(b'[') {
            generated = Some(0_u32);
            return scanner.array(|scanner| {
                generated = generated.map(|count| count.saturating_add(1));
                scanner.value().map(drop)
            });
        }
        let value = scanner.value()?;
        is_failed |= (answer.is_failure)(&key, value);
        match &*key {
            "model" => drop(model.get_or_insert(value)),
            "usage" => usage = (answer.usage)(value).map(Usage::from),
            _ => {}
        }
        Ok(())
    })?;
    scanner.end()?;
    let error = || serde_json::from_str(text).ok().as_ref().and_then(read_error);
    let frame = match generated {
        _ if is_failed => ParsedFrame::Error(error()),
        Some(tokens) => {
            let choice = ChoiceSet::first(1);
            ParsedFrame::Chunk(DecodedChunk {
                tokens,
                seen: choice,
                finished: choice,
                usage,
                ..DecodedChunk::default()
            })
        }
        None => error().map_or(ParsedFrame::Other, |error| ParsedFrame::Error(Some(error))),
    };
    Ok(Completion { frame, model })
}
