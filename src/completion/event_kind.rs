//! Classifies an upstream's events: chunk, end, error, or nothing.

use super::redact::refused;
use crate::upstream::{Failure, Target};
use crate::wire::chunk::{ChunkParser, DecodedChunk, ParsedFrame};
use crate::wire::envelope::read_error;
use crate::wire::sse::Event;

/// The kind of an event.
pub(super) enum EventKind {
    /// Nothing to pass on: pings, comments, and empty events, which the standard dispatches and SDKs fail on.
    Ignored,
    /// `[DONE]`.
    Done,
    /// A chunk to pass on.
    Chunk(DecodedChunk),
    /// The upstream's own error, or what is no JSON object.
    Failure(Failure),
}

/// Classifies an event; the rules are the same for the first one and for all others.
pub(super) fn classify(target: &Target, event: &Event, parser: &mut ChunkParser) -> EventKind {
    if event.data.is_empty() {
        return EventKind::Ignored;
    }
    let frame = parser.parse(&event.data);
    if event.name.is_some()
        && let Some(meaning) = named(target, event, frame.is_ok())
    {
        return meaning;
    }
    match frame {
        Ok(ParsedFrame::Done) => EventKind::Done,
        Ok(ParsedFrame::Error(error)) => EventKind::Failure(refused(target, error)),
        Ok(ParsedFrame::Chunk(facts)) => EventKind::Chunk(facts),
        Ok(ParsedFrame::Other) => EventKind::Ignored,
        // A comment that a proxy has wrapped as an event: no JSON begins with a colon.
        Err(_) if event.data[0] == b':' => EventKind::Ignored,
        Err(_) => EventKind::Failure(Failure::Malformed("an event is not a JSON object")),
    }
}

/// The kind that follows from an event's name alone, if it does.
fn named(target: &Target, event: &Event, is_json: bool) -> Option<EventKind> {
    match event.name.as_deref()? {
        // Perhaps a bare `{"message":…}`, which SDKs ignore, or no JSON at all.
        b"error" => {
            let error = serde_json::from_slice(&event.data).ok().as_ref().and_then(read_error);
            Some(EventKind::Failure(refused(target, error)))
        }
        b"message" => None,
        // `event: ping` with a word as its data. Data that begins like JSON is broken JSON.
        _ => (!is_json && !matches!(event.data[0], b'{' | b'[')).then_some(EventKind::Ignored),
    }
}
