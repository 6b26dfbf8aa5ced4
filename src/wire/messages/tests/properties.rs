//! Any chat stream, split anywhere, says the same as a stream of messages.

use proptest::prelude::*;

use super::{COUNTED, translated};
use crate::wire::translation::accumulate::{self, Answer};
use crate::wire::translation::chat_streams::chat_stream;
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
