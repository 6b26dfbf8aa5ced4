//! Tests of the codec: golden streams, whole answers, errors.

mod properties;
mod requests;

use bytes::BytesMut;

use super::*;
use crate::wire::translation::accumulate::{self, Answer};
use crate::wire::translation::stream_fixtures::{ChatEvent, assert_goldens};
use crate::wire::translation::{TokenCounts, TranslationError};

const COUNTED: TokenCounts = TokenCounts { input: 2, cached: 0, cache_written: 0, output: 1, reasoning: 0 };

fn head() -> MessageHead {
    MessageHead { id: "msg_1".into(), model: "m".into() }
}

/// The stream of messages that a chat stream becomes.
fn translated(events: Vec<ChatEvent>) -> Result<BytesMut, TranslationError> {
    let (mut stream, mut out) = (MessageStream::new(&head(), 1 << 20), BytesMut::new());
    for event in events {
        match event {
            ChatEvent::Chunk(data) => stream.chunk(&data, &mut out)?,
            ChatEvent::Done => {
                stream.finish(&COUNTED, &mut out);
                break;
            }
            ChatEvent::Failure(error) => {
                stream.fail("api_error", &error.message, &mut out);
                break;
            }
        }
    }
    Ok(out)
}

fn of_chunks(chunks: &[&str]) -> Result<BytesMut, TranslationError> {
    translated(chunks.iter().map(|chunk| ChatEvent::Chunk((*chunk).into())).chain([ChatEvent::Done]).collect())
}

fn call(index: &str, id: &str, name: &str, arguments: &str) -> String {
    let arguments = serde_json::to_string(arguments).unwrap();
    format!(
        r#"{{"choices":[{{"delta":{{"tool_calls":[{{{index}"id":"{id}","function":{{"name":"{name}","arguments":{arguments}}}}}]}}}}]}}"#
    )
}

#[test]
fn chat_streams_become_the_golden_streams() {
    assert_goldens("messages", |events| translated(events).unwrap());
}

#[test]
fn interleaved_calls_become_blocks_in_the_order_of_their_numbers() {
    let Answer { calls, text, .. } = accumulate::messages(
        &of_chunks(&[
            &call(r#""index":1,"#, "b", "g", r#"{"x":"#),
            r#"{"choices":[{"delta":{"content":"late"}}]}"#,
            &call(r#""index":0,"#, "a", "f", ""),
            &call(r#""index":1,"#, "", "", "1}"),
        ])
        .unwrap(),
    );
    assert_eq!(text, "late");
    let one = serde_json::json!({"x": 1});
    assert_eq!(calls, [("a".into(), "f".into(), serde_json::json!({})), ("b".into(), "g".into(), one)]);
}

#[test]
fn a_part_behind_complete_arguments_is_malformed_unless_it_is_blank() {
    let [first, second] = [("0", "a"), ("1", "b")].map(|(at, id)| call(&format!(r#""index":{at},"#), id, "f", "{}"));
    let late = |arguments| call(r#""index":0,"#, "a", "f", arguments);
    assert!(of_chunks(&[&first, &second, &late(" \n")]).is_ok());
    assert_eq!(of_chunks(&[&first, &second, &late("{}")]), Err(TranslationError::Malformed));
}

#[test]
fn what_is_kept_is_bounded() {
    let mut stream = MessageStream::new(&head(), 10);
    let mut out = BytesMut::new();
    let mut push = |chunk: &str| stream.chunk(chunk, &mut out);
    assert_eq!(push(&call(r#""index":0,"#, "a", "f", &"{".repeat(100))), Err(TranslationError::TooLong));
    let mut stream = MessageStream::new(&head(), 10);
    let mut push = |chunk: &str| stream.chunk(chunk, &mut out);
    assert_eq!(push(&call(r#""index":0,"#, "a", "f", "{")), Ok(()));
    // Those of the open call are not kept.
    assert_eq!(push(&call(r#""index":0,"#, "a", "f", &" ".repeat(100))), Ok(()));
    assert_eq!(push(&call(r#""index":1,"#, "b", "f", "123456")), Ok(()));
    assert_eq!(push(&call(r#""index":1,"#, "b", "f", "789")), Err(TranslationError::TooLong));
    assert_eq!(push(&call(r#""index":128,"#, "c", "f", "")), Err(TranslationError::TooLong));
}

#[test]
fn a_stream_that_fails_before_its_first_chunk_is_an_error_only() {
    let mut out = BytesMut::new();
    MessageStream::new(&head(), 9).fail("overloaded_error", "Busy \"now\"", &mut out);
    let expected = "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"Busy \\\"now\\\"\"}}\n\n";
    assert_eq!(out, expected.as_bytes());
}

#[test]
fn a_completion_becomes_a_message() {
    let completion = r#"{"id":"c","choices":[{"index":0,"message":{"role":"assistant","content":"Two.\n","refusal":null,
        "reasoning":"Hm","tool_calls":[{"id":"call_a","type":"function","function":{"name":"f","arguments":"{\"a\":\n1}"}}]},
        "finish_reason":"stop"}],"usage":{"prompt_tokens":9,"completion_tokens":3,"prompt_tokens_details":{"cached_tokens":4}}}"#;
    let expected = concat!(
        r#"{"id":"msg_1","type":"message","role":"assistant","model":"m","content":["#,
        r#"{"type":"thinking","thinking":"Hm","signature":"petstream.reasoning"},{"type":"text","text":"Two.\n"},"#,
        r#"{"type":"tool_use","id":"call_a","name":"f","input":{"a": 1}}],"stop_reason":"tool_use","stop_sequence":null,"#,
        r#""usage":{"input_tokens":5,"cache_creation_input_tokens":0,"cache_read_input_tokens":4,"output_tokens":3}}"#,
    );
    assert_eq!(message(&head(), completion.as_bytes(), &COUNTED).unwrap(), expected);
}

#[test]
fn arguments_that_are_no_object_are_malformed_unless_the_limit_cut_them() {
    let with = |arguments: &str, finish: &str| {
        let completion = format!(
            r#"{{"choices":[{{"message":{{"tool_calls":[{{"id":"a","function":{{"name":"f","arguments":"{arguments}"}}}}]}},"finish_reason":"{finish}"}}]}}"#
        );
        message(&head(), completion.as_bytes(), &COUNTED)
    };
    assert!(with("", "tool_calls").unwrap().contains(r#""input":{}"#));
    for bad in ["[1]", "{", "3", "{} x"] {
        assert_eq!(with(bad, "tool_calls"), Err(TranslationError::Malformed), "{bad}");
    }
    assert!(with("{", "length").unwrap().contains(r#""input":{}}],"stop_reason":"max_tokens""#));
    assert_eq!(message(&head(), b"[]", &COUNTED), Err(TranslationError::Malformed));
    assert_eq!(message(&head(), b"\xff", &COUNTED), Err(TranslationError::Malformed));
}
