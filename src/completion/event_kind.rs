//! What an upstream's event means for the stream that it belongs to.

use super::error_answer::refused;
use crate::upstream::{Failure, Target};
use crate::wire::chunk::{ChunkParser, DecodedChunk, ParsedFrame};
use crate::wire::envelope::read_error;
use crate::wire::sse::Event;

/// See the module.
pub(super) enum Meaning {
    /// Nothing: pings, comments, and empty events, which the standard dispatches and SDKs die of.
    Nothing,
    /// `[DONE]`.
    Done,
    /// A chunk to pass on.
    Chunk(DecodedChunk),
    /// The upstream's own error, or no sense at all.
    Failure(Failure),
}

/// The same rules for the first event and for all others.
pub(super) fn classify(target: &Target, event: &Event, looker: &mut ChunkParser) -> Meaning {
    if event.data.is_empty() {
        return Meaning::Nothing;
    }
    let frame = looker.parse(&event.data);
    if event.name.is_some()
        && let Some(meaning) = named(target, event, frame.is_ok())
    {
        return meaning;
    }
    match frame {
        Ok(ParsedFrame::Done) => Meaning::Done,
        Ok(ParsedFrame::Error(error)) => Meaning::Failure(refused(target, error)),
        Ok(ParsedFrame::Chunk(facts)) => Meaning::Chunk(facts),
        Ok(ParsedFrame::Other) => Meaning::Nothing,
        // No JSON begins so: a comment that a proxy has wrapped as an event.
        Err(_) if event.data[0] == b':' => Meaning::Nothing,
        Err(_) => Meaning::Failure(Failure::Malformed("an event is not a JSON object")),
    }
}

/// What the name of an event says, if that is all that counts.
fn named(target: &Target, event: &Event, is_json: bool) -> Option<Meaning> {
    match event.name.as_deref()? {
        // A bare `{"message":…}`: SDKs pass over it in silence. Or no JSON at all.
        b"error" => {
            let error = serde_json::from_slice(&event.data).ok().as_ref().and_then(read_error);
            Some(Meaning::Failure(refused(target, error)))
        }
        b"message" => None,
        // `event: ping` with a word behind it. What begins like JSON was meant to be some.
        _ => (!is_json && !matches!(event.data[0], b'{' | b'[')).then_some(Meaning::Nothing),
    }
}
