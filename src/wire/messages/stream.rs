//! Translates the chunks of a chat stream to the events of a stream of messages.

use std::collections::BTreeMap;

use bytes::BytesMut;

use super::frames::{MessageHead, Stop, message_json, push_error, push_stop, tool_use_json, usage_json};
use crate::wire::translation::{
    ArgumentsEnd, CallNumbers, ChatDelta, FinishReason, JoinedText, Object, ReasoningMember, TokenCounts,
    ToolCallDelta, TranslationError, push_event, read_chunk,
};

/// Translates one stream.
///
/// Blocks follow one another: thinking, text, one for each tool call in the order of their indexes. A part that belongs
/// to a later block than the open one is kept until the open one is complete, at most `limit` bytes of them.
#[derive(Debug)]
pub struct MessageStream {
    /// The `message_start` event; empty once it is written.
    start: String,
    id: String,
    limit: usize,
    /// The index of the next block.
    next_block: u64,
    open: Option<Block>,
    numbers: CallNumbers,
    /// The number of the next tool call that becomes a block.
    next_call: u64,
    waiting: BTreeMap<u64, Call>,
    /// Texts that came while a tool call was open.
    late: Vec<(Text, JoinedText)>,
    held: usize,
    finish: Option<FinishReason>,
    stop_sequence: Option<String>,
    refuses: bool,
    usage: Option<TokenCounts>,
}

/// An open block.
#[derive(Clone, Copy, Debug)]
enum Block {
    Text(Text),
    Call(ArgumentsEnd),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Text {
    Thinking(ReasoningMember),
    Answer,
}

/// The parts of a tool call that waits for its turn.
#[derive(Debug, Default)]
struct Call {
    id: String,
    name: String,
    arguments: JoinedText,
}

impl MessageStream {
    /// A translation that keeps at most `limit` bytes of parts.
    #[must_use]
    pub fn new(head: &MessageHead, limit: usize) -> Self {
        let message = message_json(head, "[]", None, &TokenCounts::default());
        Self {
            start: message,
            id: head.id.clone(),
            limit,
            next_block: 0,
            open: None,
            numbers: CallNumbers::default(),
            next_call: 0,
            waiting: BTreeMap::new(),
            late: Vec::new(),
            held: 0,
            finish: None,
            stop_sequence: None,
            refuses: false,
            usage: None,
        }
    }

    /// The bytes of parts that are kept.
    #[must_use]
    pub const fn held(&self) -> usize {
        self.held
    }

    /// Appends `message_start`, if it has not been written. Its token counts are 0: those of `message_delta` replace
    /// them.
    pub fn start(&mut self, out: &mut BytesMut) {
        let message = std::mem::take(&mut self.start);
        if !message.is_empty() {
            push_event(out, "message_start", &["{\"type\":\"message_start\",\"message\":", &message, "}"]);
        }
    }

    /// Appends the events for the data of a chunk.
    ///
    /// # Errors
    /// [`TranslationError`]: the stream must end by [`MessageStream::fail`].
    pub fn chunk(&mut self, data: &str, out: &mut BytesMut) -> Result<(), TranslationError> {
        self.delta(&read_chunk(data)?, out)
    }

    /// Appends the events for what a chunk says.
    ///
    /// # Errors
    /// As [`MessageStream::chunk`].
    pub fn delta(&mut self, delta: &ChatDelta<'_>, out: &mut BytesMut) -> Result<(), TranslationError> {
        self.start(out);
        if let Some((member, text)) = &delta.reasoning {
            self.text(Text::Thinking(*member), text, out)?;
        }
        for text in delta.content.as_deref().into_iter().chain(delta.refusal) {
            self.text(Text::Answer, text, out)?;
        }
        self.refuses |= delta.refusal.is_some();
        for call in &delta.tool_calls {
            self.call(call, out)?;
        }
        self.finish = delta.finish.or(self.finish);
        if let Some(sequence) = delta.stop_sequence {
            self.stop_sequence = Some(sequence.to_owned());
        }
        self.usage = delta.usage.or(self.usage);
        Ok(())
    }

    fn text(&mut self, kind: Text, text: &str, out: &mut BytesMut) -> Result<(), TranslationError> {
        let in_call = matches!(self.open, Some(Block::Call(end)) if !end.is_complete());
        if in_call || !self.waiting.is_empty() {
            self.hold(text.len())?;
            match self.late.last_mut() {
                Some((last, late)) if *last == kind => late.push_inside(text),
                _ => {
                    let mut late = JoinedText::default();
                    late.push_inside(text);
                    self.late.push((kind, late));
                }
            }
            return Ok(());
        }
        self.flush_late(out);
        self.write_text(kind, text, out);
        Ok(())
    }

    fn flush_late(&mut self, out: &mut BytesMut) {
        for (kind, text) in std::mem::take(&mut self.late) {
            self.held = self.held.saturating_sub(text.len());
            self.write_text(kind, text.as_inside(), out);
        }
    }

    fn write_text(&mut self, kind: Text, text: &str, out: &mut BytesMut) {
        if !matches!(self.open, Some(Block::Text(open)) if open == kind) {
            let block = match kind {
                Text::Thinking(_) => "{\"type\":\"thinking\",\"thinking\":\"\",\"signature\":\"\"}",
                Text::Answer => "{\"type\":\"text\",\"text\":\"\"}",
            };
            self.begin(Block::Text(kind), block, out);
        }
        let before = match kind {
            Text::Thinking(_) => "{\"type\":\"thinking_delta\",\"thinking\":\"",
            Text::Answer => "{\"type\":\"text_delta\",\"text\":\"",
        };
        self.block_delta([before, text, "\"}"], out);
    }

    fn call(&mut self, call: &ToolCallDelta<'_>, out: &mut BytesMut) -> Result<(), TranslationError> {
        let number = self.numbers.number(call).ok_or(TranslationError::TooLong)?;
        if let (Some(Block::Call(end)), true) = (&mut self.open, number + 1 == self.next_call) {
            end.push(&format!("\"{}\"", call.arguments));
            if !call.arguments.is_empty() {
                self.arguments(&call.arguments, out);
            }
            return Ok(());
        }
        if number < self.next_call {
            // The block has ended, since its arguments were complete.
            let is_blank = call.arguments.replace("\\n", "").trim().is_empty();
            return if is_blank { Ok(()) } else { Err(TranslationError::Malformed) };
        }
        let waiting = self.waiting.entry(number).or_default();
        let mut added = call.arguments.len();
        for (text, more) in [(&mut waiting.id, call.id), (&mut waiting.name, call.name)] {
            if let Some(more) = more.filter(|_| text.is_empty()) {
                added += more.len();
                more.clone_into(text);
            }
        }
        waiting.arguments.push_inside(&call.arguments);
        self.hold(added)?;
        self.advance(false, out);
        Ok(())
    }

    /// Begins the blocks of tool calls whose turn it is; with `all`, of all that wait.
    fn advance(&mut self, all: bool, out: &mut BytesMut) {
        while let Some(entry) = self.waiting.first_entry() {
            let is_next = *entry.key() == self.next_call && !entry.get().name.is_empty();
            let is_free = !matches!(self.open, Some(Block::Call(end)) if !end.is_complete());
            if !(all || is_next && is_free) {
                return;
            }
            let (number, call) = entry.remove_entry();
            self.next_call = number + 1;
            self.held = self.held.saturating_sub(call.id.len() + call.name.len() + call.arguments.len());
            let id = if call.id.is_empty() { format!("toolu_{}_{number}", self.id) } else { call.id };
            let mut end = ArgumentsEnd::default();
            end.push(&call.arguments.to_json());
            self.begin(Block::Call(end), &tool_use_json(&id, &call.name, "{}"), out);
            if !call.arguments.is_empty() {
                self.arguments(call.arguments.as_inside(), out);
            }
        }
    }

    fn arguments(&self, arguments: &str, out: &mut BytesMut) {
        self.block_delta(["{\"type\":\"input_json_delta\",\"partial_json\":\"", arguments, "\"}"], out);
    }

    /// Ends the open block and begins another.
    fn begin(&mut self, block: Block, json: &str, out: &mut BytesMut) {
        self.end_block(out);
        let index = self.next_block.to_string();
        self.next_block += 1;
        self.open = Some(block);
        let data = ["{\"type\":\"content_block_start\",\"index\":", &index, ",\"content_block\":", json, "}"];
        push_event(out, "content_block_start", &data);
    }

    fn end_block(&mut self, out: &mut BytesMut) {
        let Some(block) = self.open.take() else { return };
        if let Block::Text(Text::Thinking(member)) = block {
            self.block_delta(["{\"type\":\"signature_delta\",\"signature\":", member.signature(), "}"], out);
        }
        let index = self.next_block.saturating_sub(1).to_string();
        push_event(out, "content_block_stop", &["{\"type\":\"content_block_stop\",\"index\":", &index, "}"]);
    }

    /// Appends a delta of the block that began last.
    fn block_delta(&self, [before, text, after]: [&str; 3], out: &mut BytesMut) {
        let mut digits = itoa::Buffer::new();
        let index = digits.format(self.next_block.saturating_sub(1));
        let begin = "{\"type\":\"content_block_delta\",\"index\":";
        push_event(out, "content_block_delta", &[begin, index, ",\"delta\":", before, text, after, "}"]);
    }

    fn hold(&mut self, bytes: usize) -> Result<(), TranslationError> {
        self.held += bytes;
        if self.held > self.limit { Err(TranslationError::TooLong) } else { Ok(()) }
    }

    /// Appends the end of a complete stream. `counted` are the token counts where the upstream sent none.
    pub fn finish(mut self, counted: &TokenCounts, out: &mut BytesMut) {
        self.start(out);
        self.advance(true, out);
        self.flush_late(out);
        self.end_block(out);
        let stop = Stop::new(self.finish, self.stop_sequence.as_deref(), self.next_call > 0, self.refuses);
        let mut delta = Object::new();
        push_stop(&mut delta, Some(&stop));
        let usage = usage_json(self.usage.as_ref().unwrap_or(counted));
        let data = ["{\"type\":\"message_delta\",\"delta\":", &delta.finish(), ",\"usage\":", &usage, "}"];
        push_event(out, "message_delta", &data);
        push_event(out, "message_stop", &["{\"type\":\"message_stop\"}"]);
    }

    /// Appends the end of a stream that has failed. What is kept is not written.
    pub fn fail(self, kind: &str, message: &str, out: &mut BytesMut) {
        push_error(out, kind, message);
    }
}
