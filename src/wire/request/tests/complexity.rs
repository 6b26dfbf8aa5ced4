//! The work of parsing a request is linear in its body. Work is counted in steps, which are the same on every machine.

use bytes::Bytes;

use super::super::*;
use crate::wire::scan::steps;

const PLAIN: &str = r#""messages":[{"role":"user","content":"hi"}]"#;

/// Bodies of about `size` bytes; each repeats one construct.
fn kinds(size: usize) -> Vec<(&'static str, String)> {
    let many = |item: &str| vec![item; size / (item.len() + 1)].join(",");
    let deep =
        |begin: &str, end: &str| begin.repeat(size / 2 / begin.len()) + "1" + &end.repeat(size / 2 / begin.len());
    let with = |more: String| format!(r#"{{"model":"m",{PLAIN},{more}}}"#);
    let messages = |list: String| format!(r#"{{"model":"m","messages":[{list}]}}"#);
    let part = |item: &str| messages(format!(r#"{{"role":"user","content":[{}]}}"#, many(item)));
    vec![
        ("repeated top_logprobs", with(many(r#""top_logprobs":1"#))),
        ("repeated unknown members", with(many(r#""x":1"#))),
        ("repeated nested parameters", with(many(r#""extra_body":{}"#))),
        ("many metadata", with(format!(r#""metadata":{{{}}}"#, many(r#""k":"v""#)))),
        ("a long list", with(format!(r#""x":[{}]"#, many("1")))),
        ("deep nested parameters", with(format!(r#""extra_body":{}"#, deep(r#"{"a":"#, "}")))),
        ("deep lists", with(format!(r#""x":{}"#, deep("[", "]")))),
        ("deep lists within a message", messages(format!(r#"{{"role":"user","content":{}}}"#, deep("[", "]")))),
        ("escapes", messages(format!(r#"{{"role":"user","content":"{}"}}"#, r"\u00e9".repeat(size / 6)))),
        ("escaped keys", with(many(r#""\u0078":1"#))),
        ("one string", messages(format!(r#"{{"role":"user","content":"{}"}}"#, "x".repeat(size)))),
        ("tiny messages", messages(many(r#"{"role":"user","content":"a"}"#))),
        ("tiny messages with names", messages(many(r#"{"role":"user","content":"a","name":"b"}"#))),
        ("plain messages and a tool's", messages(many(r#"{"role":"user","content":"a"}"#) + r#",{"role":"tool"}"#)),
        ("repeated members of a message", messages(format!("{{{}}}", many(r#""x":1"#)))),
        ("tiny parts", part(r#"{"type":"text","text":"a"}"#)),
        ("images", part(r#"{"type":"image_url","image_url":{"url":"data:"}}"#)),
        ("tools", with(format!(r#""tools":[{}]"#, many(r#"{"type":"function"}"#)))),
        ("tool calls", messages(format!(r#"{{"role":"assistant","tool_calls":[{}]}}"#, many("{}")))),
        ("stop strings", with(format!(r#""stop":[{}]"#, many(r#""a""#)))),
        ("a giant logit_bias", with(format!(r#""logit_bias":{{{}}}"#, many(r#""50256":-100"#)))),
        ("a long number", with(format!(r#""max_tokens":{}"#, "9".repeat(size)))),
        ("a long model", format!(r#"{{"model":"{}",{PLAIN}}}"#, "m".repeat(size))),
        ("a long key", with(format!(r#""{}":1"#, "K".repeat(size)))),
        ("white space", with(format!(r#""x":1{}"#, " ".repeat(size)))),
        ("truncated", with(format!(r#""x":[{}"#, many("1")))),
    ]
}

#[test]
fn parsing_takes_time_linear_in_the_body() {
    const SIZE: usize = 20_000;
    for local_model in [Some("m"), None] {
        for unknown in [UnknownMembers::Pass, UnknownMembers::Refuse] {
            let rules = RequestRules { json_depth: SIZE, unknown, local_model };
            let steps = |body: &str| {
                let body = Bytes::copy_from_slice(body.as_bytes());
                steps::of(|| InferenceRequest::chat(body, &rules).and_then(|request| request.members().map(|_| ()))).0
            };
            for ((kind, small), (_, large)) in kinds(SIZE).into_iter().zip(kinds(4 * SIZE)) {
                let (few, many) = (steps(&small), steps(&large));
                assert!(
                    many <= 5 * few,
                    "{kind}, {rules:?}: {few} steps for {SIZE} bytes, {many} for four times as many"
                );
                assert!(many <= 20 * large.len(), "{kind}, {rules:?}: {many} steps for {} bytes", large.len());
            }
        }
    }
}
