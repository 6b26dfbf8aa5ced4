//! Chunks as upstreams send them, one by one and one after the other.

use bytes::BytesMut;

use super::patch::repaired;
use super::*;
use crate::wire::members::members;
use crate::wire::sse::{Decoder, Event};

fn look(data: &[u8]) -> Result<Frame, Malformed> {
    ChunkParser::default().look(data)
}

fn these(all: &[u64]) -> Indices {
    all.iter().copied().collect()
}

#[test]
fn a_chunk_like_the_one_before_says_the_same_and_one_that_is_not_is_read() {
    let chunk = |text: &str, rest: &str| {
        format!(r#"{{"choices":[{{"index":2,"delta":{{"content":{text}}},"finish_reason":null}}]{rest}}}"#)
    };
    let mut looker = ChunkParser::default();
    let mut look = |text: &str, rest: &str| looker.look(chunk(text, rest).as_bytes());
    let usual = look("\"a\"", r#","usage":null"#).unwrap();
    let Frame::Chunk(facts) = &usual else { panic!("{usual:?}") };
    assert!(facts.null_usage && facts.seen == these(&[2]) && facts.tokens == 1);
    assert_eq!(look("\"finish_reason\\\":1\"", r#","usage":null"#).unwrap(), usual);
    assert_eq!(look("\"b\"", r#","usage":nul"#), Err(Malformed));
    let Ok(Frame::Chunk(facts)) = look("\"\"", r#","usage":null"#) else { panic!() };
    assert_eq!(facts.tokens, 0, "no text, no token");
    let Ok(Frame::Chunk(facts)) = look("\"b\"", r#","usage":{"prompt_tokens":1}"#) else { panic!() };
    assert!(facts.usage.is_some());
    assert_eq!(look("\"c\"", r#","usage":null"#).unwrap(), usual);
    assert!(matches!(look("\"c\"", r#","error":{"message":"m"}"#), Ok(Frame::Error(Some(_)))));
}

#[test]
fn the_beginning_of_a_chunk_is_kept_for_the_next_one_unless_it_is_long() {
    let chunk = |id: usize| format!(r#"{{"id":"{}","choices":[]}}"#, "x".repeat(id));
    let mut looker = ChunkParser::default();
    for (id, kept) in [(8, 27), (MAX_HEAD, 0), (1 << 20, 0), (9, 28)] {
        assert!(looker.look(chunk(id).as_bytes()).is_ok());
        assert_eq!((looker.head.len(), looker.head.capacity() <= MAX_HEAD), (kept, true), "{id}");
    }
}

fn chunk(text: &str) -> Facts {
    match look(text.as_bytes()).unwrap() {
        Frame::Chunk(facts) => facts,
        other => panic!("{text}: {other:?}"),
    }
}

/// A chunk of choice 0 with this delta.
fn delta(delta: &str) -> Facts {
    chunk(&format!(r#"{{"choices":[{{"index":0,"delta":{delta},"finish_reason":null}}]}}"#))
}

#[test]
fn a_piece_of_text_is_a_token_and_nothing_else() {
    let said = Facts { has_choices: true, seen: these(&[0]), tokens: 1, ..Facts::default() };
    assert_eq!(delta(r#"{"content":"\"usage\": \"error\":1"}"#), said);
}

#[test]
fn text_counts_wherever_there_is_text() {
    for text in [
        r#"{"content":"a"}"#,
        r#"{"role":"assistant","content":"a"}"#,
        r#"{"refusal":"a"}"#,
        r#"{"content":"","reasoning_content":"a"}"#,
        r#"{"content":null,"reasoning":"a"}"#,
        r#"{"reasoning_details":[{"type":"reasoning.text","text":"a","index":0}]}"#,
        r#"{"content":[{"type":"thinking","thinking":[{"type":"text","text":"a"}]}]}"#,
        r#"{"tool_calls":[{"index":0,"function":{"arguments":"{"}}]}"#,
        r#"{"tool_calls":[{"index":0,"id":"c","type":"function","function":{"name":"a","arguments":""}}]}"#,
        r#"{"tool_calls":[{"index":0,"custom":{"input":"a"}}]}"#,
        r#"{"function_call":{"arguments":"a"}}"#,
        r#"{"audio":{"transcript":"a"}}"#,
    ] {
        assert_eq!(delta(text).tokens, 1, "{text}");
        // Also in the chunk that ends the choice, and in that with the counts.
        let last = format!(r#"{{"choices":[{{"index":0,"delta":{text},"finish_reason":"stop"}}],"usage":{{}}}}"#);
        assert_eq!((chunk(&last).tokens, chunk(&last).finished), (1, these(&[0])), "{text}");
    }
    for none in [
        r#"{"role":"assistant","content":"","refusal":null}"#,
        r#"{"role":"assistant","content":null}"#,
        r#"{"tool_calls":[{"index":0,"id":"c","type":"function","function":{"arguments":""}}]}"#,
        r#"{"audio":{"id":"audio_1","expires_at":1}}"#,
        r#"{"extra_content":{"google":{"thought_signature":"xyz"}}}"#,
        "{}",
        "null",
        "7",
    ] {
        assert_eq!(delta(none).tokens, 0, "{none}");
    }
    let two = r#"{"choices":[{"index":0,"delta":{"content":"a"}},{"index":1,"delta":{"content":"b"}},{"index":2,"delta":{}}]}"#;
    assert_eq!((chunk(two).tokens, chunk(two).seen), (2, these(&[0, 1, 2])));
    // What some servers repeat beside the delta is no news.
    let repeated = r#"{"choices":[{"index":0,"delta":{"content":""},"message":{"content":"all of it"}}]}"#;
    assert_eq!(chunk(repeated).tokens, 0);
}

#[test]
fn only_a_reason_that_says_something_ends_a_choice() {
    for (reason, ends, odd) in [
        (r#""stop""#, true, false),
        (r#""tool_calls""#, true, false),
        (r#""model_length""#, true, true),
        ("null", false, false),
        (r#""""#, false, true),
        ("0", false, true),
        ("false", false, true),
        (r#"{"reason":"stop"}"#, false, true),
        (r#"["stop"]"#, false, true),
    ] {
        let facts = chunk(&format!(r#"{{"choices":[{{"index":1,"delta":{{}},"finish_reason" :  {reason}}}]}}"#));
        assert_eq!((facts.finished, facts.odd_finish), (these(if ends { &[1] } else { &[] }), odd), "{reason}");
    }
}

#[test]
fn usage_is_found_wherever_it_stands() {
    let counts = r#"{"prompt_tokens":3,"completion_tokens":4,"total_tokens":7}"#;
    let usage = Some(Usage { prompt_tokens: 3, completion_tokens: 4 });
    for (text, seen, has_usage) in [
        (format!(r#"{{"choices":[],"usage":{counts}}}"#), these(&[]), true),
        (format!(r#"{{"choices":null,"usage":{counts}}}"#), these(&[]), true),
        (format!(r#"{{"usage":{counts}}}"#), these(&[]), true),
        (format!(r#"{{"choices":[{{"index":0,"delta":{{}}}}],"usage":{counts}}}"#), these(&[0]), true),
        (format!(r#"{{"choices":[{{"index":0,"delta":{{}},"usage":{counts}}}]}}"#), these(&[0]), false),
        (format!(r#"{{"choices":[],"x_groq":{{"id":"r","usage":{counts}}}}}"#), these(&[]), false),
        (
            format!(r#"{{"choices":[],"usage":{counts},"x_groq":{{"usage":{{"completion_tokens":1}}}}}}"#),
            these(&[]),
            true,
        ),
    ] {
        let facts = chunk(&text);
        assert_eq!((facts.usage, facts.seen, facts.has_usage), (usage, seen, has_usage), "{text}");
    }
    let azure = chunk(r#"{"choices":[],"prompt_filter_results":[],"usage":null}"#);
    assert!(azure.has_choices && azure.null_usage && azure.usage.is_none());
    let odd = chunk(r#"{"choices":[],"usage":"none"}"#);
    assert!(odd.has_usage && odd.usage.is_none());
}

/// What clients who did not ask for usage are never to see.
const CUT: Repair = Repair {
    cut_usage: true,
    cut_error: true,
    add_choices: false,
    cut_role: Indices::first(0),
    add_role: Indices::first(0),
    finish: false,
    number_calls: false,
};

/// What is known of a frame, be it a chunk or not.
fn facts_of(text: &str) -> Facts {
    match look(text.as_bytes()).unwrap() {
        Frame::Chunk(facts) => facts,
        _ => Facts { hideable: 2, ..Facts::default() },
    }
}

/// The chunk as the only event of a stream.
fn event(text: &str) -> Event {
    let mut decoder = Decoder::new(1 << 20);
    decoder.push(format!("data: {text}\n\n").into());
    decoder.next_event().unwrap().unwrap()
}

#[test]
fn what_a_client_is_not_to_see_is_cut_wherever_it_stands() {
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
        push_repaired(&mut out, &event(text), &facts_of(text), &CUT, &mut Calls::default());
        assert_eq!(out, format!("data: {kept}\n\n"), "{text}");
    }
    let error = Repair { cut_usage: false, ..CUT };
    assert_eq!(repaired(r#"{"error":null,"usage":null}"#, &error, &mut Calls::default()), r#"{"usage":null}"#);
}

#[test]
fn the_usual_null_usage_is_seen_without_a_closer_look_and_others_with_one() {
    assert!(chunk(r#"{"choices":[{"index":0,"delta":{"content":"a"}}],"usage":null}"#).null_usage);
    assert!(chunk(r#"{"usage":null,"choices":[]}"#).null_usage);
    assert!(!chunk(r#"{"choices":[{"usage":null}]}"#).null_usage);
    assert!(chunk(r#"{"error":null,"choices":[]}"#).null_error);
}

#[test]
fn errors_in_other_shapes_are_errors() {
    for text in [r#"{"object":"error","message":"m","code":400}"#, r#"{"detail":"m"}"#] {
        let frame = look(text.as_bytes()).unwrap();
        assert!(matches!(frame, Frame::Error(Some(ref error)) if error.message == "m"), "{frame:?}");
    }
    for text in
        [r#"{"ping":1}"#, r#"{"type":"ping"}"#, "{}", r#"{"choices":null}"#, r#"{"choices":{}}"#, r#"{"usage":null}"#]
    {
        assert_eq!(look(text.as_bytes()), Ok(Frame::Other), "{text}");
    }
}

#[test]
fn what_carries_an_error_is_one_streamed_or_not() {
    let text = "\"index\":0,\"delta\":{\"content\":\"a\"},\"message\":{\"content\":\"a\"}";
    for error in [
        format!(r#"{{"choices":[{{{text},"finish_reason":"stop"}}],"error":{{"message":"m"}}}}"#),
        format!(r#"{{"error":"m","choices":[{{{text}}}],"usage":{{"prompt_tokens":1}}}}"#),
        format!(r#"{{"choices":[{{{text},"error":{{"message":"m","code":502}}}}]}}"#),
        r#"{"choices":[],"error":{"message":"m"}}"#.to_owned(),
        r#"{"choices":null,"message":"m"}"#.to_owned(),
        r#"{"detail":"m"}"#.to_owned(),
        r#"{"object":"error","message":"m"}"#.to_owned(),
    ] {
        for frame in [look(error.as_bytes()), look_at_answer(error.as_bytes())] {
            assert!(matches!(&frame, Ok(Frame::Error(Some(body))) if body.message == "m"), "{error}: {frame:?}");
        }
    }
    let silent = format!(r#"{{"choices":[{{{text},"finish_reason":"error"}}]}}"#);
    for error in [&*silent, r#"{"choices":[],"error":{}}"#, r#"{"choices":[],"error":false}"#] {
        assert_eq!(look(error.as_bytes()), Ok(Frame::Error(None)), "{error}");
        assert_eq!(look_at_answer(error.as_bytes()), Ok(Frame::Error(None)), "{error}");
    }
    let fine = format!(r#"{{"choices":[{{{text},"error":null,"finish_reason":"stop"}}],"error":null}}"#);
    for frame in [look(fine.as_bytes()), look_at_answer(fine.as_bytes())] {
        assert!(matches!(&frame, Ok(Frame::Chunk(facts)) if facts.tokens == 1), "{frame:?}");
    }
}

/// A chunk of these choices, put right.
fn right(choices: &str, repair: Repair, calls: &mut Calls) -> String {
    let text = repaired(&format!(r#"{{"id":"c","choices":[{choices}]}}"#), &repair, calls);
    let choices = text.strip_prefix(r#"{"id":"c","choices":["#).and_then(|rest| rest.strip_suffix("]}"));
    choices.unwrap_or_else(|| panic!("{text}")).to_owned()
}

#[test]
fn a_role_comes_once_and_first() {
    let add = Repair { add_role: these(&[1]), ..Repair::default() };
    let cut = Repair { cut_role: these(&[1]), ..Repair::default() };
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
        assert_eq!(right(&choice(delta), cut, &mut Calls::default()).replace(' ', ""), choice(without), "{delta}");
        assert_eq!(right(&choice(delta), add, &mut Calls::default()).replace(' ', ""), choice(with), "{delta}");
    }
}

#[test]
fn tool_calls_without_numbers_get_them() {
    let repair = Repair { number_calls: true, ..Repair::default() };
    let mut calls = Calls::default();
    let mut number = |choice: u64, calls_in: &str| {
        let choice =
            right(&format!(r#"{{"index":{choice},"delta":{{"tool_calls":[{calls_in}]}}}}"#), repair, &mut calls);
        let value: serde_json::Value = serde_json::from_str(&choice).unwrap();
        let list = value["delta"]["tool_calls"].as_array().unwrap().clone();
        list.iter().map(|call| call["index"].as_u64().unwrap()).collect::<Vec<_>>()
    };
    assert_eq!(number(0, r#"{"id":"a","function":{"name":"f"}},{"id":"b","function":{"name":"g"}}"#), [0, 1]);
    assert_eq!(number(0, r#"{"id":"c","index":null}"#), [2], "one that comes in a chunk of its own");
    assert_eq!(number(0, r#"{"id":"","function":{"arguments":"x"}}"#), [2], "no id goes on with the last");
    assert_eq!(number(0, r#"{"function":{"arguments":"x"}}"#), [2]);
    assert_eq!(number(0, r#"{"id":"c","function":{"arguments":"x"}}"#), [2], "so does the same id");
    assert_eq!(number(1, r#"{"function":{"arguments":"x"}}"#), [0], "another choice");
    assert_eq!(number(0, r#"{"index":7,"id":"z"}"#), [7], "one that has its number");
}

#[test]
fn reasons_and_lists_are_put_right() {
    let repair = Repair { finish: true, ..Repair::default() };
    for (reason, known) in [(r#""""#, "null"), (r#""STOP""#, r#""stop""#), (r#""own""#, r#""own""#), ("0", "null")] {
        let choice = |reason: &str| format!(r#"{{"index":0,"finish_reason":{reason},"delta":{{}}}}"#);
        assert_eq!(right(&choice(reason), repair, &mut Calls::default()), choice(known));
    }
    let add = Repair { add_choices: true, ..Repair::default() };
    for (text, right) in [
        (r#"{"id":"c","choices":null,"usage":{}}"#, r#"{"id":"c","choices":[],"usage":{}}"#),
        (r#"{"usage":{}}"#, r#"{"choices":[],"usage":{}}"#),
    ] {
        assert_eq!(repaired(text, &add, &mut Calls::default()), right);
    }
}

proptest::proptest! {
    #[test]
    fn what_came_before_changes_nothing_of_what_a_frame_says(
        frames in proptest::collection::vec(proptest::collection::vec(0_usize..21, 0..6), 1..8),
        closed in proptest::collection::vec(proptest::bool::weighted(0.9), 8),
    ) {
        let parts = [
            r#""id":"a""#,
            r#""id":"b""#,
            r#" "model" : "m""#,
            r#""choices":[{"index":0,"delta":{"content":"a"},"finish_reason":null}]"#,
            r#""choices":[{"index":0,"delta":{"content":"b\""},"finish_reason":null}]"#,
            r#""choices":[{"index":1,"delta":{},"finish_reason":"stop"}]"#,
            r#""choices":[{"index":0,"delta":{"content":""},"finish_reason":null}]"#,
            r#""choices":[{"index":0,"delta":{"role":"assistant","content":"c"},"finish_reason":null}]"#,
            r#""choices":[{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":""}]"#,
            r#""choices":[{"index":0,"delta":{"role":null,"content":"d"},"finish_reason":""}]"#,
            r#""choices":[{"index":0,"delta":{"content":"","reasoning_content":"e"},"finish_reason":null}]"#,
            r#""choices":[{"index":0,"delta":{"content":"f","reasoning_content":""},"finish_reason":null}]"#,
            r#""choices":[{"index":0,"delta":{"tool_calls":[{"function":{"arguments":"g"}}]}}]"#,
            r#""choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"function":{"arguments":""}}]}}]"#,
            r#""choices":[{"index":0,"delta":{"content":"h"}},{"index":1,"delta":{"content":""}}]"#,
            r#""choices":null"#,
            r#""choices":[]"#,
            r#""choices":nul"#,
            r#""usage":null"#,
            r#""usage":{"prompt_tokens":1}"#,
            r#""error":null"#,
        ];
        let mut looker = ChunkParser::default();
        for (frame, closed) in frames.iter().zip(closed) {
            let members = frame.iter().map(|part| parts[*part]).collect::<Vec<_>>().join(",");
            let text = format!("{{{members}{}", if closed { "}" } else { "" });
            proptest::prop_assert_eq!(looker.look(text.as_bytes()), look(text.as_bytes()), "{}", text);
        }
    }

    #[test]
    fn what_is_cut_leaves_json_with_the_rest_in_order(
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
        proptest::prop_assert_eq!(&keys(&repaired(&text, &repair, &mut Calls::default())), &left);
        // The short way gives the same.
        let mut out = BytesMut::new();
        push_repaired(&mut out, &event(&text), &facts_of(&text), &repair, &mut Calls::default());
        let frame = std::str::from_utf8(&out).unwrap();
        let kept = frame.strip_prefix("data: ").and_then(|rest| rest.strip_suffix("\n\n")).unwrap();
        proptest::prop_assert_eq!(keys(kept), left);
    }
}

#[test]
fn errors_are_told_from_chunks() {
    let frame = look(br#"{"error":{"message":"m","code":429}}"#).unwrap();
    let Frame::Error(Some(error)) = frame else { panic!("{frame:?}") };
    assert_eq!((error.message.as_str(), error.code.as_deref()), ("m", Some("429")));
}

#[test]
fn broken_frames_are_malformed() {
    for text in [&b"{"[..], b"", b"hello", b"[1]", b"1", b"{\"a\":\"\xff\"}", b"{\"usage\":}", b"[DONE", b"{} {}"] {
        assert_eq!(look(text), Err(Malformed), "{}", String::from_utf8_lossy(text));
    }
    assert_eq!(look(b" [DONE] "), Ok(Frame::Done));
}
