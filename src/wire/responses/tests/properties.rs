//! Any chat stream, split anywhere, says the same as the stream of a response. Any body that is translated is a valid request for chat.

use proptest::prelude::*;
use proptest::sample::{Index, select};

use super::{RULES, translated};
use crate::wire::operation::Operation;
use crate::wire::request::{InferenceRequest, RequestRules};
use crate::wire::responses::ResponsesRequest;
use crate::wire::translation::accumulate::{self, Answer};
use crate::wire::translation::chat_streams::chat_stream;
use crate::wire::translation::stream_fixtures::chat_events;

proptest! {
    #[test]
    fn the_stream_of_a_response_says_what_the_chat_stream_says(stream in chat_stream()) {
        let finish = match &*stream.answer.finish {
            "length" | "content_filter" => "incomplete",
            _ => "completed",
        };
        let mut expected = Answer { finish: finish.to_owned(), ..stream.answer };
        // The items of calls are in the order in which they began.
        expected.calls.sort_by(|a, b| a.0.cmp(&b.0));
        let events = chat_events(stream.pieces.iter().map(Vec::as_slice));
        let mut found = accumulate::responses(&translated(events).unwrap());
        found.calls.sort_by(|a, b| a.0.cmp(&b.0));
        prop_assert_eq!(found, expected);
    }
}

/// A request with most of what is translated.
const BODY: &str = concat!(
    r#"{"model":"m","max_output_tokens":9,"stream":true,"instructions":"a\n","input":[{"role":"us"#,
    r#"er","content":[{"type":"input_text","text":"a"},{"type":"input_image","image_url":"u"}]},{"#,
    r#""type":"reasoning","id":"r","summary":[],"content":[{"type":"reasoning_text","text":"hm"}]"#,
    r#"},{"type":"function_call","call_id":"c","name":"f","arguments":"{\"a\":1}"},{"type":"funct"#,
    r#"ion_call_output","call_id":"c","output":"x"}],"tools":[{"type":"function","name":"f","para"#,
    r#"meters":{}}],"tool_choice":"auto","text":{"format":{"type":"text"}},"reasoning":{"effort":"#,
    r#""low"}}"#,
);

/// Changes of a body that may make it invalid, or mean something else.
fn changed(body: &str) -> impl Strategy<Value = String> {
    let parts = vec!["", "{", "}", "[", "]", "\"", ",", ":", "null", "\\", "1", "{}", "[]", "\"a\"", "true", "\n"];
    let body = body.to_owned();
    (any::<Index>(), 0..12_usize, select(parts)).prop_map(move |(at, length, part)| {
        let bytes = body.as_bytes();
        let start = at.index(bytes.len());
        let end = (start + length).min(bytes.len());
        String::from_utf8_lossy(&[&bytes[..start], part.as_bytes(), &bytes[end..]].concat()).into_owned()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2048))]
    #[test]
    fn what_is_translated_is_a_chat_request(body in changed(BODY)) {
        if let Ok(request) = ResponsesRequest::parse(body.into(), &RULES)
            && let Ok(chat) = request.to_chat()
        {
            let rules = RequestRules { local_model: None, ..RULES };
            let parsed = InferenceRequest::parse(Operation::Chat, chat.clone().into(), &rules);
            prop_assert!(parsed.is_ok(), "{parsed:?} {chat}");
            prop_assert_eq!(parsed.unwrap().stream, request.stream);
        }
    }
}
