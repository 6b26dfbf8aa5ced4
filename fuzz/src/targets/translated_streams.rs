//! Streams that are translated or passed on, the data of an event on each line of the input. A scanner that has read other
//! events, and so takes short cuts, classifies as a new one. What a translation writes is well-formed: events whose name
//! repeats their type, numbers without gaps, one end; chunks that the chunk parser accepts.

use bytes::BytesMut;
use petstream::wire::chat::CompletionHead;
use petstream::wire::chunk::{ChunkParser, ParsedFrame};
use petstream::wire::messages::from_chat::CompletionStream;
use petstream::wire::messages::{self, MessageHead, MessageStream};
use petstream::wire::request::{RequestRules, UnknownMembers};
use petstream::wire::responses::{self, ResponseStream};
use petstream::wire::translation::{NativeEvent, TokenCounts};
use serde_json::Value;

/// Small enough to be reached.
const LIMIT: usize = 512;

/// Checks one input.
///
/// # Panics
/// When a check fails.
pub fn run(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let lines: Vec<&str> = text.lines().collect();
    scanners(&lines);
    responses_of(&lines);
    messages_of(&lines);
    chunks_of(&lines);
}

fn scanners(lines: &[&str]) {
    let (mut response, mut message) = (responses::EventScanner::default(), messages::EventScanner::default());
    for line in lines {
        // The line again: what was learned of it must not change what it is.
        for line in [line, line, &line[..line.floor_char_boundary(line.len().saturating_sub(1))]] {
            let fresh = responses::EventScanner::default().classify(line);
            assert_eq!(response.classify(line), fresh, "{line}");
            let fresh = messages::EventScanner::default().classify(line);
            match (message.classify(line), fresh) {
                // Counts are those of the stream so far.
                (Ok(NativeEvent::Usage(_)), Ok(NativeEvent::Usage(_))) => {}
                (Ok(NativeEvent::Done(_)), Ok(NativeEvent::Done(_))) => {}
                (used, fresh) => assert_eq!(used, fresh, "{line}"),
            }
        }
    }
}

fn responses_of(lines: &[&str]) {
    let rules = RequestRules { json_depth: 128, unknown: UnknownMembers::Pass, local_model: None };
    let request = responses::parse(r#"{"model":"m","input":"Hi"}"#.into(), &rules).expect("a valid request");
    let mut stream = ResponseStream::new(responses::head(&request, "m", 1).expect("a head"), LIMIT);
    let mut out = BytesMut::new();
    let failed = lines.iter().any(|line| stream.chunk(line, &mut out).is_err());
    if failed {
        stream.fail("code", "It broke.", &mut out)
    } else {
        stream.finish(2, &mut out)
    }
    let mut events = events(&out);
    assert_eq!(events.pop(), Some(Value::from("[DONE]")));
    for (number, event) in events.iter().enumerate() {
        assert_eq!(event["sequence_number"], number, "{event}");
    }
    let is_end = |event: &&Value| {
        matches!(event["type"].as_str(), Some("response.completed" | "response.incomplete" | "response.failed"))
    };
    assert_eq!(events.iter().filter(is_end).count(), 1);
    assert_eq!(events.last().is_some_and(|event| event["type"] == "response.failed"), failed);
}

fn messages_of(lines: &[&str]) {
    let mut stream = MessageStream::new(&MessageHead { id: "msg_1".into(), model: "m".into() }, LIMIT);
    let mut out = BytesMut::new();
    let failed = lines.iter().any(|line| stream.chunk(line, &mut out).is_err());
    if failed {
        stream.fail("api_error", "It broke.", &mut out)
    } else {
        stream.finish(&TokenCounts::default(), &mut out)
    }
    let events = events(&out);
    let mut open = None;
    for event in &events {
        match event["type"].as_str() {
            Some("content_block_start") => assert_eq!(open.replace(event["index"].clone()), None, "{event}"),
            Some("content_block_delta") => assert_eq!(open.as_ref(), Some(&event["index"]), "{event}"),
            Some("content_block_stop") => assert_eq!(open.take().as_ref(), Some(&event["index"]), "{event}"),
            _ => {}
        }
    }
    let last = if failed { "error" } else { "message_stop" };
    assert_eq!(
        events.iter().filter(|event| matches!(event["type"].as_str(), Some("error" | "message_stop"))).count(),
        1
    );
    assert_eq!(events.last().map(|event| &event["type"]), Some(&Value::from(last)));
}

fn chunks_of(lines: &[&str]) {
    let head = CompletionHead { id: "chatcmpl-1".into(), created: 1, model: "m".into() };
    let mut stream = CompletionStream::new(&head, true);
    let mut out = BytesMut::new();
    let mut done = false;
    for line in lines {
        match stream.event(line, &mut out) {
            Ok(NativeEvent::Done(_)) => done = true,
            Ok(NativeEvent::Failed(_)) | Err(_) => break,
            Ok(_) => {}
        }
    }
    assert_eq!(
        stream.finish(&TokenCounts::default(), &mut out).is_ok(),
        done,
        "only a message that has stopped is complete"
    );
    let mut parser = ChunkParser::default();
    for frame in std::str::from_utf8(&out).expect("UTF-8").split_terminator("\n\n") {
        let data = frame.strip_prefix("data: ").expect("a frame of one line");
        assert!(matches!(parser.parse(data.as_bytes()), Ok(ParsedFrame::Chunk(_))), "{data}");
    }
}

/// The data of the events, each of which must be one line behind a name that is its type.
fn events(out: &[u8]) -> Vec<Value> {
    let text = std::str::from_utf8(out).expect("UTF-8");
    let event = |block: &str| match block.split_once('\n') {
        None => Value::from(block.strip_prefix("data: ").expect("data")),
        Some((name, data)) => {
            let data: Value = serde_json::from_str(data.strip_prefix("data: ").expect("data")).expect("JSON");
            assert_eq!(Some(name), data["type"].as_str().map(|kind| format!("event: {kind}")).as_deref());
            data
        }
    };
    text.split_terminator("\n\n").map(event).collect()
}
