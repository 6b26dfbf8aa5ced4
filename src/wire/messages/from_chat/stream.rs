//! Translates the events of a stream of messages to the chunks of a completion.

use bytes::BytesMut;

use super::chunks::Chunks;
use super::error::error;
use super::event::{Event, Part};
use super::finish::{Finish, refusal, usage_json};
use crate::wire::chat::CompletionHead;
use crate::wire::envelope::read_error;
use crate::wire::request::is_empty;
use crate::wire::translation::{MAX_CALLS, NativeEvent, TokenCounts, TranslationError, inside, quoted_json};

/// The largest number of blocks that are open at a time. The API opens one at a time.
const MAX_OPEN: usize = 64;

/// Translates one stream. Every event is translated at once: what is kept is a few bytes for each open block, at most
/// 64 of them.
#[derive(Debug)]
pub struct CompletionStream {
    chunks: Chunks,
    id: String,
    include_usage: bool,
    has_started: bool,
    /// The blocks that have begun and not stopped, with their indexes.
    open: Vec<(u64, Block)>,
    /// The number of tool calls so far.
    calls: u64,
    finish: Finish,
    counts: Option<TokenCounts>,
    has_stopped: bool,
}

/// An open block.
#[derive(Clone, Copy, Debug)]
enum Block {
    Text,
    Thinking,
    /// A tool call: its number, and whether arguments were written.
    Call(u64, Arguments),
    /// A block that chat has no place for.
    Other,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Arguments {
    None,
    /// Parts have been written.
    Parts,
    /// The block began with its whole input.
    Whole,
}

impl CompletionStream {
    /// A translation. With `include_usage` the stream ends with a chunk of token counts.
    #[must_use]
    pub fn new(head: &CompletionHead, include_usage: bool) -> Self {
        Self {
            chunks: Chunks::new(head, include_usage),
            id: head.id.clone(),
            include_usage,
            has_started: false,
            open: Vec::new(),
            calls: 0,
            finish: Finish::default(),
            counts: None,
            has_stopped: false,
        }
    }

    /// Appends the first chunk, which has the role, if it has not been written.
    pub fn start(&mut self, out: &mut BytesMut) {
        if !std::mem::replace(&mut self.has_started, true) {
            self.chunks.delta(out, &["\"role\":\"assistant\",\"content\":\"\",\"refusal\":null"]);
        }
    }

    /// Appends the chunks for the data of an event; its name repeats its `type`. Returns what the event is to limits
    /// and accounting. Events, blocks and deltas of unknown types are skipped, as the API demands of its clients, and
    /// so is everything behind `message_stop`.
    ///
    /// For [`NativeEvent::Failed`], whose error is in the words of chat, nothing is written: the caller ends the
    /// stream. After [`NativeEvent::Done`] it calls [`CompletionStream::finish`].
    ///
    /// # Errors
    /// [`TranslationError`]: the stream must end by an error.
    pub fn event(&mut self, data: &str, out: &mut BytesMut) -> Result<NativeEvent, TranslationError> {
        let event = Event::read(data)?;
        if self.has_stopped {
            return Ok(NativeEvent::Other);
        }
        match event.kind {
            "\"content_block_delta\"" => self.delta(&event, out),
            "\"content_block_start\"" => self.begin_block(&event, out),
            "\"content_block_stop\"" => {
                let index = event.index.ok_or(TranslationError::Malformed)?;
                if let Some(at) = self.open.iter().position(|(open, _)| *open == index) {
                    let (_, block) = self.open.remove(at);
                    self.end_block(block, out);
                }
                Ok(NativeEvent::Other)
            }
            "\"message_start\"" => {
                self.start(out);
                Ok(self.add(event.usage))
            }
            "\"message_delta\"" => {
                if event.stop.reason.is_some() {
                    self.finish = Finish::read(event.stop.reason);
                }
                if let Some(text) = refusal(&event.stop) {
                    self.write(&["\"refusal\":\"", text, "\""], out);
                }
                Ok(self.add(event.usage))
            }
            "\"message_stop\"" => {
                self.has_stopped = true;
                Ok(NativeEvent::Done(self.counts))
            }
            "\"error\"" => {
                let said = serde_json::from_str(data).ok().as_ref().and_then(read_error);
                Ok(NativeEvent::Failed(said.map(error)))
            }
            _ => Ok(NativeEvent::Other),
        }
    }

    fn add(&mut self, usage: Option<&str>) -> NativeEvent {
        let Some(usage) = usage.filter(|usage| usage.starts_with('{')) else { return NativeEvent::Other };
        let counts = self.counts.get_or_insert_default();
        counts.read_messages(usage);
        NativeEvent::Usage(*counts)
    }

    fn begin_block(&mut self, event: &Event<'_>, out: &mut BytesMut) -> Result<NativeEvent, TranslationError> {
        let index = event.index.ok_or(TranslationError::Malformed)?;
        if self.open.iter().any(|(open, _)| *open == index) {
            return Err(TranslationError::Malformed);
        }
        if self.open.len() == MAX_OPEN {
            return Err(TranslationError::TooLong);
        }
        let (block, kind) = match event.part.kind {
            "\"text\"" => (Block::Text, self.text("\"content\":\"", event.part.text, out)),
            "\"thinking\"" => (Block::Thinking, self.text("\"reasoning_content\":\"", event.part.thinking, out)),
            "\"tool_use\"" => (self.begin_call(&event.part, out)?, NativeEvent::ToolDelta),
            _ => (Block::Other, NativeEvent::Other),
        };
        self.open.push((index, block));
        Ok(kind)
    }

    fn begin_call(&mut self, part: &Part<'_>, out: &mut BytesMut) -> Result<Block, TranslationError> {
        let number = self.calls;
        if number == MAX_CALLS {
            return Err(TranslationError::TooLong);
        }
        self.calls += 1;
        let name = part.name.map(inside).filter(|name| !name.is_empty()).ok_or(TranslationError::Malformed)?;
        let given = part.id.map(inside).unwrap_or_default();
        let own = if given.is_empty() { own_call_id(&self.id, number) } else { String::new() };
        let input = part.input.filter(|input| input.starts_with('{') && !is_empty(input));
        let arguments = input.map_or_else(|| "\"\"".to_owned(), quoted_json);
        let mut digits = itoa::Buffer::new();
        let call = ["\"tool_calls\":[{\"index\":", digits.format(number), ",\"id\":\"", given, &own];
        let function =
            ["\",\"type\":\"function\",\"function\":{\"name\":\"", name, "\",\"arguments\":", &arguments, "}}]"];
        self.write(&[&call[..], &function[..]].concat(), out);
        Ok(Block::Call(number, if input.is_some() { Arguments::Whole } else { Arguments::None }))
    }

    fn delta(&mut self, event: &Event<'_>, out: &mut BytesMut) -> Result<NativeEvent, TranslationError> {
        let part = &event.part;
        let open = event.index.and_then(|index| self.open.iter().position(|(open, _)| *open == index));
        let Some(at) = open else { return Err(TranslationError::Malformed) };
        let (_, block) = self.open[at];
        match (part.kind, block) {
            (_, Block::Other) => Ok(NativeEvent::Other),
            ("\"text_delta\"", Block::Text) => Ok(self.text("\"content\":\"", part.text, out)),
            ("\"thinking_delta\"", Block::Thinking) => Ok(self.text("\"reasoning_content\":\"", part.thinking, out)),
            ("\"input_json_delta\"", Block::Call(number, arguments)) => {
                let text = part.partial_json.map(inside).unwrap_or_default();
                if text.is_empty() {
                    return Ok(NativeEvent::Other);
                }
                if arguments == Arguments::Whole {
                    return Err(TranslationError::Malformed);
                }
                self.open[at].1 = Block::Call(number, Arguments::Parts);
                self.arguments(number, text, out);
                Ok(NativeEvent::ToolDelta)
            }
            ("\"text_delta\"" | "\"thinking_delta\"" | "\"input_json_delta\"", _) => Err(TranslationError::Malformed),
            // Signatures, citations, and what is not known.
            _ => Ok(NativeEvent::Other),
        }
    }

    /// Appends a delta of text, unless it is empty. `before` is the member up to its value.
    fn text(&mut self, before: &str, text: Option<&str>, out: &mut BytesMut) -> NativeEvent {
        let text = text.map(inside).unwrap_or_default();
        if text.is_empty() {
            return NativeEvent::Other;
        }
        self.write(&[before, text, "\""], out);
        NativeEvent::Text
    }

    fn arguments(&mut self, number: u64, text: &str, out: &mut BytesMut) {
        let mut digits = itoa::Buffer::new();
        let number = digits.format(number);
        let before = "\"tool_calls\":[{\"index\":";
        self.write(&[before, number, ",\"function\":{\"arguments\":\"", text, "\"}}]"], out);
    }

    /// A call without any arguments has those of an empty object: clients parse them.
    fn end_block(&mut self, block: Block, out: &mut BytesMut) {
        if let Block::Call(number, Arguments::None) = block {
            self.arguments(number, "{}", out);
        }
    }

    fn write(&mut self, delta: &[&str], out: &mut BytesMut) {
        self.start(out);
        self.chunks.delta(out, delta);
    }

    /// Appends the end of a complete stream: the chunk that finishes the choice, and that of the token counts if the
    /// client requested them. `counted` are the counts where the upstream sent none. `[DONE]` is left to the caller.
    ///
    /// # Errors
    /// [`TranslationError::Malformed`] before `message_stop`: an answer that was cut is never finished.
    pub fn finish(mut self, counted: &TokenCounts, out: &mut BytesMut) -> Result<(), TranslationError> {
        if !self.has_stopped {
            return Err(TranslationError::Malformed);
        }
        self.start(out);
        for (_, block) in std::mem::take(&mut self.open) {
            self.end_block(block, out);
        }
        self.chunks.finish(out, self.finish.name(self.calls > 0));
        if self.include_usage {
            self.chunks.usage(out, &usage_json(self.counts.as_ref().unwrap_or(counted)));
        }
        Ok(())
    }
}

/// An id for a tool call that has none.
pub(super) fn own_call_id(completion: &str, number: u64) -> String {
    let id = quoted_json(&format!("call_{completion}_{number}"));
    inside(&id).to_owned()
}
