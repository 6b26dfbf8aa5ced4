//! Repairs of chunks.

use bytes::BytesMut;

use super::*;
use crate::wire::chunk::repair::repaired;
use crate::wire::members::members;
use crate::wire::sse::{Decoder, Event};

/// Removes usage for a client that did not request it.
const CUT: Repair = Repair {
    cut_usage: true,
    cut_error: true,
    add_choices: false,
    cut_role: ChoiceSet::first(0),
    add_role: ChoiceSet::first(0),
    fix_finish_reason: false,
    number_tool_calls: false,
};

/// The decoded chunk; for other frames one that allows no short cut.
fn decoded(text: &str) -> DecodedChunk {
    match parse(text.as_bytes()).unwrap() {
        ParsedFrame::Chunk(facts) => facts,
        _ => DecodedChunk { removable_members: 2, ..DecodedChunk::default() },
    }
}

/// The chunk as the only event of a stream.
fn event(text: &str) -> Event {
    let mut decoder = Decoder::new(1 << 20);
    decoder.push(format!("data: {text}\n\n").into());
    decoder.next_event().unwrap().unwrap()
}

#[test]
fn removed_members_are_found_wherever_they_are() {
    let cases = [
        (r#"{"a":1,"usage":null}"#, r#"{"a":1}"#),
        (r#"{"a":1, "usage" : null , "b":[1, 2]}"#, r#"{"a":1,"b":[1, 2]}"#),
        (r#"{"usage":null,"a":1}"#, r#"{"a":1}"#),
        (r#"{"usage":null}"#, "{}"),
        (r#"{"error":null,"usage":null,"a":1}"#, r#"{"a":1}"#),
        (r#"{"usage":null,"usage":null,"a":1}"#, r#"{"a":1}"#),
        (r#"{"a":"\",","error":null,"usage":{"prompt_tokens":1}}"#, r#"{"a":"\","}"#),
        (r#"{"x":{"usage":null},"a":1}"#, r#"{"x":{"usage":null},"a":1}"#),
        (r#"{"a":1,"usage":null,"obfuscation":"x"}"#, r#"{"a":1,"obfuscation":"x"}"#),
        (r#"{"a":1,"usage":null,"obfuscation":"x\"y\\"}"#, r#"{"a":1,"obfuscation":"x\"y\\"}"#),
        (r#"{"usage":null,"obfuscation":""}"#, r#"{"obfuscation":""}"#),
        (r#"{"a":1,"usage":null,"obfuscation":{"b":"x"}}"#, r#"{"a":1,"obfuscation":{"b":"x"}}"#),
        (r#"{"a":{"b":1,"usage":null,"obfuscation":"x"}}"#, r#"{"a":{"b":1,"usage":null,"obfuscation":"x"}}"#),
        (r#"{"usage":null,"a":"\",\"usage\":null"}"#, r#"{"a":"\",\"usage\":null"}"#),
        (r#"{"usage":null,"a":{"b":1,"usage":null}}"#, r#"{"a":{"b":1,"usage":null}}"#),
    ];
    for (text, kept) in cases {
        let mut out = BytesMut::new();
        push_repaired(&mut out, &event(text), &decoded(text), &CUT, &mut ToolCallNumbering::default());
        assert_eq!(out, format!("data: {kept}\n\n"), "{text}");
    }
    let error = Repair { cut_usage: false, ..CUT };
    assert_eq!(
        repaired(r#"{"error":null,"usage":null}"#, &error, &mut ToolCallNumbering::default()),
        r#"{"usage":null}"#
    );
}

/// The choices of a chunk, repaired.
fn repaired_choices(choices: &str, repair: Repair, calls: &mut ToolCallNumbering) -> String {
    let text = repaired(&format!(r#"{{"id":"c","choices":[{choices}]}}"#), &repair, calls);
    let choices = text.strip_prefix(r#"{"id":"c","choices":["#).and_then(|rest| rest.strip_suffix("]}"));
    choices.unwrap_or_else(|| panic!("{text}")).to_owned()
}

#[test]
fn a_role_is_added_to_the_first_delta_and_removed_from_others() {
    let add = Repair { add_role: choices(&[1]), ..Repair::default() };
    let cut = Repair { cut_role: choices(&[1]), ..Repair::default() };
    for (delta, with, without) in [
        (r#"{"content":"a"}"#, r#"{"role":"assistant","content":"a"}"#, r#"{"content":"a"}"#),
        (r#"{"role":null,"content":"a"}"#, r#"{"role":"assistant","content":"a"}"#, r#"{"content":"a"}"#),
        (r#"{"content":"a", "role":"x"}"#, r#"{"role":"assistant","content":"a"}"#, r#"{"content":"a"}"#),
        (
            r#"{"content":"a","role":"x","b":1}"#,
            r#"{"role":"assistant","content":"a","b":1}"#,
            r#"{"content":"a","b":1}"#,
        ),
        (r#"{"role":"x"}"#, r#"{"role":"assistant"}"#, "{}"),
        ("{}", r#"{"role":"assistant"}"#, "{}"),
        (" { } ", r#"{"role":"assistant"}"#, "{}"),
        ("null", "null", "null"),
    ] {
        let choice = |delta: &str| format!(r#"{{"index":0,"delta":{{"role":"y"}}}},{{"delta":{delta},"index":1}}"#);
        assert_eq!(
            repaired_choices(&choice(delta), cut, &mut ToolCallNumbering::default()).replace(' ', ""),
            choice(without),
            "{delta}"
        );
        assert_eq!(
            repaired_choices(&choice(delta), add, &mut ToolCallNumbering::default()).replace(' ', ""),
            choice(with),
            "{delta}"
        );
    }
}

#[test]
fn tool_calls_without_an_index_get_one() {
    let repair = Repair { number_tool_calls: true, ..Repair::default() };
    let mut calls = ToolCallNumbering::default();
    let mut indexes = |choice: u64, calls_in: &str| {
        let choice = repaired_choices(
            &format!(r#"{{"index":{choice},"delta":{{"tool_calls":[{calls_in}]}}}}"#),
            repair,
            &mut calls,
        );
        let value: serde_json::Value = serde_json::from_str(&choice).unwrap();
        let list = value["delta"]["tool_calls"].as_array().unwrap().clone();
        list.iter().map(|call| call["index"].as_u64().unwrap()).collect::<Vec<_>>()
    };
    assert_eq!(indexes(0, r#"{"id":"a","function":{"name":"f"}},{"id":"b","function":{"name":"g"}}"#), [0, 1]);
    assert_eq!(indexes(0, r#"{"id":"c","index":null}"#), [2], "in a chunk of its own");
    assert_eq!(indexes(0, r#"{"id":"","function":{"arguments":"x"}}"#), [2], "no id continues the last one");
    assert_eq!(indexes(0, r#"{"function":{"arguments":"x"}}"#), [2]);
    assert_eq!(indexes(0, r#"{"id":"c","function":{"arguments":"x"}}"#), [2], "the same id continues it");
    assert_eq!(indexes(1, r#"{"function":{"arguments":"x"}}"#), [0], "another choice");
    assert_eq!(indexes(0, r#"{"index":7,"id":"z"}"#), [7], "an index is kept");
}

#[test]
fn finish_reasons_and_choices_are_repaired() {
    let repair = Repair { fix_finish_reason: true, ..Repair::default() };
    for (reason, known) in [(r#""""#, "null"), (r#""STOP""#, r#""stop""#), (r#""own""#, r#""own""#), ("0", "null")] {
        let choice = |reason: &str| format!(r#"{{"index":0,"finish_reason":{reason},"delta":{{}}}}"#);
        assert_eq!(repaired_choices(&choice(reason), repair, &mut ToolCallNumbering::default()), choice(known));
    }
    let add = Repair { add_choices: true, ..Repair::default() };
    for (text, right) in [
        (r#"{"id":"c","choices":null,"usage":{}}"#, r#"{"id":"c","choices":[],"usage":{}}"#),
        (r#"{"usage":{}}"#, r#"{"choices":[],"usage":{}}"#),
    ] {
        assert_eq!(repaired(text, &add, &mut ToolCallNumbering::default()), right);
    }
}

proptest::proptest! {
    #[test]
    fn removing_members_leaves_json_with_the_others_in_order(
        order in proptest::collection::vec(0_usize..5, 0..7),
        usage in proptest::bool::ANY,
    ) {
        let parts =
            [r#""usage":null"#, r#""error":null"#, r#""a":"x,y""#, r#" "choices" : [ {} ] "#, r#""obfuscation":"x\"y""#];
        let text = format!("{{{}}}", order.iter().map(|part| parts[*part]).collect::<Vec<_>>().join(","));
        let keys = |text: &str| -> Vec<String> {
            members(text).unwrap().into_iter().map(|member| member.key.into_owned()).collect()
        };
        let hidden = |key: &str| key == "error" || usage && key == "usage";
        let left: Vec<_> = keys(&text).into_iter().filter(|key| !hidden(key)).collect();
        let repair = Repair { cut_usage: usage, ..CUT };
        proptest::prop_assert_eq!(&keys(&repaired(&text, &repair, &mut ToolCallNumbering::default())), &left);
        // The fast path has the same result.
        let mut out = BytesMut::new();
        push_repaired(&mut out, &event(&text), &decoded(&text), &repair, &mut ToolCallNumbering::default());
        let frame = std::str::from_utf8(&out).unwrap();
        let kept = frame.strip_prefix("data: ").and_then(|rest| rest.strip_suffix("\n\n")).unwrap();
        proptest::prop_assert_eq!(keys(kept), left);
    }
}
