//! Streams of messages of any content, split anywhere, for property tests: what one says, and its bytes.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use serde_json::{Value, json};

use crate::wire::translation::accumulate::Answer;

/// A stream of messages.
#[derive(Clone, Debug)]
pub(super) struct MessageEvents {
    /// What it says, in the words of chat.
    pub(super) answer: Answer,
    /// Its events, in order.
    pub(super) events: Vec<Value>,
    /// Where its bytes are split.
    pub(super) cuts: Vec<Index>,
}

/// The content of a block.
#[derive(Clone, Debug)]
enum Content {
    Text(Vec<String>),
    Thinking(Vec<String>),
    /// A call: members of its input, and where its JSON is cut.
    Call(Vec<(String, String)>, Vec<Index>),
    /// A block of a type that chat has no place for, with deltas.
    Other(Vec<String>),
}

fn text() -> impl Strategy<Value = String> {
    // Escapes, and characters of one to four bytes.
    "[a\"\\\\\n\u{1}é🐶 {}]{0,6}"
}

fn content() -> impl Strategy<Value = Content> {
    prop_oneof![
        vec(text(), 0..4).prop_map(Content::Text),
        vec(text(), 0..4).prop_map(Content::Thinking),
        (vec((text(), text()), 0..3), vec(any::<Index>(), 0..4)).prop_map(|(input, at)| Content::Call(input, at)),
        vec(text(), 0..3).prop_map(Content::Other),
    ]
}

/// Any stream: blocks whose events may be interleaved, pings and unknown events between them.
pub(super) fn message_events() -> impl Strategy<Value = MessageEvents> {
    let reasons = vec!["end_turn", "max_tokens", "tool_use", "refusal", "stop_sequence", "pause_turn", "new_reason"];
    let usage = (0_u64..1000, 0_u64..1000, 0_u64..1000, 0_u64..1000);
    let order = vec(any::<Index>(), 0..64);
    (vec(content(), 0..6), order, select(reasons), usage, vec(any::<Index>(), 0..8)).prop_map(build)
}

/// The parts of a text that is cut at these places.
fn parts(text: &str, at: &[Index]) -> Vec<String> {
    let chars: Vec<char> = text.chars().collect();
    let mut cuts: Vec<usize> = at.iter().map(|at| at.index(chars.len() + 1)).collect();
    cuts.sort_unstable();
    cuts.insert(0, 0);
    cuts.push(chars.len());
    cuts.windows(2).map(|cut| chars[cut[0]..cut[1]].iter().collect()).collect()
}

/// The events of a block, the last one first.
fn block_events(index: usize, content: &Content) -> Vec<Value> {
    let (begin, deltas): (Value, Vec<Value>) = match content {
        Content::Text(texts) => {
            let deltas = texts.iter().map(|text| json!({"type":"text_delta","text":text}));
            (json!({"type":"text","text":""}), deltas.collect())
        }
        Content::Thinking(texts) => {
            let deltas = texts.iter().map(|text| json!({"type":"thinking_delta","thinking":text}));
            let signature = json!({"type":"signature_delta","signature":"s"});
            (json!({"type":"thinking","thinking":"","signature":""}), deltas.chain([signature]).collect())
        }
        Content::Call(input, at) => {
            // Without members there may be no part at all.
            let json = if input.is_empty() { String::new() } else { input_of(input).to_string() };
            let deltas =
                parts(&json, at).into_iter().map(|part| json!({"type":"input_json_delta","partial_json":part}));
            (json!({"type":"tool_use","id":format!("toolu_{index}"),"name":"f","input":{}}), deltas.collect())
        }
        Content::Other(texts) => {
            let deltas = texts.iter().map(|text| json!({"type":"input_json_delta","partial_json":text}));
            (json!({"type":"server_tool_use","id":"s","name":"web_search","input":{}}), deltas.collect())
        }
    };
    let mut events = vec![json!({"type":"content_block_start","index":index,"content_block":begin})];
    events.extend(deltas.into_iter().map(|delta| json!({"type":"content_block_delta","index":index,"delta":delta})));
    events.push(json!({"type":"content_block_stop","index":index}));
    events.reverse();
    events
}

fn input_of(members: &[(String, String)]) -> Value {
    members.iter().map(|(key, value)| (key.clone(), json!([{ "x": value }]))).collect()
}

type Parts = (Vec<Content>, Vec<Index>, &'static str, (u64, u64, u64, u64), Vec<Index>);

fn build((contents, order, reason, (fresh, cached, written, output), cuts): Parts) -> MessageEvents {
    let usage = json!({"input_tokens":fresh,"cache_read_input_tokens":cached,"cache_creation_input_tokens":written,
        "output_tokens":1});
    let mut events = vec![json!({"type":"message_start","message":{"id":"msg_1","content":[],"usage":usage}})];
    let mut waiting: Vec<_> = contents.iter().enumerate().map(|(at, content)| block_events(at, content)).collect();
    let mut order = order.into_iter();
    while waiting.iter().any(|events| !events.is_empty()) {
        let left: Vec<usize> = (0..waiting.len()).filter(|at| !waiting[*at].is_empty()).collect();
        let at = order.next().map_or(left[0], |at| left[at.index(left.len())]);
        events.extend(waiting[at].pop());
        match at {
            0 => events.push(json!({"type":"ping"})),
            1 => events.push(json!({"type":"new_event","index":0,"delta":{"text":"x"}})),
            _ => {}
        }
    }
    let mut answer = answer_of(&contents, &events);
    let finish = match reason {
        "max_tokens" => "length",
        "tool_use" => "tool_calls",
        "refusal" => "content_filter",
        _ => "stop",
    };
    finish.clone_into(&mut answer.finish);
    answer.usage = Some((fresh + cached + written, output));
    events.push(json!({"type":"message_delta","delta":{"stop_reason":reason},"usage":{"output_tokens":output}}));
    events.push(json!({"type":"message_stop"}));
    MessageEvents { answer, events, cuts }
}

/// What these blocks say: texts in the order of the events, calls in the order in which they begin.
fn answer_of(contents: &[Content], events: &[Value]) -> Answer {
    let mut answer = Answer::default();
    for event in events {
        let index = event["index"].as_u64().and_then(|index| usize::try_from(index).ok());
        let content = index.and_then(|index| contents.get(index));
        let text = |name: &str| event["delta"][name].as_str().unwrap_or_default().to_owned();
        match (content, event["type"].as_str()) {
            (Some(Content::Text(_)), Some("content_block_delta")) => answer.text.push_str(&text("text")),
            (Some(Content::Thinking(_)), Some("content_block_delta")) => answer.reasoning.push_str(&text("thinking")),
            (Some(Content::Call(input, _)), Some("content_block_start")) => {
                let id = event["content_block"]["id"].as_str().unwrap_or_default().to_owned();
                answer.calls.push((id, "f".to_owned(), input_of(input)));
            }
            _ => {}
        }
    }
    answer
}
