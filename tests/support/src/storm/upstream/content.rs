//! The content of answers: chunks, non-streaming answers and errors.

use serde_json::{Value, json};

use super::connection::{PlannedRequest, Usage};
use crate::storm::attempts::{AttemptId, SentFrame, brief};
use crate::storm::plan::{REPORTED, Script};

/// The content of one attempt. Every chunk names its attempt, so that one in the wrong answer is noticed.
pub(super) struct Content<'a> {
    pub(super) attempt_id: AttemptId,
    pub(super) script: &'a Script,
    pub(super) request: &'a PlannedRequest,
    /// Chunks so far.
    pub(super) count: u64,
}

impl Content<'_> {
    /// The first chunk. Most upstreams send no text in it.
    pub(super) fn opening(&mut self) -> (String, SentFrame) {
        let content = if self.script.seed.is_multiple_of(3) { self.name() } else { String::new() };
        let counts = !content.is_empty();
        self.chunk(&json!({"role": "assistant", "content": content, "refusal": null}).to_string(), None, counts)
    }

    /// A chunk with text. Formatted by hand, which is faster in a debug build than serialisation: floods need it.
    pub(super) fn text(&mut self) -> (String, SentFrame) {
        let delta = format!(r#"{{"content":"{} é😀\\\"\n{}"}}"#, self.name(), "x".repeat(self.script.size));
        self.chunk(&delta, None, true)
    }

    /// The chunk with the finish reason, without text.
    pub(super) fn last(&mut self) -> (String, SentFrame) {
        self.chunk("{}", Some("stop"), false)
    }

    /// The usage chunk, if it was requested.
    pub(super) fn usage(&mut self) -> Option<(String, SentFrame)> {
        if self.request.usage == Usage::Nothing {
            return None;
        }
        let chunk = json!({
            "id": self.chat(), "object": "chat.completion.chunk", "created": 1, "model": "up", "choices": [],
            "usage": self.counts(),
        });
        let text = chunk.to_string();
        let sent = SentFrame { with_usage: brief(&text), without: None, counts: false, usage: Some(self.total()) };
        Some((text, sent))
    }

    /// A non-streaming answer, and the usage in it.
    pub(super) fn whole(&self) -> (String, Option<(u64, u64)>) {
        let content = format!("{} é😀 {}", self.name(), "x".repeat(self.script.size));
        let mut answer = json!({
            "id": self.chat(), "object": "chat.completion", "created": 1, "model": "up",
            "choices": [{
                "index": 0, "message": {"role": "assistant", "content": content, "refusal": null}, "logprobs": null,
                "finish_reason": "stop",
            }],
        });
        let usage = !self.script.seed.is_multiple_of(4);
        if usage {
            answer["usage"] = self.counts();
        }
        (answer.to_string(), usage.then(|| self.total()))
    }

    fn chunk(&mut self, delta: &str, finish_reason: Option<&str>, counts: bool) -> (String, SentFrame) {
        self.count += 1;
        let bare = format!(
            r#"{{"id":"{}","object":"chat.completion.chunk","created":1,"model":"up","choices":[{{"index":0,"delta":{delta},"logprobs":null,"finish_reason":{}}}]}}"#,
            self.chat(),
            json!(finish_reason),
        );
        let with = |usage: &Value| format!("{},\"usage\":{usage}}}", &bare[..bare.len() - 1]);
        let (text, without, usage) = match self.request.usage {
            Usage::Nothing => (bare.clone(), brief(&bare), None),
            Usage::Last => (with(&Value::Null), brief(&bare), None),
            Usage::Running => (with(&self.counts()), brief(&bare), Some(self.total())),
        };
        let sent = SentFrame { with_usage: brief(&text), without: Some(without), counts, usage };
        (text, sent)
    }

    /// The usage so far: three tokens per chunk, which differs from a count of chunks.
    fn total(&self) -> (u64, u64) {
        (REPORTED + self.request.prompt, 3 * self.count + 1)
    }

    fn counts(&self) -> Value {
        let (prompt, completion) = self.total();
        json!({"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion})
    }

    fn chat(&self) -> String {
        format!("chatcmpl-{}-{}", self.attempt_id.id, self.attempt_id.attempt)
    }

    fn name(&self) -> String {
        format!("{}-{}-{}", self.attempt_id.id, self.attempt_id.attempt, self.count)
    }
}

/// An error object.
pub(super) fn error() -> String {
    json!({"error": {"message": "It storms.", "type": "storm", "param": null, "code": "storm"}}).to_string()
}
