//! Classifies the events of an upstream that speaks responses, without reading more of them than that needs.

use bytes::BytesMut;

use super::frames::{Events, push_done};
use super::head::{error_members, failure_code};
use crate::wire::envelope::read_error;
use crate::wire::members::{apply_edits, members, span};
use crate::wire::scan::{Malformed, Scanner};
use crate::wire::translation::{NativeEvent, Object, ParsedDelta, TextTemplate, TokenCounts, quoted_json, usage_of};

/// The longest response object of `response.created` that is kept for an event of failure, bytes.
const MAX_KEPT: usize = 64 * 1024;

/// Classifies the events of one stream in order.
///
/// ```
/// use petstream::wire::responses::EventScanner;
/// use petstream::wire::translation::NativeEvent;
///
/// let mut scanner = EventScanner::default();
/// let delta = r#"{"type":"response.output_text.delta","sequence_number":4,"output_index":0,"delta":"Hi"}"#;
/// assert_eq!(scanner.classify(delta), Ok(NativeEvent::Text));
/// ```
#[derive(Debug, Default)]
pub struct EventScanner {
    /// The number of the next event.
    next: u64,
    /// The response object of `response.created`, or of the last event of the response as a whole.
    response: Option<String>,
    deltas: TextTemplate,
}

/// What one event has.
#[derive(Default)]
struct Members<'a> {
    kind: &'a str,
    delta: Option<&'a str>,
    response: Option<&'a str>,
    number: Option<&'a str>,
    obfuscation: Option<&'a str>,
}

impl EventScanner {
    /// Classifies the data of an event; its name repeats its `type`. `[DONE]` is [`NativeEvent::Other`]: the response's
    /// own last event comes before it.
    ///
    /// # Errors
    /// [`Malformed`] when it is neither `[DONE]` nor a JSON object.
    pub fn classify(&mut self, data: &str) -> Result<NativeEvent, Malformed> {
        if data.trim() == "[DONE]" {
            return Ok(NativeEvent::Other);
        }
        if let Some((delta, number)) = self.deltas.recognise(data) {
            self.next = number.map_or(self.next, |number| number.saturating_add(1));
            return Ok(delta);
        }
        let mut found = Members::default();
        let mut scanner = Scanner::new(data);
        scanner.object(|scanner, key| {
            let value = scanner.value()?;
            match &*key {
                "type" => found.kind = value,
                "delta" => found.delta = Some(value),
                "response" => found.response = Some(value),
                "sequence_number" => found.number = Some(value),
                "obfuscation" => found.obfuscation = Some(value),
                _ => {}
            }
            Ok(())
        })?;
        scanner.end()?;
        let number = found.number.and_then(|number| number.parse::<u64>().ok());
        self.next = number.map_or(self.next, |number| number.saturating_add(1));
        let has_text = found.delta.is_some_and(|delta| delta.starts_with('"') && delta.len() > 2);
        Ok(match found.kind.trim_matches('"') {
            "response.output_text.delta"
            | "response.refusal.delta"
            | "response.reasoning_text.delta"
            | "response.reasoning_summary_text.delta"
                if has_text =>
            {
                self.learn(data, &found, false)
            }
            "response.function_call_arguments.delta" | "response.custom_tool_call_input.delta" if has_text => {
                self.learn(data, &found, true)
            }
            "response.created" => {
                self.response = found.response.filter(|json| json.len() <= MAX_KEPT).map(str::to_owned);
                NativeEvent::Other
            }
            "response.completed" | "response.incomplete" => {
                NativeEvent::Done(found.response.and_then(usage_of).and_then(TokenCounts::read))
            }
            "response.failed" => self.failed(number, found.response.unwrap_or(data)),
            "error" => self.failed(number, data),
            _ => NativeEvent::Other,
        })
    }

    /// A delta, which is the template of those that follow.
    fn learn(&mut self, data: &str, found: &Members<'_>, of_tool: bool) -> NativeEvent {
        let (number, other) = (found.number, found.obfuscation);
        let text = found.delta.unwrap_or_default();
        self.deltas.learn(&ParsedDelta { data, number, text, other, of_tool });
        if of_tool { NativeEvent::ToolDelta } else { NativeEvent::Text }
    }

    /// The end of a failed answer. Its event is not passed on, and so its number is free.
    fn failed(&mut self, number: Option<u64>, json: &str) -> NativeEvent {
        self.next = number.unwrap_or(self.next);
        NativeEvent::Failed(read(json))
    }

    /// Appends the end of a stream that breaks off: an error, the response with the status `failed`, and `[DONE]`.
    pub fn fail(self, code: &str, message: &str, out: &mut BytesMut) {
        let mut events = Events::starting_at(self.next);
        events.push(out, "error", &[&error_members(code, message)]);
        if let Some(response) = self.response {
            let error = Object::new().text("code", failure_code(code)).text("message", message).finish();
            let failed = edited(&response, &[("status", &quoted_json("failed")), ("error", &error)]);
            let failed = failed.replace(['\n', '\r'], " ");
            events.push(out, "response.failed", &[",\"response\":", &failed]);
        }
        push_done(out);
    }
}

/// The error of an event: in its `error`, or the event itself.
fn read(json: &str) -> Option<crate::wire::envelope::ErrorBody> {
    serde_json::from_str(json).ok().as_ref().and_then(read_error)
}

/// The object with other values of members that it has.
fn edited(json: &str, values: &[(&str, &str)]) -> String {
    let Ok(all) = members(json) else { return json.to_owned() };
    let value = |key: &str| values.iter().find(|(name, _)| *name == key).map(|(_, value)| (*value).to_owned());
    let edits: Vec<_> = all.iter().filter_map(|member| Some((span(json, member.value), value(&member.key)?))).collect();
    apply_edits(json, &edits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_classified() {
        let mut scanner = EventScanner::default();
        let mut classify = |data: &str| scanner.classify(data);
        assert_eq!(classify(r#"{"type":"response.created","response":{"id":"r"}}"#), Ok(NativeEvent::Other));
        for (kind, delta, expected) in [
            ("response.output_text.delta", "a", NativeEvent::Text),
            ("response.output_text.delta", "", NativeEvent::Other),
            ("response.reasoning_text.delta", "a", NativeEvent::Text),
            ("response.function_call_arguments.delta", "{", NativeEvent::ToolDelta),
            ("response.output_text.done", "a", NativeEvent::Other),
        ] {
            let event = format!(r#"{{"type":"{kind}","sequence_number":3,"delta":"{delta}"}}"#);
            assert_eq!(classify(&event), Ok(expected), "{event}");
        }
        let usage = r#"{"input_tokens":5,"input_tokens_details":{"cached_tokens":1},"output_tokens":2,"output_tokens_details":{"reasoning_tokens":1}}"#;
        let counts = TokenCounts { input: 5, cached: 1, output: 2, reasoning: 1, cache_written: 0 };
        let end = format!(r#"{{"type":"response.completed","response":{{"usage":{usage}}}}}"#);
        assert_eq!(classify(&end), Ok(NativeEvent::Done(Some(counts))));
        assert_eq!(
            classify(r#"{"type":"response.incomplete","response":{"usage":null}}"#),
            Ok(NativeEvent::Done(None))
        );
        for failed in [
            r#"{"type":"error","code":"server_error","message":"Broken"}"#,
            r#"{"type":"response.failed","response":{"error":{"code":"server_error","message":"Broken"}}}"#,
        ] {
            let Ok(NativeEvent::Failed(Some(error))) = classify(failed) else { panic!("{failed}") };
            assert_eq!((error.code.as_deref(), &*error.message), (Some("server_error"), "Broken"));
        }
        assert_eq!(classify("[DONE]"), Ok(NativeEvent::Other));
        assert_eq!(classify("{"), Err(Malformed));
    }

    #[test]
    fn a_stream_that_breaks_off_ends_as_a_failed_response() {
        let mut scanner = EventScanner::default();
        let created = r#"{"type":"response.created","sequence_number":0,"response":{"id":"r","status":"in_progress","error":null}}"#;
        scanner.classify(created).unwrap();
        let mut out = BytesMut::new();
        scanner.fail("upstream_closed", "Gone.", &mut out);
        let expected = concat!(
            "event: error\n",
            r#"data: {"type":"error","sequence_number":1,"code":"upstream_closed","message":"Gone.","param":null}"#,
            "\n\nevent: response.failed\n",
            r#"data: {"type":"response.failed","sequence_number":2,"response":{"id":"r","status":"failed","error":{"code":"server_error","message":"Gone."}}}"#,
            "\n\ndata: [DONE]\n\n",
        );
        assert_eq!(out, expected.as_bytes());
    }
}
