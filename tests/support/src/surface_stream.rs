//! Reads whole streams of responses and of messages, and checks what each of them promises: the order and the numbers of
//! its events, and exactly one end.

use serde_json::Value;

/// How a stream ended.
#[derive(Clone, Debug, PartialEq)]
pub enum SurfaceEnding {
    /// Complete.
    Complete,
    /// With this error: of responses with `code`, of messages with `type`, and each with `message`.
    Failed(Value),
    /// Without any end.
    Cut,
}

/// What a stream said.
#[derive(Clone, Debug)]
pub struct SurfaceTranscript {
    /// The data of the events, in order. Each has the event's name as its `type`.
    pub events: Vec<Value>,
    /// The end.
    pub ending: SurfaceEnding,
    /// The texts of the answer, joined.
    pub text: String,
    /// The arguments of the tool calls, joined, in order.
    pub calls: Vec<String>,
    /// `usage` of the last event that has one.
    pub usage: Option<Value>,
}

impl SurfaceTranscript {
    /// The data of the last event of this type.
    ///
    /// # Panics
    /// When there is none.
    #[must_use]
    pub fn last(&self, kind: &str) -> &Value {
        self.events.iter().rev().find(|event| event["type"] == kind).unwrap_or_else(|| panic!("no {kind}: {self:#?}"))
    }
}

/// The events of a body: name and data. Comments are left out.
fn events(body: &str) -> Vec<(Option<&str>, &str)> {
    let mut events = Vec::new();
    for block in body.split("\n\n").filter(|block| !block.is_empty()) {
        let field = |name: &str| block.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
        match field("data") {
            Some(data) => events.push((field("event"), data)),
            None => assert!(block.starts_with(':'), "an event without data: {block}"),
        }
    }
    events
}

fn parsed(body: &[u8]) -> Vec<Value> {
    let body = std::str::from_utf8(body).expect("a stream in UTF-8");
    assert!(body.is_empty() || body.ends_with("\n\n"), "the last event is truncated: {body}");
    let mut parsed = Vec::new();
    for (name, data) in events(body) {
        if data == "[DONE]" {
            parsed.push(Value::from(data));
            continue;
        }
        let event: Value = serde_json::from_str(data).unwrap_or_else(|error| panic!("{error}: {data}"));
        assert_eq!(event["type"].as_str(), name, "the name repeats the type: {data}");
        parsed.push(event);
    }
    parsed
}

/// Reads a stream of a response.
///
/// # Panics
/// When it breaks a promise: numbers without gaps from 0, events of open items only, one end, which is followed by
/// `[DONE]` alone.
#[must_use]
pub fn response(body: &[u8]) -> SurfaceTranscript {
    let mut events = parsed(body);
    let is_done = events.last().is_some_and(|last| last == "[DONE]");
    if is_done {
        events.pop();
    }
    let (mut text, mut calls, mut usage, mut error, mut end) = (String::new(), Vec::new(), None, None, None);
    for (number, event) in events.iter().enumerate() {
        assert!(end.is_none(), "an event behind the end: {event}");
        assert_eq!(event["sequence_number"], number, "{event}");
        match event["type"].as_str().unwrap() {
            "response.output_text.delta" => text.push_str(event["delta"].as_str().unwrap()),
            "response.function_call_arguments.done" => calls.push(event["arguments"].as_str().unwrap().to_owned()),
            "error" => error = Some(event.clone()),
            kind @ ("response.completed" | "response.incomplete" | "response.failed") => {
                let response = &event["response"];
                assert_eq!(response["status"], kind["response.".len()..]);
                usage = Some(response["usage"].clone()).filter(|usage| !usage.is_null());
                end = Some(kind.to_owned());
            }
            _ => assert!(error.is_none(), "only the failed response follows an error: {event}"),
        }
    }
    let ending = match (end.as_deref(), error) {
        (None, None) => {
            assert!(!is_done, "[DONE] without an end");
            SurfaceEnding::Cut
        }
        (Some("response.failed") | None, Some(error)) => SurfaceEnding::Failed(error),
        (Some("response.completed" | "response.incomplete"), None) => SurfaceEnding::Complete,
        other => panic!("the end is no error: {other:?}"),
    };
    assert!(is_done || ending == SurfaceEnding::Cut, "an end without [DONE]");
    SurfaceTranscript { events, ending, text, calls, usage }
}

/// Reads a stream of a message.
///
/// # Panics
/// When it breaks a promise: blocks one after the other, `message_start` first, and one end.
#[must_use]
pub fn message(body: &[u8]) -> SurfaceTranscript {
    let events = parsed(body);
    let (mut text, mut calls, mut usage, mut ending) = (String::new(), Vec::new(), None, SurfaceEnding::Cut);
    let (mut open, mut next, mut has_begun) = (None, 0, false);
    for event in &events {
        assert_eq!(ending, SurfaceEnding::Cut, "an event behind the end: {event}");
        let kind = event["type"].as_str().unwrap();
        assert_eq!(has_begun, !matches!(kind, "message_start" | "ping" | "error") || has_begun, "{event}");
        match kind {
            "message_start" => has_begun = true,
            "content_block_start" => {
                assert_eq!((open, &event["index"]), (None, &Value::from(next)), "{event}");
                open = Some(next);
                next += 1;
                if event["content_block"]["type"] == "tool_use" {
                    calls.push(String::new());
                }
            }
            "content_block_delta" => {
                assert_eq!(open.map(Value::from).as_ref(), Some(&event["index"]), "{event}");
                let delta = &event["delta"];
                match delta["type"].as_str().unwrap() {
                    "text_delta" => text.push_str(delta["text"].as_str().unwrap()),
                    "input_json_delta" => calls.last_mut().unwrap().push_str(delta["partial_json"].as_str().unwrap()),
                    _ => {}
                }
            }
            "content_block_stop" => assert_eq!(open.take().map(Value::from).as_ref(), Some(&event["index"]), "{event}"),
            "message_delta" => {
                assert!(open.is_none() && event["delta"]["stop_reason"].is_string(), "{event}");
                usage = Some(event["usage"].clone());
            }
            "message_stop" => ending = SurfaceEnding::Complete,
            "error" => ending = SurfaceEnding::Failed(event["error"].clone()),
            _ => assert_eq!(kind, "ping", "{event}"),
        }
    }
    SurfaceTranscript { events, ending, text, calls, usage }
}
