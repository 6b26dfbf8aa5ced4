//! One frame of an upstream's chat stream: what a relay must know of it, found without building a tree.
//!
//! Most frames carry a piece of text and nothing else. Three searches for the keys that matter tell them from the
//! others; a hit only means "look closer". Every frame is checked to be well-formed UTF-8 JSON.

use std::ops::Range;
use std::sync::LazyLock;

use memchr::memmem::Finder;
use serde::de::IgnoredAny;

use super::envelope::{ErrorBody, read_error};
use super::members::{Member, elements, members, span};

static USAGE: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(b"\"usage\""));
static ERROR: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(b"\"error\""));
static CONTENT: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(b"\"content\""));
static FINISH: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(b"\"finish_reason\""));

/// What a frame is.
#[derive(Debug, PartialEq)]
pub enum Frame {
    /// `[DONE]`.
    Done,
    /// An error object; `None` where it has no readable message.
    Error(Option<ErrorBody>),
    /// A chunk.
    Chunk(Facts),
}

/// What a relay must know of a chunk.
#[derive(Debug, Default, PartialEq)]
pub struct Facts {
    /// The choices that this chunk finishes; most chunks: none.
    pub finished: Vec<u64>,
    /// The choices that this chunk has a delta for; filled only with [`Depth::Choices`].
    pub seen: Vec<u64>,
    /// Token counts, if the chunk carries them.
    pub usage: Option<Usage>,
    /// `choices` is there and empty.
    pub no_choices: bool,
    /// Members to cut out before the frame reaches a client that did not ask for usage: `"usage":null`; and for
    /// any client: `"error":null`, which the AI SDK takes for a failure.
    pub cut: Vec<Cut>,
}

/// A member to leave out, with the comma that belongs to it.
#[derive(Debug, PartialEq, Eq)]
pub struct Cut {
    /// Where in the frame's data.
    pub at: Range<usize>,
    /// Whether it is to go even if the client asked for usage.
    pub always: bool,
}

/// Token counts as upstreams report them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Usage {
    /// Tokens of the prompt.
    pub prompt_tokens: u64,
    /// Tokens of the completion, reasoning included.
    pub completion_tokens: u64,
}

/// How closely to look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Depth {
    /// At what the searches find.
    Keys,
    /// At every frame's choices: streams with more than one choice.
    Choices,
}

/// The frame is neither `[DONE]` nor a JSON object in UTF-8.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Malformed;

/// Looks at the data of one frame.
///
/// # Errors
/// [`Malformed`].
pub fn look(data: &[u8], depth: Depth) -> Result<Frame, Malformed> {
    if data == b"[DONE]" || data.trim_ascii() == b"[DONE]" {
        return Ok(Frame::Done);
    }
    let text = std::str::from_utf8(data).map_err(|_| Malformed)?;
    if depth == Depth::Keys && !has_value(text, &FINISH) && !has_key(text, &USAGE) && !has_key(text, &ERROR) {
        let object = text.trim_ascii_start().starts_with('{');
        let well_formed = object && serde_json::from_str::<IgnoredAny>(text).is_ok();
        return if well_formed { Ok(Frame::Chunk(Facts::default())) } else { Err(Malformed) };
    }
    look_closer(text)
}

/// Whether a first chunk only names the role, as those of most servers do.
#[must_use]
pub fn is_without_text(data: &[u8]) -> bool {
    values_after(std::str::from_utf8(data).unwrap_or_default(), &CONTENT)
        .any(|value| value.starts_with("\"\"") || value.starts_with("null"))
}

/// A last chunk for choice `index`, after the pattern of `chunk`: the same id, model and time, no text, and `length` as
/// the reason. None when `chunk` is no chunk.
#[must_use]
pub fn last_chunk(chunk: &[u8], index: u64) -> Option<String> {
    let text = std::str::from_utf8(chunk).ok()?;
    let all = members(text).ok()?;
    let edit = |member: &Member<'_>| match &*member.key {
        "choices" => {
            let choices =
                format!("[{{\"index\":{index},\"delta\":{{}},\"logprobs\":null,\"finish_reason\":\"length\"}}]");
            Some((span(text, member.value), choices))
        }
        "usage" => Some((span(text, member.value), "null".to_owned())),
        _ => None,
    };
    let edits: Vec<_> = all.iter().filter_map(edit).collect();
    Some(super::members::patch(text, &edits))
}

/// Reads the `usage` object of an answer or a chunk.
#[must_use]
pub fn read_usage(json: &str) -> Option<Usage> {
    #[derive(serde::Deserialize)]
    struct Raw {
        #[serde(default)]
        prompt_tokens: Option<u64>,
        #[serde(default)]
        completion_tokens: Option<u64>,
    }
    let raw: Raw = serde_json::from_str(json).ok()?;
    (raw.prompt_tokens.is_some() || raw.completion_tokens.is_some()).then(|| Usage {
        prompt_tokens: raw.prompt_tokens.unwrap_or(0),
        completion_tokens: raw.completion_tokens.unwrap_or(0),
    })
}

/// Whether the key stands somewhere in the text, followed by its colon.
fn has_key(text: &str, key: &Finder<'_>) -> bool {
    values_after(text, key).next().is_some()
}

/// Whether the key stands somewhere with a value that is not null.
fn has_value(text: &str, key: &Finder<'_>) -> bool {
    values_after(text, key).any(|value| !value.starts_with("null"))
}

/// The text from each value on that follows the key.
fn values_after<'a>(text: &'a str, key: &'a Finder<'_>) -> impl Iterator<Item = &'a str> {
    key.find_iter(text.as_bytes()).filter_map(|at| {
        let after = text.get(at + key.needle().len()..)?.trim_ascii_start();
        Some(after.strip_prefix(':')?.trim_ascii_start())
    })
}

fn look_closer(text: &str) -> Result<Frame, Malformed> {
    let all = members(text).map_err(|_| Malformed)?;
    let mut facts = Facts::default();
    for (at, member) in all.iter().enumerate() {
        match (&*member.key, member.value) {
            ("error", "null") => facts.cut.push(Cut { at: with_comma(text, &all, at), always: true }),
            ("error", _) => return Ok(Frame::Error(serde_json::from_str(text).ok().as_ref().and_then(read_error))),
            ("usage", "null") => facts.cut.push(Cut { at: with_comma(text, &all, at), always: false }),
            ("usage", usage) => facts.usage = read_usage(usage),
            ("choices", choices) => look_at_choices(choices, &mut facts)?,
            _ => {}
        }
    }
    Ok(Frame::Chunk(facts))
}

fn look_at_choices(choices: &str, facts: &mut Facts) -> Result<(), Malformed> {
    if choices == "null" {
        return Ok(());
    }
    let all = elements(choices).map_err(|_| Malformed)?;
    facts.no_choices = all.is_empty();
    for choice in all {
        let choice = members(choice).map_err(|_| Malformed)?;
        let value = |key: &str| choice.iter().find(|member| member.key == key).map(|member| member.value);
        let index = value("index").and_then(|index| index.parse().ok()).unwrap_or(0);
        facts.seen.push(index);
        if value("finish_reason").is_some_and(|reason| reason != "null") {
            facts.finished.push(index);
        }
    }
    Ok(())
}

/// The range of member number `at` with the comma before it, or, for the first one, after it.
fn with_comma(text: &str, all: &[Member<'_>], at: usize) -> Range<usize> {
    let value = span(text, all[at].value);
    if at > 0 {
        return span(text, all[at - 1].value).end..value.end;
    }
    let start = text.find('{').map_or(0, |brace| brace + 1);
    let after = &text[value.end..];
    let comma = after.trim_ascii_start();
    let end = if comma.starts_with(',') { text.len() - comma.len() + 1 } else { value.end };
    start..end
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chunk(text: &str) -> Facts {
        match look(text.as_bytes(), Depth::Keys).unwrap() {
            Frame::Chunk(facts) => facts,
            other => panic!("{text}: {other:?}"),
        }
    }

    fn without(text: &str) -> String {
        let edits: Vec<_> = chunk(text).cut.into_iter().map(|cut| (cut.at, String::new())).collect();
        crate::wire::members::patch(text, &edits)
    }

    #[test]
    fn a_piece_of_text_has_nothing_to_tell() {
        let text = r#"{"choices":[{"index":0,"delta":{"content":"\"usage\": \"error\":1"},"finish_reason":null}]}"#;
        assert_eq!(chunk(text), Facts::default());
    }

    #[test]
    fn the_end_of_a_choice_is_seen_with_any_white_space() {
        let facts = chunk(r#"{"choices":[{"index":1,"delta":{},"finish_reason" :  "stop"}]}"#);
        assert_eq!((facts.finished, facts.seen), (vec![1], vec![1]));
    }

    #[test]
    fn usage_is_read_and_an_azure_filter_chunk_is_no_usage_chunk() {
        let facts = chunk(r#"{"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":4,"total_tokens":7}}"#);
        assert_eq!(facts.usage, Some(Usage { prompt_tokens: 3, completion_tokens: 4 }));
        assert!(facts.no_choices);
        let azure = r#"{"choices":[],"prompt_filter_results":[],"usage":null}"#;
        assert_eq!((chunk(azure).no_choices, chunk(azure).usage), (true, None));
    }

    #[test]
    fn a_null_usage_is_cut_with_its_comma_wherever_it_stands() {
        assert_eq!(without(r#"{"a":1,"usage":null}"#), r#"{"a":1}"#);
        assert_eq!(without(r#"{"a":1, "usage" : null , "b":2}"#), r#"{"a":1 , "b":2}"#);
        assert_eq!(without(r#"{"usage":null,"a":1}"#), r#"{"a":1}"#);
        assert_eq!(without(r#"{"usage":null}"#), "{}");
        assert_eq!(without(r#"{"error":null,"a":1,"usage":null}"#), r#"{"a":1}"#);
        let nested = r#"{"x":{"usage":null},"choices":[{"index":0,"delta":{"content":"a"}}]}"#;
        assert_eq!(without(nested), nested);
    }

    #[test]
    fn errors_are_told_from_chunks() {
        let frame = look(br#"{"error":{"message":"m","code":429}}"#, Depth::Keys).unwrap();
        let Frame::Error(Some(error)) = frame else { panic!("{frame:?}") };
        assert_eq!((error.message.as_str(), error.code.as_deref()), ("m", Some("429")));
    }

    #[test]
    fn broken_frames_are_malformed() {
        for text in [&b"{"[..], b"", b"hello", b"[1]", b"1", b"{\"a\":\"\xff\"}", b"{\"usage\":}", b"[DONE", b"{} {}"] {
            assert_eq!(look(text, Depth::Keys), Err(Malformed), "{}", String::from_utf8_lossy(text));
        }
        assert_eq!(look(b" [DONE] ", Depth::Keys), Ok(Frame::Done));
    }
}
