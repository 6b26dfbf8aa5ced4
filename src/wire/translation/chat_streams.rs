//! Chat streams of any content, split anywhere, for property tests: what one says, and its bytes.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;
use serde_json::{Value, json};

use super::accumulate::Answer;

/// A chat stream.
#[derive(Clone, Debug)]
pub(in crate::wire) struct ChatStream {
    /// What it says. Its `finish` is chat's reason.
    pub(in crate::wire) answer: Answer,
    /// Its bytes, in the pieces in which they arrive.
    pub(in crate::wire) pieces: Vec<Vec<u8>>,
}

fn text() -> impl Strategy<Value = String> {
    // Escapes, and characters of one to four bytes.
    "[a\"\\\\\n\u{1}é🐶 {}]{1,6}"
}

/// A delta of text, or of the next part of a call.
#[derive(Clone, Debug)]
enum Step {
    Text(&'static str, String),
    Call(Index),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        text().prop_map(|text| Step::Text("reasoning_content", text)),
        text().prop_map(|text| Step::Text("content", text)),
        text().prop_map(|text| Step::Text("refusal", text)),
        any::<Index>().prop_map(Step::Call),
        any::<Index>().prop_map(Step::Call),
    ]
}

/// The deltas of a call: the first has its id and its name.
fn call_deltas(index: usize, arguments: &str, at: &[Index]) -> Vec<Value> {
    let chars: Vec<char> = arguments.chars().collect();
    let mut cuts: Vec<usize> = at.iter().map(|at| at.index(chars.len() + 1)).collect();
    cuts.sort_unstable();
    cuts.insert(0, 0);
    cuts.push(chars.len());
    let parts = cuts.windows(2).map(|cut| chars[cut[0]..cut[1]].iter().collect::<String>());
    let delta = |(at, part): (usize, String)| match at {
        0 => json!({"index":index,"id":format!("call_{index}"),"type":"function",
                    "function":{"name":format!("f{index}"),"arguments":part}}),
        _ => json!({"index":index,"function":{"arguments":part}}),
    };
    parts.enumerate().map(delta).collect()
}

/// Any chat stream.
pub(in crate::wire) fn chat_stream() -> impl Strategy<Value = ChatStream> {
    let calls = vec((vec((text(), text()), 0..3), vec(any::<Index>(), 0..4)), 0..4);
    let finish = proptest::sample::select(vec!["stop", "length", "content_filter", "tool_calls"]);
    let usage = proptest::option::of((0_u64..1000, 0_u64..1000));
    (vec(step(), 0..16), calls, finish, usage, vec(any::<Index>(), 0..8)).prop_map(build)
}

type Parts = (Vec<Step>, Vec<(Vec<(String, String)>, Vec<Index>)>, &'static str, Option<(u64, u64)>, Vec<Index>);

fn build((steps, calls, finish, usage, cuts): Parts) -> ChatStream {
    let mut answer = Answer { finish: finish.to_owned(), usage, ..Answer::default() };
    let mut waiting = Vec::new();
    for (index, (members, at)) in calls.into_iter().enumerate() {
        let arguments: Value = members.into_iter().map(|(key, value)| (key, json!([{ "x": value }]))).collect();
        waiting.push(call_deltas(index, &arguments.to_string(), &at));
        answer.calls.push((format!("call_{index}"), format!("f{index}"), arguments));
    }
    waiting.iter_mut().for_each(|deltas| deltas.reverse());
    let mut deltas = vec![json!({"role":"assistant","content":""})];
    for step in steps {
        match step {
            Step::Text(member, text) => {
                let all = if member == "reasoning_content" { &mut answer.reasoning } else { &mut answer.text };
                all.push_str(&text);
                deltas.push(json!({ member: text }));
            }
            Step::Call(at) if !waiting.is_empty() => {
                let call = at.index(waiting.len());
                deltas.extend(waiting[call].pop().map(|part| json!({"tool_calls":[part]})));
            }
            Step::Call(_) => {}
        }
    }
    // The rest of all calls in turn.
    while waiting.iter().any(|parts| !parts.is_empty()) {
        let parts: Vec<Value> = waiting.iter_mut().filter_map(Vec::pop).collect();
        deltas.push(json!({ "tool_calls": parts }));
    }
    let mut stream = String::new();
    let mut push = |chunk: Value| stream.push_str(&format!("data: {chunk}\n\n"));
    for delta in deltas {
        push(json!({"choices":[{"index":0,"delta":delta,"finish_reason":null}]}));
    }
    push(json!({"choices":[{"index":0,"delta":{},"finish_reason":finish}]}));
    if let Some((input, output)) = usage {
        push(json!({"choices":[],"usage":{"prompt_tokens":input,"completion_tokens":output}}));
    }
    stream.push_str("data: [DONE]\n\n");
    let mut at: Vec<usize> = cuts.iter().map(|cut| cut.index(stream.len())).collect();
    at.sort_unstable();
    at.insert(0, 0);
    at.push(stream.len());
    let pieces = at.windows(2).map(|cut| stream.as_bytes()[cut[0]..cut[1]].to_vec()).collect();
    ChatStream { answer, pieces }
}
