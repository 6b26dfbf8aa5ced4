//! Tests of the codec: golden requests, answers and streams; what is refused; bounds.

mod goldens;
mod message_streams;
mod properties;
mod requests;

use bytes::BytesMut;

use super::*;
use crate::wire::chat::CompletionHead;
use crate::wire::envelope::ErrorBody;
use crate::wire::translation::accumulate::{self, Answer};
use crate::wire::translation::{NativeEvent, TokenCounts, TranslationError};

const COUNTED: TokenCounts = TokenCounts { input: 2, cached: 0, cache_written: 0, output: 1, reasoning: 0 };

fn head() -> CompletionHead {
    CompletionHead { id: "chatcmpl-1".into(), created: 1, model: "m".into() }
}

/// What a stream of messages becomes.
#[derive(Debug)]
struct Translated {
    frames: BytesMut,
    /// The error that ended it: the upstream's, or that of an incomplete stream.
    error: Option<Result<ErrorBody, TranslationError>>,
}

/// The chat stream that these events become.
fn translated<'a>(events: impl IntoIterator<Item = &'a str>) -> Translated {
    let (mut stream, mut frames) = (CompletionStream::new(&head(), true), BytesMut::new());
    for event in events {
        match stream.event(event, &mut frames) {
            Ok(NativeEvent::Done(_)) => break,
            Ok(NativeEvent::Failed(error)) => return Translated { frames, error: error.map(Ok) },
            Ok(_) => {}
            Err(error) => return Translated { frames, error: Some(Err(error)) },
        }
    }
    let error = stream.finish(&COUNTED, &mut frames).err().map(Err);
    Translated { frames, error }
}

const STOP: &str = r#"{"type":"message_stop"}"#;

fn begin(index: u64, block: &str) -> String {
    format!(r#"{{"type":"content_block_start","index":{index},"content_block":{block}}}"#)
}

fn delta(index: u64, delta: &str) -> String {
    format!(r#"{{"type":"content_block_delta","index":{index},"delta":{delta}}}"#)
}

/// What a stream of these events and `message_stop` says.
fn said(events: &[String]) -> Result<Answer, TranslationError> {
    let translated = translated(events.iter().map(String::as_str).chain([STOP]));
    match translated.error {
        Some(Err(error)) => Err(error),
        error => {
            assert_eq!(error, None);
            Ok(accumulate::chat(&translated.frames))
        }
    }
}

const CALL: &str = r#"{"type":"tool_use","id":"a","name":"f","input":{}}"#;

#[test]
fn events_tell_limits_and_accounting_what_they_are() {
    let (mut stream, mut out) = (CompletionStream::new(&head(), false), BytesMut::new());
    let mut kind = |event: &str| stream.event(event, &mut out).unwrap();
    let counts = TokenCounts { input: 12, cached: 2, output: 1, ..TokenCounts::default() };
    let start = r#"{"type":"message_start","message":{"usage":{"input_tokens":10,"cache_read_input_tokens":2,"output_tokens":1}}}"#;
    assert_eq!(kind(start), NativeEvent::Usage(counts));
    assert_eq!(kind(&begin(0, r#"{"type":"text","text":""}"#)), NativeEvent::Other);
    assert_eq!(kind(&delta(0, r#"{"type":"text_delta","text":"a"}"#)), NativeEvent::Text);
    assert_eq!(kind(&delta(0, r#"{"type":"text_delta","text":""}"#)), NativeEvent::Other);
    assert_eq!(kind(&begin(1, CALL)), NativeEvent::ToolDelta);
    assert_eq!(kind(&delta(1, r#"{"type":"input_json_delta","partial_json":"{"}"#)), NativeEvent::ToolDelta);
    assert_eq!(kind(r#"{"type":"ping"}"#), NativeEvent::Other);
    let end = TokenCounts { output: 7, ..counts };
    let last = r#"{"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":7}}"#;
    assert_eq!(kind(last), NativeEvent::Usage(end));
    assert_eq!(kind(STOP), NativeEvent::Done(Some(end)));
    assert_eq!(kind(&delta(0, r#"{"type":"text_delta","text":"late"}"#)), NativeEvent::Other);
    assert!(!String::from_utf8(out.to_vec()).unwrap().contains("late"));
}

#[test]
fn a_stream_without_usage_has_the_counted_one_and_only_for_clients_that_asked() {
    let events = [begin(0, r#"{"type":"text","text":"Hi"}"#)];
    let answer = said(&events).unwrap();
    assert_eq!((&*answer.text, &*answer.finish, answer.usage), ("Hi", "stop", Some((2, 1))));
    let (mut stream, mut out) = (CompletionStream::new(&head(), false), BytesMut::new());
    stream.event(STOP, &mut out).unwrap();
    stream.finish(&COUNTED, &mut out).unwrap();
    assert!(!String::from_utf8(out.to_vec()).unwrap().contains("usage"));
}

#[test]
fn a_block_may_begin_with_its_whole_content() {
    let whole = r#"{"type":"tool_use","id":"","name":"f","input":{"x":1}}"#;
    let answer = said(&[begin(0, r#"{"type":"thinking","thinking":"Hm"}"#), begin(1, whole)]).unwrap();
    let call = ("call_chatcmpl-1_0".to_owned(), "f".to_owned(), serde_json::json!({"x": 1}));
    assert_eq!((&*answer.reasoning, &*answer.finish, answer.calls), ("Hm", "tool_calls", vec![call]));
    let more = delta(0, r#"{"type":"input_json_delta","partial_json":"{}"}"#);
    assert_eq!(said(&[begin(0, whole), more]), Err(TranslationError::Malformed));
}

#[test]
fn what_the_api_does_not_define_is_malformed() {
    let text = r#"{"type":"text_delta","text":"a"}"#;
    for events in [
        vec![delta(0, text)],
        vec![begin(0, CALL), delta(0, text)],
        vec![begin(0, CALL), begin(0, CALL)],
        vec![begin(0, r#"{"type":"tool_use","id":"a","input":{}}"#)],
        vec![r#"{"type":"content_block_stop"}"#.to_owned()],
        vec!["[]".to_owned()],
        vec![r#"{"type":"ping""#.to_owned()],
    ] {
        assert_eq!(said(&events), Err(TranslationError::Malformed), "{events:?}");
    }
}

#[test]
fn what_is_kept_is_bounded() {
    let open = |count| (0..count).map(|index| begin(index, r#"{"type":"text","text":""}"#)).collect::<Vec<_>>();
    assert!(said(&open(64)).is_ok());
    assert_eq!(said(&open(65)), Err(TranslationError::TooLong));
    let calls = |count| {
        let stop = |index| format!(r#"{{"type":"content_block_stop","index":{index}}}"#);
        (0..count).flat_map(|index| [begin(index, CALL), stop(index)]).collect::<Vec<_>>()
    };
    assert_eq!(said(&calls(128)).unwrap().calls.len(), 128);
    assert_eq!(said(&calls(129)), Err(TranslationError::TooLong));
}

#[test]
fn errors_have_openais_types_and_a_status() {
    let of = |kind: &str| error(ErrorBody { message: "m".into(), kind: kind.into(), param: None, code: None });
    for (kind, openai, code) in [
        ("rate_limit_error", "requests", Some("429")),
        ("overloaded_error", "service_unavailable_error", Some("529")),
        ("invalid_request_error", "invalid_request_error", Some("400")),
        ("authentication_error", "invalid_request_error", Some("401")),
        ("api_error", "server_error", Some("500")),
        ("new_error", "new_error", None),
    ] {
        let found = of(kind);
        assert_eq!((&*found.message, &*found.kind, found.code.as_deref()), ("m", openai, code));
    }
}

#[test]
fn what_is_no_message_is_malformed() {
    for body in [
        "[]",
        "{}",
        r#"{"type":"message"}"#,
        r#"{"type":"error","error":{"type":"api_error","message":"m"}}"#,
        r#"{"type":"message","content":[3]}"#,
        r#"{"type":"message","content":[{"type":"tool_use","id":"a"}]}"#,
        r#"{"type":"message","content":[]} x"#,
    ] {
        assert_eq!(completion(&head(), body.as_bytes(), &COUNTED), Err(TranslationError::Malformed), "{body}");
    }
    assert_eq!(completion(&head(), b"\xff", &COUNTED), Err(TranslationError::Malformed));
    let counted = completion(&head(), br#"{"type":"message","content":[]}"#, &COUNTED).unwrap();
    assert!(counted.contains(r#""content":"","refusal":null"#), "{counted}");
    assert!(counted.contains(r#""finish_reason":"stop"}],"usage":{"prompt_tokens":2,"#), "{counted}");
}
