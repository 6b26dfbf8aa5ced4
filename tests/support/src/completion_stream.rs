//! A strict reader of chat-completion streams, independent of petstream's codec so that the two cannot share a
//! mistake. Where the SSE standard is lenient, this is not: it accepts only the form that every SDK reads.

use std::collections::BTreeMap;

use serde_json::Value;

/// A frame: the text between two blank lines.
#[derive(Clone, Debug, PartialEq)]
pub enum Frame {
    /// `: text`, a heartbeat.
    Comment(String),
    /// `data: {…}`.
    Json(Value),
    /// `data: [DONE]`.
    Done,
}

/// How a stream ended.
#[derive(Clone, Debug, PartialEq)]
pub enum Ending {
    /// Every choice has its finish reason, then `[DONE]`.
    Complete,
    /// An error frame, holding this `error` object, then `[DONE]`.
    Failed(Value),
    /// No `[DONE]`: the stream was cut. Holds the bytes of the unfinished frame.
    Cut(String),
}

/// A stream, read to its end.
#[derive(Debug)]
pub struct Transcript {
    /// All frames in order, `[DONE]` included.
    pub frames: Vec<Frame>,
    /// How it ended.
    pub ending: Ending,
}

/// Reads the whole body of a stream. Panics where the stream violates the contract.
#[track_caller]
pub fn read(body: &[u8]) -> Transcript {
    // A cut stream may end within a character: only the unfinished frame may be invalid UTF-8.
    let whole = body.windows(2).rposition(|pair| pair == b"\n\n").map_or(0, |at| at + 2);
    let (finished, rest) = body.split_at(whole);
    let text = std::str::from_utf8(finished).unwrap_or_else(|e| panic!("the stream is not UTF-8: {e}"));
    let frames: Vec<Frame> = text.split_terminator("\n\n").map(frame).collect();

    let done = frames.iter().position(|frame| *frame == Frame::Done);
    let ending = match done {
        None => Ending::Cut(String::from_utf8_lossy(rest).into_owned()),
        Some(at) => {
            assert_eq!(at + 1, frames.len(), "frames after [DONE]: {:?}", &frames[at + 1..]);
            assert!(rest.is_empty(), "bytes after [DONE]: {:?}", String::from_utf8_lossy(rest));
            ending(&frames[..at])
        }
    };
    Transcript { frames, ending }
}

#[track_caller]
fn frame(text: &str) -> Frame {
    assert!(!text.is_empty(), "an empty frame");
    assert!(!text.contains('\n'), "a frame of several lines: {text:?}");
    assert!(!text.contains('\r'), "a carriage return: {text:?}");
    if let Some(comment) = text.strip_prefix(':') {
        return Frame::Comment(comment.strip_prefix(' ').unwrap_or(comment).to_owned());
    }
    let data = text.strip_prefix("data: ").unwrap_or_else(|| panic!("neither `data: ` nor a comment: {text:?}"));
    if data == "[DONE]" {
        return Frame::Done;
    }
    let value: Value = serde_json::from_str(data).unwrap_or_else(|e| panic!("not JSON ({e}): {data:?}"));
    assert!(value.is_object(), "not an object: {data:?}");
    Frame::Json(value)
}

/// The ending of a stream with `[DONE]`, from the frames before it.
#[track_caller]
fn ending(frames: &[Frame]) -> Ending {
    let mut jsons = frames.iter().filter_map(Frame::json).peekable();
    let mut finished: BTreeMap<u64, bool> = BTreeMap::new();
    while let Some(value) = jsons.next() {
        if let Some(error) = value.get("error") {
            assert_error(error);
            assert!(value.get("choices").is_none(), "an error shaped like a chunk: {value}");
            assert_eq!(jsons.peek(), None, "a frame after the error frame");
            return Ending::Failed(error.clone());
        }
        for choice in choices(value) {
            let index = choice["index"].as_u64().unwrap_or_else(|| panic!("a choice without index: {choice}"));
            *finished.entry(index).or_default() |= choice["finish_reason"].is_string();
        }
    }
    assert!(!finished.is_empty(), "[DONE], but no choice ever came");
    assert!(finished.values().all(|done| *done), "a clean end without finish reasons: {finished:?}");
    Ending::Complete
}

fn choices(value: &Value) -> &[Value] {
    value["choices"].as_array().map_or(&[], Vec::as_slice)
}

/// Checks the four keys of an error object and their types.
#[track_caller]
pub fn assert_error(error: &Value) {
    let object = error.as_object().unwrap_or_else(|| panic!("not an error object: {error}"));
    let keys: Vec<&str> = object.keys().map(String::as_str).collect();
    assert_eq!(keys, ["message", "type", "param", "code"], "the keys of {error}");
    assert!(error["message"].is_string() && error["type"].is_string(), "message and type are strings: {error}");
    for key in ["param", "code"] {
        assert!(error[key].is_string() || error[key].is_null(), "{key} is a string or null: {error}");
    }
}

impl Frame {
    fn json(&self) -> Option<&Value> {
        match self {
            Self::Json(value) => Some(value),
            Self::Comment(_) | Self::Done => None,
        }
    }
}

impl Transcript {
    /// The JSON frames in order.
    pub fn json(&self) -> impl Iterator<Item = &Value> {
        self.frames.iter().filter_map(Frame::json)
    }

    /// All choices of all chunks, in order.
    pub fn choices(&self) -> impl Iterator<Item = &Value> {
        self.json().flat_map(choices)
    }

    /// The text of choice `index`.
    pub fn text(&self, index: u64) -> String {
        self.of(index).filter_map(|choice| choice["delta"]["content"].as_str()).collect()
    }

    /// The finish reason of choice `index`.
    pub fn finish_reason(&self, index: u64) -> Option<&str> {
        self.of(index).find_map(|choice| choice["finish_reason"].as_str())
    }

    /// The usage object, if one came.
    pub fn usage(&self) -> Option<&Value> {
        self.json().map(|value| &value["usage"]).find(|usage| usage.is_object())
    }

    fn of(&self, index: u64) -> impl Iterator<Item = &Value> {
        self.choices().filter(move |choice| choice["index"] == index)
    }

    /// Checks the contract of a complete stream of `n` choices: keys and their order, constants, the order of
    /// choices, the role once and first, and usage if and only if it was requested.
    #[track_caller]
    pub fn assert_contract(&self, n: u64, include_usage: bool) {
        assert_eq!(self.ending, Ending::Complete, "{:#?}", self.frames);
        let chunks: Vec<&Value> = self.json().collect();
        for chunk in &chunks {
            assert_order(chunk);
            assert_eq!(chunk["object"], "chat.completion.chunk", "{chunk}");
            for key in ["id", "created", "model"] {
                assert_eq!(chunk[key], chunks[0][key], "{key} changes within the stream");
            }
        }
        let body = match chunks.split_last() {
            Some((last, before)) if include_usage => {
                assert_eq!(last["choices"], serde_json::json!([]), "the usage chunk has no choices: {last}");
                assert!(last["usage"]["total_tokens"].is_u64(), "the last chunk has the usage: {last}");
                assert!(before.iter().all(|chunk| chunk.get("usage") == Some(&Value::Null)), "usage is null before");
                before
            }
            _ => {
                assert!(chunks.iter().all(|chunk| chunk.get("usage").is_none()), "usage that was not asked for");
                &chunks[..]
            }
        };
        assert!(body.iter().all(|chunk| !choices(chunk).is_empty()), "a chunk without choices");
        let mut first_seen: Vec<u64> = Vec::new();
        for choice in self.choices() {
            let index = choice["index"].as_u64().unwrap_or_default();
            if !first_seen.contains(&index) {
                first_seen.push(index);
            }
        }
        assert_eq!(first_seen, (0..n).collect::<Vec<_>>(), "choices begin in the order of their index");
        (0..n).for_each(|index| self.assert_choice(index));
    }

    /// A choice has the role first, then text, then one empty delta with the finish reason.
    #[track_caller]
    fn assert_choice(&self, index: u64) {
        let choices: Vec<&Value> = self.of(index).collect();
        assert!(choices.len() >= 2, "choice {index} has a first and a last delta: {choices:?}");
        let last = choices.len() - 1;
        for (at, choice) in choices.iter().enumerate() {
            assert!(choice.get("logprobs").is_some(), "logprobs is always there: {choice}");
            assert_eq!(choice["delta"].get("role").is_some(), at == 0, "the role comes first and once: {choice}");
            assert_eq!(choice["finish_reason"].is_string(), at == last, "the reason comes last and once: {choice}");
        }
        assert_eq!(choices[last]["delta"], serde_json::json!({}), "the last delta is empty");
    }
}

/// The keys of a chunk must be in the order of the real API.
#[track_caller]
fn assert_order(chunk: &Value) {
    const ORDER: [&str; 9] =
        ["id", "object", "created", "model", "service_tier", "system_fingerprint", "choices", "usage", "obfuscation"];
    let keys: Vec<&String> = chunk.as_object().map(|object| object.keys().collect()).unwrap_or_default();
    let places: Vec<Option<usize>> = keys.iter().map(|key| ORDER.iter().position(|known| known == key)).collect();
    assert!(places.iter().all(Option::is_some), "an unknown key among {keys:?}");
    assert!(places.is_sorted(), "keys out of order: {keys:?}");
}

#[cfg(test)]
mod tests {
    use std::panic::catch_unwind;

    use super::*;

    const ROLE: &str = r#"{"id":"c","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{"role":"assistant","content":"hé"},"logprobs":null,"finish_reason":null}]}"#;
    const LAST: &str = r#"{"id":"c","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{},"logprobs":null,"finish_reason":"stop"}]}"#;
    const ERROR: &str = r#"{"error":{"message":"gone","type":"server_error","param":null,"code":"upstream_closed"}}"#;

    fn stream(frames: &[&str]) -> String {
        frames.iter().map(|frame| format!("data: {frame}\n\n")).collect()
    }

    #[test]
    fn a_whole_stream_is_complete() {
        let transcript = read(format!(": hello\n\n{}", stream(&[ROLE, LAST, "[DONE]"])).as_bytes());
        assert_eq!(transcript.frames[0], Frame::Comment("hello".to_owned()));
        assert_eq!((transcript.text(0).as_str(), transcript.finish_reason(0)), ("hé", Some("stop")));
        assert!(transcript.usage().is_none());
        transcript.assert_contract(1, false);
        assert!(catch_unwind(move || transcript.assert_contract(2, false)).is_err(), "one choice is not two");
    }

    #[test]
    fn an_error_frame_and_done_is_a_failure() {
        let Ending::Failed(error) = read(stream(&[ROLE, ERROR, "[DONE]"]).as_bytes()).ending else { panic!("failed") };
        assert_eq!(error["code"], "upstream_closed");
    }

    #[test]
    fn a_stream_torn_anywhere_is_cut() {
        let whole = stream(&[ROLE, LAST, "[DONE]"]).into_bytes();
        for length in 0..whole.len() {
            assert!(matches!(read(&whole[..length]).ending, Ending::Cut(_)), "at {length}");
        }
    }

    #[test]
    fn malformed_streams_are_rejected() {
        let bad = [
            "data: {}\r\n\r\n".to_owned() + "data: {}\n\n",
            "event: error\ndata: {}\n\n".to_owned(),
            "id: 1\n\n".to_owned(),
            "data:\n\n".to_owned(),
            "data:{}\n\n".to_owned(),
            "data: {\ndata: }\n\n".to_owned(),
            "\n\n\n".to_owned(),
            stream(&["[DONE]"]),
            stream(&[ROLE, "[DONE]"]),
            stream(&[ROLE, LAST, "[DONE]", "[DONE]"]),
            stream(&[ROLE, LAST, "[DONE]"]) + "\n",
            stream(&[ERROR, LAST, "[DONE]"]),
            stream(&[r#"{"error":{"message":"m","type":"t","param":null,"code":500}}"#, "[DONE]"]),
        ];
        for stream in bad {
            assert!(catch_unwind(|| read(stream.as_bytes())).is_err(), "accepted {stream:?}");
        }
    }
}
