//! Any chat stream, split anywhere, says the same as a stream of messages. Any body that is
//! translated is a valid request for chat.

use proptest::prelude::*;

use super::{COUNTED, translated};
use crate::wire::messages;
use crate::wire::translation::accumulate::{self, Answer};
use crate::wire::translation::chat_streams::chat_stream;
use crate::wire::translation::request_fixtures::{RULES, assert_chat_request, changed};
use crate::wire::translation::stream_fixtures::{ChatEvent, chat_events};

proptest! {
    #[test]
    fn a_stream_of_messages_says_what_the_chat_stream_says(stream in chat_stream()) {
        let events = chat_events(stream.pieces.iter().map(Vec::as_slice));
        let refuses = events.iter().any(|event| matches!(event, ChatEvent::Chunk(data) if data.contains("\"refusal\"")));
        let finish = match &*stream.answer.finish {
            "length" => "max_tokens",
            "content_filter" => "refusal",
            _ if refuses => "refusal",
            _ if !stream.answer.calls.is_empty() => "tool_use",
            _ => "end_turn",
        };
        let usage = stream.answer.usage.or(Some((COUNTED.input, COUNTED.output)));
        let expected = Answer { finish: finish.to_owned(), usage, ..stream.answer };
        prop_assert_eq!(accumulate::messages(&translated(events).unwrap()), expected);
    }
}

/// A request with most of what is translated.
const BODY: &str = concat!(
    r#"{"model":"m","max_tokens":9,"stream":true,"system":[{"type":"text","text":"a\n"}],"message"#,
    r#"s":[{"role":"user","content":[{"type":"text","text":"a"},{"type":"image","source":{"type":"#,
    r#""base64","media_type":"image/png","data":"AA"}}]},{"role":"assistant","content":[{"type":""#,
    r#"tool_use","id":"t","name":"f","input":{"a":"\"x"}}]},{"role":"user","content":[{"type":"to"#,
    r#"ol_result","tool_use_id":"t","content":"x"}]}],"tools":[{"name":"f","input_schema":{}}],"t"#,
    r#"ool_choice":{"type":"auto"},"metadata":{"user_id":"u"}}"#,
);

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2048))]
    #[test]
    fn what_is_translated_is_a_chat_request(body in changed(BODY)) {
        if let Ok(request) = messages::parse(body.into(), &RULES)
            && let Ok(chat) = messages::to_chat(&request)
        {
            assert_chat_request(&chat, request.stream)?;
        }
    }
}
