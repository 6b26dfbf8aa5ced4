//! Reads the chat streams of `fixtures/translation` for tests of the codecs.

use bytes::{Bytes, BytesMut};

use crate::wire::envelope::ErrorBody;
use crate::wire::sse::Decoder;

/// An event of a chat stream.
#[derive(Debug)]
pub(in crate::wire) enum ChatEvent {
    Chunk(String),
    Failure(ErrorBody),
    Done,
}

/// The names of the streams.
const NAMES: [&str; 10] = [
    "text",
    "reasoning",
    "tools",
    "tools_interleaved",
    "refusal",
    "length",
    "filtered",
    "no_usage",
    "stop_sequence",
    "failure",
];

/// The contents of a file beside the streams.
fn fixture(name: &str) -> String {
    let path = format!("{}/fixtures/translation/{name}", env!("CARGO_MANIFEST_DIR"));
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Compares what each chat stream becomes, in whatever pieces it arrives, with the golden stream of this `api`.
pub(in crate::wire) fn assert_goldens(api: &str, translated: impl Fn(Vec<ChatEvent>) -> BytesMut) {
    for name in NAMES {
        let chat = fixture(&format!("{name}.chat"));
        for size in [1, 7, chat.len()] {
            let out = translated(chat_events(chat.as_bytes().chunks(size)));
            assert_eq!(String::from_utf8_lossy(&out), fixture(&format!("{name}.{api}")), "{name}");
        }
    }
}

/// The events of a chat stream that arrives in pieces.
pub(in crate::wire) fn chat_events<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Vec<ChatEvent> {
    let error = |text: &str| {
        let value = serde_json::from_str(text).unwrap();
        crate::wire::envelope::read_error(&value)
    };
    let event = |text: String| match &*text {
        "[DONE]" => ChatEvent::Done,
        text if text.starts_with("{\"error\"") => ChatEvent::Failure(error(text).unwrap()),
        _ => ChatEvent::Chunk(text),
    };
    event_data(pieces).into_iter().map(event).collect()
}

/// The data of each event of a stream that arrives in pieces.
pub(in crate::wire) fn event_data<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Vec<String> {
    let mut decoder = Decoder::new(1 << 20);
    let mut all = Vec::new();
    for piece in pieces {
        decoder.push(Bytes::copy_from_slice(piece));
        while let Some(event) = decoder.next_event().unwrap() {
            all.push(String::from_utf8(event.data.to_vec()).unwrap());
        }
    }
    all
}
