//! The events of a stream of messages, and the JSON of their parts.

use bytes::BytesMut;

use crate::wire::request::decode_string;
use crate::wire::translation::{FinishReason, Object, TokenCounts, push_event, quoted_json};

/// The beginning of an answer.
#[derive(Clone, Debug)]
pub struct MessageHead {
    /// The answer's id, `msg_…`.
    pub id: String,
    /// The name of the model that the answer carries.
    pub model: String,
}

impl MessageHead {
    /// A head with a new id.
    #[must_use]
    pub fn new(model: &str) -> Self {
        Self { id: format!("msg_{}", uuid::Uuid::now_v7().simple()), model: model.to_owned() }
    }
}

/// A heartbeat: an event that SDKs ignore.
pub const PING: &[u8] = b"event: ping\ndata: {\"type\":\"ping\"}\n\n";

/// The end of a stream that has failed, or an error on it: `{"type":"error","error":{"type","message"}}`.
pub fn push_error(out: &mut BytesMut, kind: &str, message: &str) {
    let error = Object::new().text("type", kind).text("message", message).finish();
    push_event(out, "error", &["{\"type\":\"error\",\"error\":", &error, "}"]);
}

/// A message: its blocks, which are a JSON array, are empty at the start of a stream.
pub(super) fn message_json(head: &MessageHead, content: &str, stop: Option<&Stop<'_>>, usage: &TokenCounts) -> String {
    let mut message = Object::new();
    message.text("id", &head.id).raw("type", "\"message\"").raw("role", "\"assistant\"").text("model", &head.model);
    message.raw("content", content);
    push_stop(&mut message, stop);
    message.raw("usage", &usage_json(usage)).finish()
}

/// Why an answer ended.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stop<'a> {
    reason: &'static str,
    /// The inside of a JSON string.
    sequence: Option<&'a str>,
}

impl<'a> Stop<'a> {
    /// The end of an answer of chat. Servers differ in whether one that calls tools is finished by `tool_calls` or
    /// `stop`.
    pub(super) fn new(
        finish: Option<FinishReason>,
        sequence: Option<&'a str>,
        calls_tools: bool,
        refuses: bool,
    ) -> Self {
        let reason = match finish {
            Some(FinishReason::Length) => "max_tokens",
            Some(FinishReason::ContentFilter) => "refusal",
            _ if refuses => "refusal",
            _ if calls_tools => "tool_use",
            _ if sequence.is_some() => "stop_sequence",
            _ => "end_turn",
        };
        Self { reason, sequence: sequence.filter(|_| reason == "stop_sequence") }
    }
}

/// Adds `stop_reason` and `stop_sequence`.
pub(super) fn push_stop(object: &mut Object, stop: Option<&Stop<'_>>) {
    let reason = stop.map_or_else(|| "null".to_owned(), |stop| quoted_json(stop.reason));
    let sequence = stop.and_then(|stop| stop.sequence).map_or_else(|| "null".to_owned(), |text| format!("\"{text}\""));
    object.raw("stop_reason", &reason).raw("stop_sequence", &sequence);
}

/// Token counts. Those of the prompt exclude what was read from a cache or written to it.
pub(super) fn usage_json(counts: &TokenCounts) -> String {
    let fresh = counts.input.saturating_sub(counts.cached).saturating_sub(counts.cache_written);
    let mut usage = Object::new();
    usage.raw("input_tokens", &fresh.to_string());
    usage.raw("cache_creation_input_tokens", &counts.cache_written.to_string());
    usage.raw("cache_read_input_tokens", &counts.cached.to_string());
    usage.raw("output_tokens", &counts.output.to_string());
    if counts.reasoning > 0 {
        let details = Object::new().raw("thinking_tokens", &counts.reasoning.to_string()).finish();
        usage.raw("output_tokens_details", &details);
    }
    usage.finish()
}

/// The beginning of a tool call's block. `id` and `name` are insides of JSON strings.
pub(super) fn tool_use_json(id: &str, name: &str, input: &str) -> String {
    let [id, name] = [id, name].map(|text| format!("\"{text}\""));
    Object::new().raw("type", "\"tool_use\"").raw("id", &id).raw("name", &name).raw("input", input).finish()
}

/// The input of a tool call, as a JSON object: its arguments, which are the inside of a JSON string. None where they
/// are no object.
pub(super) fn input_of(arguments: &str) -> Option<String> {
    let text = decode_string(&format!("\"{arguments}\""))?.into_owned();
    if text.trim().is_empty() {
        return Some("{}".to_owned());
    }
    let mut scanner = crate::wire::scan::Scanner::new(&text);
    scanner.object(|scanner, _| scanner.value().map(drop)).ok()?;
    scanner.end().ok()?;
    // A line end would end the line of an event; in JSON it is white space only.
    Some(text.replace(['\n', '\r'], " "))
}
