//! Translates the chunks of a chat stream to the events of a stream of a response.

use bytes::BytesMut;

use super::frames::push_done;
use super::head::{ResponseHead, State, error_members, failure_code};
use super::items::{self, Part};
use super::stream_calls::Calls;
use super::written::Written;
use crate::wire::translation::{Array, ChatDelta, FinishReason, JoinedText, TokenCounts, TranslationError, read_chunk};

/// Translates one stream.
///
/// The events at the end of an item, and that at the end of the response, repeat its text, so the whole answer is kept:
/// at most `limit` bytes.
#[derive(Debug)]
pub struct ResponseStream {
    head: ResponseHead,
    limit: usize,
    state: Written,
    open: Option<OpenItem>,
    calls: Calls,
    finish: Option<FinishReason>,
    usage: Option<TokenCounts>,
}

/// A message or a reasoning item that is open, with its open part.
#[derive(Debug)]
struct OpenItem {
    index: usize,
    /// `,"item_id":…,"output_index":…,"content_index":…`.
    address: String,
    id: String,
    kind: Part,
    text: JoinedText,
    /// The parts that are complete.
    parts: Vec<String>,
}

impl ResponseStream {
    /// A translation that keeps at most `limit` bytes.
    #[must_use]
    pub fn new(head: ResponseHead, limit: usize) -> Self {
        let calls = Calls::default();
        Self { head, limit, state: Written::default(), open: None, calls, finish: None, usage: None }
    }

    /// The bytes of the answer that are kept.
    #[must_use]
    pub const fn held(&self) -> usize {
        self.state.kept
    }

    /// Appends `response.created` and `response.in_progress`, if they have not been written.
    pub fn start(&mut self, out: &mut BytesMut) {
        if std::mem::replace(&mut self.state.has_begun, true) {
            return;
        }
        let response = self.head.response(&State::IN_PROGRESS);
        for kind in ["response.created", "response.in_progress"] {
            self.state.events.push(out, kind, &[",\"response\":", &response]);
        }
    }

    /// Appends the events for the data of a chunk.
    ///
    /// # Errors
    /// [`TranslationError`]: the stream must end by [`ResponseStream::fail`].
    pub fn chunk(&mut self, data: &str, out: &mut BytesMut) -> Result<(), TranslationError> {
        self.delta(&read_chunk(data)?, out)
    }

    /// Appends the events for what a chunk says.
    ///
    /// # Errors
    /// As [`ResponseStream::chunk`].
    pub fn delta(&mut self, delta: &ChatDelta<'_>, out: &mut BytesMut) -> Result<(), TranslationError> {
        self.start(out);
        if let Some((_, text)) = &delta.reasoning {
            self.text(Part::Reasoning, text, out)?;
        }
        if let Some(text) = &delta.content {
            self.text(Part::Text, text, out)?;
        }
        if let Some(text) = delta.refusal {
            self.text(Part::Refusal, text, out)?;
        }
        for call in &delta.tool_calls {
            self.end_open("completed", out);
            self.calls.push(&self.head, &mut self.state, call, out)?;
            self.check_kept()?;
        }
        self.finish = delta.finish.or(self.finish);
        self.usage = delta.usage.or(self.usage);
        Ok(())
    }

    const fn check_kept(&self) -> Result<(), TranslationError> {
        if self.state.kept > self.limit { Err(TranslationError::TooLong) } else { Ok(()) }
    }

    fn text(&mut self, kind: Part, text: &str, out: &mut BytesMut) -> Result<(), TranslationError> {
        if !matches!(&self.open, Some(open) if open.kind == kind) {
            self.begin_part(kind, out);
        }
        if let Some(open) = &mut self.open {
            let logprobs = if kind == Part::Text { "\",\"logprobs\":[]" } else { "\"" };
            self.state.events.push(out, kind.events()[0], &[&open.address, ",\"delta\":\"", text, logprobs]);
            open.text.push_inside(text);
        }
        self.state.kept += text.len();
        self.check_kept()
    }

    /// Begins a part, in the open item if it can be there.
    fn begin_part(&mut self, kind: Part, out: &mut BytesMut) {
        let same_item = matches!(&self.open, Some(open) if open.kind.is_reasoning() == kind.is_reasoning());
        if same_item {
            self.end_part(out);
        } else {
            self.end_open("completed", out);
            let index = self.state.begin_item();
            let id = self.head.item_id(if kind.is_reasoning() { "rs" } else { "msg" }, index);
            let item = items::item(kind.is_reasoning(), &id, "in_progress", "[]");
            let members = [",\"output_index\":", &index.to_string(), ",\"item\":", &item];
            self.state.events.push(out, "response.output_item.added", &members);
            let (address, text, parts) = (String::new(), JoinedText::default(), Vec::new());
            self.open = Some(OpenItem { index, address, id, kind, text, parts });
        }
        let Some(open) = &mut self.open else { return };
        open.kind = kind;
        let OpenItem { index, id, parts, .. } = &open;
        open.address = format!(",\"item_id\":\"{id}\",\"output_index\":{index},\"content_index\":{}", parts.len());
        let members = [&open.address, ",\"part\":", &kind.json("")];
        self.state.events.push(out, "response.content_part.added", &members);
    }

    /// Ends the open part.
    fn end_part(&mut self, out: &mut BytesMut) {
        let Some(open) = &mut self.open else { return };
        let text = std::mem::take(&mut open.text);
        let [_, done, member] = open.kind.events();
        let logprobs = if open.kind == Part::Text { "\",\"logprobs\":[]" } else { "\"" };
        let members = [&open.address, ",\"", member, "\":\"", text.as_inside(), logprobs];
        self.state.events.push(out, done, &members);
        let part = open.kind.json(text.as_inside());
        self.state.events.push(out, "response.content_part.done", &[&open.address, ",\"part\":", &part]);
        open.parts.push(part);
    }

    /// Ends the open part and its item.
    fn end_open(&mut self, status: &str, out: &mut BytesMut) {
        self.end_part(out);
        let Some(open) = self.open.take() else { return };
        let mut parts = Array::default();
        open.parts.iter().for_each(|part| parts.push(part));
        let item = items::item(open.kind.is_reasoning(), &open.id, status, &parts.finish());
        self.state.end_item(open.index, item, out);
    }

    /// Appends the end of a complete stream. `now` is the Unix time in seconds.
    pub fn finish(mut self, now: i64, out: &mut BytesMut) {
        self.start(out);
        let incomplete = match self.finish {
            Some(FinishReason::Length) => Some("max_output_tokens"),
            Some(FinishReason::ContentFilter) => Some("content_filter"),
            _ => None,
        };
        let (status, event) = match incomplete {
            Some(_) => ("incomplete", "response.incomplete"),
            None => ("completed", "response.completed"),
        };
        self.end_open(status, out);
        self.calls.end_all(&self.head, &mut self.state, status, out);
        let output = self.state.output();
        let state = State {
            status,
            output: &output,
            usage: self.usage.as_ref(),
            incomplete,
            error: None,
            completed: Some(now).filter(|_| incomplete.is_none()),
        };
        self.state.events.push(out, event, &[",\"response\":", &self.head.response(&state)]);
        push_done(out);
    }

    /// Appends the end of a stream that has failed: an error, and the response with the items that are complete.
    pub fn fail(mut self, code: &str, message: &str, out: &mut BytesMut) {
        self.start(out);
        self.state.events.push(out, "error", &[&error_members(code, message)]);
        let output = self.state.output();
        let error = Some((failure_code(code), message));
        let state =
            State { status: "failed", output: &output, usage: self.usage.as_ref(), error, ..State::IN_PROGRESS };
        self.state.events.push(out, "response.failed", &[",\"response\":", &self.head.response(&state)]);
        push_done(out);
    }
}
