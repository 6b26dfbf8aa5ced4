//! Any chat stream, split anywhere, says the same as the stream of a response.

use proptest::prelude::*;

use super::translated;
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
