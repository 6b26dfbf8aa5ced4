//! The chunks of a completion, written from slices of the events that they are made of.

use bytes::BytesMut;

use crate::wire::chat::CompletionHead;
use crate::wire::sse::push_frame_parts;
use crate::wire::translation::{Object, quoted_json};

/// Writes the chunks of one stream as frames.
#[derive(Debug)]
pub(super) struct Chunks {
    /// The bytes of every chunk up to its choices.
    before: String,
    /// The bytes behind the choices, with `"usage":null` if the client requested usage.
    after: &'static str,
}

impl Chunks {
    pub(super) fn new(head: &CompletionHead, include_usage: bool) -> Self {
        let mut before = head_json(head, "chat.completion.chunk");
        before.push_str(",\"choices\":[");
        Self { before, after: if include_usage { "],\"usage\":null}" } else { "]}" } }
    }

    /// Appends a chunk with this delta, whose JSON is given in parts without its braces. No part has a line end.
    pub(super) fn delta(&self, out: &mut BytesMut, parts: &[&str]) {
        self.choice(out, parts, "null");
    }

    /// Appends the chunk that finishes the choice.
    pub(super) fn finish(&self, out: &mut BytesMut, reason: &str) {
        self.choice(out, &[], &quoted_json(reason));
    }

    /// Appends the chunk with the token counts.
    pub(super) fn usage(&self, out: &mut BytesMut, usage: &str) {
        push_frame_parts(out, &[&self.before, "],\"usage\":", usage, "}"].map(str::as_bytes));
    }

    fn choice(&self, out: &mut BytesMut, delta: &[&str], reason: &str) {
        let begin = ["data: ", &self.before, "{\"index\":0,\"delta\":{"];
        let end = ["},\"logprobs\":null,\"finish_reason\":", reason, "}", self.after, "\n\n"];
        let parts = begin.iter().chain(delta).chain(&end);
        out.reserve(parts.clone().map(|part| part.len()).sum());
        parts.for_each(|part| out.extend_from_slice(part.as_bytes()));
    }
}

/// The first members of a completion and of its chunks, without the closing brace.
pub(super) fn head_json(head: &CompletionHead, object: &str) -> String {
    let mut json = Object::new();
    json.text("id", &head.id).text("object", object).raw("created", &head.created.to_string());
    let mut json = json.text("model", &head.model).finish();
    json.pop();
    json
}
