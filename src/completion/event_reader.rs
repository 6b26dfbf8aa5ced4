//! Classifies an upstream's events: chunk, end, error, or nothing.

use std::borrow::Cow;

use super::redact::refused;
use crate::upstream::{Failure, Target};
use crate::wire::chunk::{ChoiceSet, ChoiceShape, ChunkParser, DecodedChunk, Malformed, ParsedFrame, Usage};
use crate::wire::envelope::{ErrorBody, read_error};
use crate::wire::members::{member, string_member};
use crate::wire::messages::from_chat;
use crate::wire::operation::Operation;
use crate::wire::sse::Event;
use crate::wire::translation::NativeEvent;
use crate::wire::{messages, responses};

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

/// Reads the events of one stream in order, by the API that the upstream speaks.
pub(super) enum EventReader {
    /// Chunks of chat completions, or of completions of a prompt.
    Chunks(ChunkParser),
    /// The events of a response. On the heap, since chunks are what nearly all streams have.
    Response(Box<responses::EventScanner>),
    /// The events of a message.
    Message(Box<messages::EventScanner>),
}

impl EventReader {
    /// For the stream of an upstream's answer to a request of `operation`.
    pub(super) fn new(operation: Operation) -> Self {
        match operation {
            Operation::Responses => Self::Response(Box::default()),
            Operation::Messages => Self::Message(Box::default()),
            Operation::Chat | Operation::Completions | Operation::Embeddings => {
                Self::Chunks(ChunkParser::new(ChoiceShape::of_chunks(operation)))
            }
        }
    }

    /// Classifies an event; the rules are the same for the first one and for all others. Of an answer in another form
    /// than chunks, the one event that completes it has its only choice finished.
    pub(super) fn classify(&mut self, target: &Target, event: &Event) -> EventKind {
        if event.data.is_empty() {
            return EventKind::Ignored;
        }
        if self.ends_with_choice() && &*event.data == b"[DONE]" {
            // The answer's own last event comes before it.
            return EventKind::Ignored;
        }
        let read = match self {
            Self::Chunks(parser) => return chunk(target, event, parser),
            Self::Response(scanner) => text(event).and_then(|text| scanner.classify(text)),
            Self::Message(scanner) => text(event).and_then(|text| scanner.classify(text)),
        };
        match read {
            Ok(NativeEvent::Failed(error)) => EventKind::Failure(refused(target, self.in_words_of_chat(error))),
            Ok(event) => EventKind::Chunk(facts(&event)),
            Err(Malformed) => named(target, event, false)
                .unwrap_or(EventKind::Failure(Failure::Malformed("an event is not a JSON object"))),
        }
    }

    /// Errors have the types and codes of OpenAI's API.
    fn in_words_of_chat(&self, error: Option<ErrorBody>) -> Option<ErrorBody> {
        if matches!(self, Self::Message(_)) { error.map(from_chat::error) } else { error }
    }

    /// The name of the model that answers, if an event has it.
    pub(super) fn model<'a>(&self, event: &'a Event) -> Option<Cow<'a, str>> {
        let text = simdutf8::basic::from_utf8(&event.data).ok()?;
        match self {
            Self::Chunks(_) => string_member(text, "model"),
            Self::Response(_) => string_member(member(text, "response")?, "model"),
            Self::Message(_) => string_member(member(text, "message")?, "model"),
        }
    }

    /// Whether the event that completes an answer is one with a finished choice, and not an end of its own.
    pub(super) const fn ends_with_choice(&self) -> bool {
        !matches!(self, Self::Chunks(_))
    }

    /// Whether the data of an event is not truncated.
    pub(super) fn is_whole(&mut self, data: &[u8]) -> bool {
        match self {
            Self::Chunks(parser) => parser.parse(data).is_ok(),
            Self::Response(_) | Self::Message(_) => serde_json::from_slice::<serde::de::IgnoredAny>(data).is_ok(),
        }
    }
}

/// What an event of another API is as a chunk with one choice.
fn facts(event: &NativeEvent) -> DecodedChunk {
    let choice = ChoiceSet::first(1);
    let facts = DecodedChunk { has_choices: true, seen: choice, ..DecodedChunk::default() };
    match event {
        NativeEvent::Text | NativeEvent::ToolDelta => DecodedChunk { tokens: 1, ..facts },
        NativeEvent::Usage(counts) => DecodedChunk { usage: Some(Usage::from(*counts)), ..facts },
        NativeEvent::Done(counts) => DecodedChunk { finished: choice, usage: counts.map(Usage::from), ..facts },
        NativeEvent::Failed(_) | NativeEvent::Other => facts,
    }
}

fn text(event: &Event) -> Result<&str, Malformed> {
    simdutf8::basic::from_utf8(&event.data).map_err(|_| Malformed)
}

fn chunk(target: &Target, event: &Event, parser: &mut ChunkParser) -> EventKind {
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
