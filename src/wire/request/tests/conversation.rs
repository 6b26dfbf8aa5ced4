//! The hash of the conversation of a request.

use super::*;
use crate::wire::operation::Operation::{self, Chat, Completions, Embeddings, Messages, Responses};
use crate::wire::parse_request;

/// The conversation of a request for `model` with these members.
fn of(operation: Operation, members: &str) -> Option<u64> {
    let body = format!(r#"{{"model":"other","max_tokens":1,{members}}}"#);
    parse_request(operation, body.into(), &RULES).unwrap_or_else(|error| panic!("{members}: {error:?}")).conversation(1)
}

#[test]
fn what_names_a_conversation_is_used_before_its_prompt() {
    const A: &str = r#""messages":[{"role":"user","content":"a"}]"#;
    const B: &str = r#""messages":[{"role":"user","content":"b"}]"#;
    let same = |operation, one: &str, other: &str| {
        let [one, other] = [one, other].map(|members| of(operation, members));
        assert!(one.is_some());
        one == other
    };
    for name in ["prompt_cache_key", "user", "safety_identifier"] {
        let named = |name: &str, value: &str, prompt| format!(r#""{name}":{value},{prompt}"#);
        assert!(same(Chat, &named(name, r#""x""#, A), &named(name, r#""x""#, B)), "{name}");
        assert!(!same(Chat, &named(name, r#""x""#, A), &named(name, r#""y""#, A)), "{name}");
        for no_name in ["null", r#""""#, "7"] {
            assert!(same(Chat, &named(name, no_name, A), A), "{name} {no_name}");
        }
    }
    let both = |key: &str, user: &str| format!(r#""user":"{user}","prompt_cache_key":"{key}",{A}"#);
    assert!(same(Chat, &both("x", "1"), &both("x", "2")));
    assert!(!same(Chat, &both("x", "1"), &both("y", "1")));
    let user = |id: &str, prompt| format!(r#""metadata":{id},{prompt}"#);
    assert!(same(Messages, &user(r#"{"user_id":"x"}"#, A), &user(r#"{"a":1,"user_id":"x"}"#, B)));
    assert!(!same(Messages, &user(r#"{"user_id":"x"}"#, A), &user(r#"{"user_id":"y"}"#, A)));
    assert!(same(Messages, &user(r#"{"user_id":""}"#, A), A));
    let input = |conversation: &str, text: &str| format!(r#""conversation":{conversation},"input":"{text}""#);
    assert!(same(Responses, &input(r#""c1""#, "a"), &input(r#"{"id":"c1"}"#, "b")));
    assert!(same(Completions, r#""prompt":"a","user":"x""#, r#""prompt":"b","user":"x""#));
}

#[test]
fn all_turns_of_a_conversation_are_one_and_others_are_not() {
    for (operation, turns, other) in [
        (
            Chat,
            [
                r#""messages":[{"role":"system","content":"s"},{"role":"user","content":"a"}]"#,
                r#""messages":[{"role":"system","content":"s"},{"content":"a","role":"user"},
                    {"role":"assistant","content":"b"},{"role":"user","content":"c"}]"#,
                r#""messages":[{"role":"developer","content":"s"},{"role":"user","content":[{"type":"text","text":"a"}]},
                    {"role":"user","content":"d"}]"#,
            ],
            r#""messages":[{"role":"system","content":"t"},{"role":"user","content":"a"}]"#,
        ),
        (
            Responses,
            [
                r#""instructions":"s","input":"a""#,
                r#""input":[{"role":"user","content":"a"},{"type":"reasoning","summary":[]},{"role":"user",
                    "content":"c"}],"instructions":"s""#,
                r#""input":[{"role":"developer","content":"s"},{"type":"message","role":"user",
                    "content":[{"type":"input_text","text":"a"}]}]"#,
            ],
            r#""instructions":"s","input":"b""#,
        ),
        (
            Messages,
            [
                r#""system":"s","messages":[{"role":"user","content":"a"}]"#,
                r#""system":[{"type":"text","text":"s"}],"messages":[{"role":"user",
                    "content":[{"type":"text","text":"a","cache_control":{"type":"ephemeral"}}]}]"#,
                r#""system":"s","messages":[{"role":"user","content":[{"type":"text","text":"a"}]},
                    {"role":"assistant","content":"b"},{"role":"user","content":"c"}]"#,
            ],
            r#""messages":[{"role":"user","content":"a"}]"#,
        ),
    ] {
        let [first, second, third] = turns.map(|members| of(operation, members));
        assert!(first.is_some() && first == second && first == third, "{operation:?}");
        let other = of(operation, other);
        assert!(other.is_some() && other != first, "{operation:?}");
    }
}

#[test]
fn long_prompts_are_told_apart_by_their_ends() {
    let request = |system: &str, user: &str| {
        let messages = format!(
            r#""messages":[{{"role":"system","content":"{system}"}},{{"role":"user","content":"{user}"}},{{"role":"user","content":"z"}}]"#
        );
        of(Chat, &messages)
    };
    let long = "é".repeat(100_000);
    assert_ne!(request(&long, "a"), request(&long, "b"));
    assert_ne!(request("s", &format!("{long}a")), request("s", &format!("{long}b")));
    // The first user message begins beyond what is searched.
    let longer = "é".repeat(200_000);
    assert_eq!(request(&longer, "a"), request(&longer, "b"));
    assert!(request(&longer, "a").is_some());
    assert_ne!(request(&longer, "a"), request(&format!("x{longer}"), "a"));
}

#[test]
fn some_requests_are_of_no_conversation() {
    assert_eq!(of(Embeddings, r#""input":"a","user":"x""#), None);
    assert_eq!(of(Completions, r#""prompt":"a""#), None);
    assert_eq!(of(Responses, r#""previous_response_id":"resp_1","input":[]"#), None);
    assert_eq!(of(Chat, r#""messages":[{"role":"assistant","content":"a"}]"#), None);
}

#[test]
fn the_seed_and_nothing_else_changes_the_hash() {
    let request = parse(r#"{"model":"other","user":"x","messages":[{"role":"user","content":"a"}]}"#).unwrap();
    let expected = xxhash_rust::xxh3::xxh3_64_with_seed(br#""x""#, 7);
    assert_eq!([request.conversation(7), request.clone().conversation(7)], [Some(expected); 2]);
    assert_ne!(request.conversation(8), Some(expected));
}
