//! Tests of the codec: golden streams, whole answers, errors.

mod properties;
mod requests;

use bytes::BytesMut;
use serde_json::Value;

use super::*;
use crate::wire::translation::TranslationError;
use crate::wire::translation::accumulate;
use crate::wire::translation::request_fixtures::RULES;
use crate::wire::translation::stream_fixtures::{ChatEvent, assert_goldens};

/// The head of the answer to a small request, with fixed ids.
fn head() -> ResponseHead {
    let body = concat!(
        r#"{"model":"m","input":"Hi","instructions":"Be\nbrief.","max_output_tokens":99,"metadata":{"a":"b"},"#,
        r#""tools":[{"type":"function","name":"find","parameters":{"type":"object"}}]}"#,
    );
    let request = parse(body.into(), &RULES).unwrap();
    ResponseHead::new(&request::members(&request).unwrap(), "1", "m", 7).unwrap()
}

/// The stream of a response that a chat stream becomes.
fn translated(events: Vec<ChatEvent>) -> Result<BytesMut, TranslationError> {
    let (mut stream, mut out) = (ResponseStream::new(head(), 1 << 20), BytesMut::new());
    for event in events {
        match event {
            ChatEvent::Chunk(data) => stream.chunk(&data, &mut out)?,
            ChatEvent::Done => {
                stream.finish(8, &mut out);
                break;
            }
            ChatEvent::Failure(error) => {
                stream.fail(error.code.as_deref().unwrap_or_default(), &error.message, &mut out);
                break;
            }
        }
    }
    Ok(out)
}

fn of_chunks(chunks: &[String]) -> Result<BytesMut, TranslationError> {
    translated(chunks.iter().cloned().map(ChatEvent::Chunk).chain([ChatEvent::Done]).collect())
}

fn delta(delta: &str) -> String {
    format!(r#"{{"choices":[{{"delta":{delta}}}]}}"#)
}

#[test]
fn chat_streams_become_the_golden_streams() {
    assert_goldens("responses", |events| translated(events).unwrap());
}

#[test]
fn a_name_that_comes_late_begins_its_item() {
    let out = of_chunks(&[
        delta(r#"{"tool_calls":[{"index":0,"id":"a","function":{"arguments":"{\"x\":"}}]}"#),
        delta(r#"{"tool_calls":[{"index":0,"function":{"name":"f","arguments":"1}"}}]}"#),
    ])
    .unwrap();
    let answer = accumulate::responses(&out);
    assert_eq!(answer.calls, [("a".into(), "f".into(), serde_json::json!({"x":1}))]);
}

#[test]
fn calls_of_functions_of_namespaces_have_their_own_names() {
    let tools = r#"[{"type":"namespace","name":"n","description":"","tools":[{"type":"function","name":"f"}]}]"#;
    let request = parse(format!(r#"{{"model":"m","input":"Hi","tools":{tools}}}"#).into(), &RULES).unwrap();
    let (mut stream, mut out) = (ResponseStream::new(super::head(&request, "m", 7).unwrap(), 1 << 20), BytesMut::new());
    let call = delta(r#"{"tool_calls":[{"index":0,"id":"a","function":{"name":"n__f","arguments":"{}"}}]}"#);
    stream.chunk(&call, &mut out).unwrap();
    stream.finish(8, &mut out);
    let events = accumulate::events(&out);
    let of = |kind: &str| events.iter().map(|(_, data)| data).find(|data| data["type"] == kind).unwrap();
    for kind in ["response.output_item.added", "response.output_item.done"] {
        let item = &of(kind)["item"];
        assert_eq!((&item["namespace"], &item["name"]), (&"n".into(), &"f".into()), "{kind}");
    }
    assert_eq!(of("response.function_call_arguments.done")["name"], "f");
    assert_eq!(events.last().unwrap().1["response"]["output"][0]["namespace"], "n");
}

#[test]
fn text_and_refusal_are_parts_of_one_message() {
    let out =
        of_chunks(&[delta(r#"{"content":"a"}"#), delta(r#"{"refusal":"b"}"#), delta(r#"{"content":"c"}"#)]).unwrap();
    let events = accumulate::events(&out);
    let output = &events.last().unwrap().1["response"]["output"];
    let parts: Vec<_> =
        output[0]["content"].as_array().unwrap().iter().map(|part| part["type"].as_str().unwrap()).collect();
    assert_eq!((output.as_array().unwrap().len(), parts), (1, vec!["output_text", "refusal", "output_text"]));
    assert_eq!(accumulate::responses(&out).text, "abc");
}

#[test]
fn what_is_kept_is_bounded() {
    let mut stream = ResponseStream::new(head(), 10);
    let mut out = BytesMut::new();
    let mut push = |chunk: &str| stream.chunk(&delta(chunk), &mut out);
    assert_eq!(push(r#"{"content":"12345"}"#), Ok(()));
    assert_eq!(push(r#"{"reasoning":"12345"}"#), Ok(()));
    assert_eq!(push(r#"{"content":"1"}"#), Err(TranslationError::TooLong));
    let many = r#"{"tool_calls":[{"index":128,"id":"","function":{"name":""}}]}"#;
    assert_eq!(ResponseStream::new(head(), 10).chunk(&delta(many), &mut out), Err(TranslationError::TooLong));
}

#[test]
fn a_part_behind_complete_arguments_is_malformed_unless_it_is_blank() {
    let call = |at: u64, arguments: &str| {
        delta(&format!(
            r#"{{"tool_calls":[{{"index":{at},"id":"c{at}","function":{{"name":"f","arguments":"{arguments}"}}}}]}}"#
        ))
    };
    assert!(of_chunks(&[call(0, "{}"), call(1, "{}"), call(0, "\\n ")]).is_ok());
    assert_eq!(of_chunks(&[call(0, "{}"), call(1, "{}"), call(0, "x")]), Err(TranslationError::Malformed));
}

#[test]
fn a_completion_becomes_the_response_at_the_end_of_its_stream() {
    let completion = r#"{"choices":[{"index":0,"message":{"role":"assistant","content":"Two.","reasoning_content":"Hm",
        "tool_calls":[{"id":"call_a","type":"function","function":{"name":"find","arguments":"{\"a\":1}"}}]},
        "finish_reason":"tool_calls"}],"usage":{"prompt_tokens":9,"completion_tokens":3}}"#;
    let whole: Value = serde_json::from_str(&response(&head(), completion.as_bytes(), 8).unwrap()).unwrap();
    let out = of_chunks(&[
        delta(r#"{"reasoning_content":"Hm"}"#),
        delta(r#"{"content":"Two."}"#),
        delta(r#"{"tool_calls":[{"index":0,"id":"call_a","function":{"name":"find","arguments":"{\"a\":1}"}}]}"#),
        r#"{"choices":[],"usage":{"prompt_tokens":9,"completion_tokens":3}}"#.to_owned(),
    ])
    .unwrap();
    assert_eq!(whole, accumulate::events(&out).last().unwrap().1["response"]);
    assert_eq!(
        (&whole["status"], &whole["created_at"], &whole["completed_at"]),
        (&"completed".into(), &7.into(), &8.into())
    );
    assert_eq!(response(&head(), b"[]", 8), Err(TranslationError::Malformed));
}

#[test]
fn an_answer_at_the_limit_is_incomplete() {
    let completion = r#"{"choices":[{"message":{"content":"Tw"},"finish_reason":"length"}]}"#;
    let whole: Value = serde_json::from_str(&response(&head(), completion.as_bytes(), 8).unwrap()).unwrap();
    assert_eq!(whole["incomplete_details"]["reason"], "max_output_tokens");
    assert_eq!(
        (&whole["status"], &whole["completed_at"], &whole["usage"]),
        (&"incomplete".into(), &Value::Null, &Value::Null)
    );
}
