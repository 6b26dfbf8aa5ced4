//! The golden requests, answers and streams of `fixtures/translation/chat_from_messages`.

use std::path::PathBuf;

use serde_json::Value;

use super::{COUNTED, Translated, head, translated};
use crate::wire::messages::from_chat::{completion, request};
use crate::wire::request::InferenceRequest;
use crate::wire::sse::DONE;
use crate::wire::translation::TranslationError;
use crate::wire::translation::request_fixtures::RULES;
use crate::wire::translation::stream_fixtures::event_data;

fn folder(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("fixtures/translation/chat_from_messages").join(name)
}

/// The names in a folder of the files that end in `ending`.
fn names(of: &str, ending: &str) -> Vec<String> {
    let entries = std::fs::read_dir(folder(of)).unwrap().map(|entry| entry.unwrap().file_name());
    let mut names: Vec<String> =
        entries.filter_map(|name| name.to_str().unwrap().strip_suffix(ending).map(str::to_owned)).collect();
    names.sort_unstable();
    assert!(names.len() > 5, "{of}: {names:?}");
    names
}

fn text(path: &str) -> String {
    std::fs::read_to_string(folder(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn json(path: &str) -> Value {
    serde_json::from_str(&text(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

#[test]
fn requests_become_the_golden_ones() {
    for name in names("requests", ".chat.json") {
        let body = text(&format!("requests/{name}.chat.json"));
        let parsed = InferenceRequest::chat(body.into(), &RULES).unwrap();
        let messages: Value = serde_json::from_str(&request(&parsed, Some("claude")).unwrap()).unwrap();
        assert_eq!(messages, json(&format!("requests/{name}.messages.json")), "{name}: {messages:#}");
    }
}

#[test]
fn answers_become_the_golden_ones() {
    for name in names("answers", ".message.json") {
        let message = text(&format!("answers/{name}.message.json"));
        let found: Value = serde_json::from_str(&completion(&head(), message.as_bytes(), &COUNTED).unwrap()).unwrap();
        assert_eq!(found, json(&format!("answers/{name}.completion.json")), "{name}: {found:#}");
    }
}

/// The chat stream of one of messages that arrives in pieces; `[DONE]` ends a complete one.
fn chat<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> (String, Translated) {
    let events = event_data(pieces);
    let translated = translated(events.iter().map(String::as_str));
    let mut frames = translated.frames.to_vec();
    if translated.error.is_none() {
        frames.extend_from_slice(DONE);
    }
    (String::from_utf8(frames).unwrap(), translated)
}

#[test]
fn streams_become_the_golden_ones_wherever_they_are_split() {
    for name in names("streams", ".messages") {
        let (messages, golden) = (text(&format!("streams/{name}.messages")), text(&format!("streams/{name}.chat")));
        for size in [1, 7] {
            assert_eq!(chat(messages.as_bytes().chunks(size)).0, golden, "{name}");
        }
        for at in 0..messages.len() {
            let (first, second) = messages.as_bytes().split_at(at);
            assert_eq!(chat([first, second]).0, golden, "{name} at {at}");
        }
    }
}

#[test]
fn a_failure_and_an_early_end_are_errors() {
    let of = |name: &str| chat([text(&format!("streams/{name}.messages")).as_bytes()]).1.error;
    let Some(Ok(error)) = of("failure") else { panic!("no error") };
    assert_eq!((&*error.kind, &*error.message), ("service_unavailable_error", "Overloaded"));
    assert_eq!(of("cut"), Some(Err(TranslationError::Malformed)));
    assert_eq!(of("text"), None);
}
