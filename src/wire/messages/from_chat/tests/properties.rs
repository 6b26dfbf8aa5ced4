//! Any stream of messages, split anywhere, says the same as the chat stream. Any request that is translated is a valid
//! request for messages, and is a chat request again when it is translated back.

use proptest::prelude::*;
use proptest::sample::Index;
use serde_json::Value;

use super::message_streams::message_events;
use super::translated;
use crate::wire::messages;
use crate::wire::messages::from_chat::request;
use crate::wire::request::InferenceRequest;
use crate::wire::translation::accumulate;
use crate::wire::translation::request_fixtures::{RULES, assert_chat_request, changed};
use crate::wire::translation::stream_fixtures::event_data;

/// The bytes of a stream in pieces.
fn pieces(events: &[Value], cuts: &[Index]) -> Vec<Vec<u8>> {
    let frame = |event: &Value| format!("event: {}\ndata: {event}\n\n", event["type"].as_str().unwrap());
    let stream: String = events.iter().map(frame).collect();
    let mut at: Vec<usize> = cuts.iter().map(|cut| cut.index(stream.len())).collect();
    at.sort_unstable();
    at.insert(0, 0);
    at.push(stream.len());
    at.windows(2).map(|cut| stream.as_bytes()[cut[0]..cut[1]].to_vec()).collect()
}

proptest! {
    #[test]
    fn a_chat_stream_says_what_the_stream_of_messages_says(stream in message_events()) {
        let split = event_data(pieces(&stream.events, &stream.cuts).iter().map(Vec::as_slice));
        let whole: Vec<String> = stream.events.iter().map(Value::to_string).collect();
        prop_assert_eq!(&split, &whole);
        let translated = translated(split.iter().map(String::as_str));
        prop_assert_eq!(translated.error, None);
        prop_assert_eq!(accumulate::chat(&translated.frames), stream.answer);
    }

    #[test]
    fn a_stream_that_is_cut_is_never_finished(stream in message_events(), end in any::<Index>()) {
        let events: Vec<String> = stream.events.iter().map(Value::to_string).collect();
        let before = &events[..end.index(events.len())];
        let translated = translated(before.iter().map(String::as_str));
        prop_assert!(translated.error.is_some());
        let begun = accumulate::chat(&translated.frames);
        prop_assert!(begun.finish.is_empty() && begun.usage.is_none());
        prop_assert!(stream.answer.text.starts_with(&begun.text), "{} {}", stream.answer.text, begun.text);
    }
}

/// Events of all types that are translated.
const EVENTS: &str = concat!(
    r#"{"type":"message_start","message":{"usage":{"input_tokens":1}}}|{"type":"content_block_st"#,
    r#"art","index":0,"content_block":{"type":"tool_use","id":"a\"","name":"f","input":{}}}|{"ty"#,
    r#"pe":"content_block_delta","index":0,"delta":{"type":"input_json_delta","partial_json":"{\""#,
    r#"}}|{"type":"content_block_stop","index":0}|{"type":"content_block_start","index":1,"conte"#,
    r#"nt_block":{"type":"text","text":"a"}}|{"type":"content_block_delta","index":1,"delta":{"t"#,
    r#"ype":"text_delta","text":"b\n"}}|{"type":"message_delta","delta":{"stop_reason":"refusal""#,
    r#","stop_details":{"explanation":"c"}},"usage":{"output_tokens":2}}|{"type":"message_stop"}"#,
);

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2048))]
    #[test]
    fn whatever_an_upstream_sends_the_chunks_are_valid(events in changed(EVENTS)) {
        let translated = translated(events.split('|'));
        let answer = accumulate::chat(&translated.frames);
        prop_assert_eq!(translated.error.is_some(), answer.finish.is_empty());
    }
}

/// A request with most of what is translated.
const BODY: &str = concat!(
    r#"{"model":"m","max_tokens":9,"stream":true,"messages":[{"role":"system","content":"a\n"},{"#,
    r#""role":"user","content":[{"type":"text","text":"a"},{"type":"image_url","image_url":{"url"#,
    r#"":"data:image/png;base64,AA","detail":"auto"}}]},{"role":"assistant","content":null,"tool"#,
    r#"_calls":[{"id":"t","type":"function","function":{"name":"f","arguments":"{\"a\":\"x\"}"}}"#,
    r#"]},{"role":"tool","tool_call_id":"t","content":"x"}],"tools":[{"type":"function","functio"#,
    r#"n":{"name":"f","description":"d","parameters":{}}}],"tool_choice":"auto","user":"u","stop"#,
    r#"":["a"],"temperature":0.5,"reasoning_effort":"low","response_format":{"type":"json_schema"#,
    r#"","json_schema":{"name":"n","schema":{}}}}"#,
);

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2048))]
    #[test]
    fn what_is_translated_is_a_request_for_messages(body in changed(BODY)) {
        if let Ok(parsed) = InferenceRequest::chat(body.into(), &RULES)
            && let Ok(messages) = request(&parsed, Some("n"))
        {
            let read = messages::parse(messages.clone().into(), &RULES);
            prop_assert!(read.is_ok(), "{read:?} {messages}");
            let read = read.unwrap();
            prop_assert_eq!((&*read.model, read.stream, read.max_tokens.is_some()), ("n", parsed.stream, true));
            let back = messages::to_chat(&read);
            prop_assert!(back.is_ok(), "{back:?} {messages}");
            assert_chat_request(&back.unwrap(), parsed.stream)?;
        }
    }
}

#[test]
fn the_request_of_the_property_is_translated() {
    let parsed = InferenceRequest::chat(BODY.into(), &RULES).unwrap();
    assert!(request(&parsed, None).is_ok());
}
