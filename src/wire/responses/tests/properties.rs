//! Any chat stream, split anywhere, says the same as the stream of a response. Any body that is
//! translated is a valid request for chat.

use proptest::prelude::*;

use super::translated;
use crate::wire::responses;
use crate::wire::translation::accumulate::{self, Answer};
use crate::wire::translation::chat_streams::chat_stream;
use crate::wire::translation::request_fixtures::{RULES, assert_chat_request, changed};
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

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2048))]
    #[test]
    fn what_is_translated_is_a_chat_request(body in changed(BODY)) {
        if let Ok(request) = responses::parse(body.into(), &RULES)
            && let Ok(chat) = responses::to_chat(&request)
        {
            assert_chat_request(&chat, request.stream)?;
        }
    }
}
