//! Chunks as upstreams send them, one by one and one after the other.

use super::*;
use crate::wire::sse::Decoder;

fn look(data: &[u8], depth: Depth) -> Result<Frame, Malformed> {
    Looker::new(depth).look(data)
}

#[test]
fn a_chunk_like_the_one_before_says_the_same_and_one_that_is_not_is_read() {
    let chunk = |text: &str, rest: &str| {
        format!(r#"{{"choices":[{{"index":2,"delta":{{"content":{text}}},"finish_reason":null}}]{rest}}}"#)
    };
    for depth in [Depth::Keys, Depth::Choices] {
        let mut looker = Looker::new(depth);
        let mut look = |text: &str, rest: &str| looker.look(chunk(text, rest).as_bytes());
        let usual = look("\"a\"", r#","usage":null"#).unwrap();
        let Frame::Chunk(facts) = &usual else { panic!("{usual:?}") };
        assert!(facts.null_usage && facts.seen == if depth == Depth::Keys { vec![] } else { vec![2] });
        assert_eq!(look("\"finish_reason\\\":1\"", r#","usage":null"#).unwrap(), usual);
        assert_eq!(look("\"b\"", r#","usage":nul"#), Err(Malformed));
        let Ok(Frame::Chunk(facts)) = look("\"b\"", r#","usage":{"prompt_tokens":1}"#) else { panic!() };
        assert!(facts.usage.is_some());
        assert_eq!(look("\"c\"", r#","usage":null"#).unwrap(), usual);
        assert!(matches!(look("\"c\"", r#","error":{"message":"m"}"#), Ok(Frame::Error(Some(_)))));
    }
}

#[test]
fn the_beginning_of_a_chunk_is_kept_for_the_next_one_unless_it_is_long() {
    let chunk = |id: usize| format!(r#"{{"id":"{}","choices":[]}}"#, "x".repeat(id));
    let mut looker = Looker::new(Depth::Keys);
    for (id, kept) in [(8, 27), (MOST_HEAD, 0), (1 << 20, 0), (9, 28)] {
        assert!(looker.look(chunk(id).as_bytes()).is_ok());
        assert_eq!((looker.head.len(), looker.head.capacity() <= MOST_HEAD), (kept, true), "{id}");
    }
}

fn chunk(text: &str) -> Facts {
    match look(text.as_bytes(), Depth::Keys).unwrap() {
        Frame::Chunk(facts) => facts,
        other => panic!("{text}: {other:?}"),
    }
}

#[test]
fn a_piece_of_text_has_nothing_to_tell() {
    let text = r#"{"choices":[{"index":0,"delta":{"content":"\"usage\": \"error\":1"},"finish_reason":null}]}"#;
    assert_eq!(chunk(text), Facts::default());
}

#[test]
fn the_end_of_a_choice_is_seen_with_any_white_space() {
    let facts = chunk(r#"{"choices":[{"index":1,"delta":{},"finish_reason" :  "stop"}]}"#);
    assert_eq!((facts.finished, facts.seen), (vec![1], vec![]));
    let each = look(br#"{"choices":[{"index":1},{"index":0}]}"#, Depth::Choices).unwrap();
    assert_eq!(each, Frame::Chunk(Facts { seen: vec![1, 0], ..Facts::default() }));
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
fn counts_are_whole_numbers_that_stand_once() {
    let both = |prompt_tokens, completion_tokens| Some(Usage { prompt_tokens, completion_tokens });
    for (usage, read) in [
        (r#"{"prompt_tokens":3,"completion_tokens":4,"total_tokens":7,"details":{"prompt_tokens":9}}"#, both(3, 4)),
        (r#"{ "completion_tokens" : 4 , "prompt_tokens" : 18446744073709551615 }"#, both(u64::MAX, 4)),
        (r#"{"prompt\u005ftokens":3,"completion_tokens":0}"#, both(3, 0)),
        (r#"{"prompt_tokens":3}"#, both(3, 0)),
        (r#"{"prompt_tokens":null,"completion_tokens":4}"#, both(0, 4)),
        (r#"{"prompt_tokens":null,"completion_tokens":null}"#, None),
        (r#"{"prompt_tokens":3,"prompt_tokens":3,"completion_tokens":4}"#, None),
        (r#"{"prompt_tokens":3,"completion_tokens":4.0}"#, None),
        (r#"{"prompt_tokens":-3,"completion_tokens":4}"#, None),
        (r#"{"prompt_tokens":18446744073709551616,"completion_tokens":4}"#, None),
        (r#"{"prompt_tokens":"3","completion_tokens":4}"#, None),
        ("{}", None),
        ("null", None),
        ("7", None),
    ] {
        assert_eq!(read_usage(usage), read, "{usage}");
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
        push_without(&mut out, &event(text), &chunk(text), true);
        assert_eq!(out, format!("data: {kept}\n\n"), "{text}");
    }
    assert_eq!(without(r#"{"error":null,"usage":null}"#, false), r#"{"usage":null}"#);
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
        let frame = look(text.as_bytes(), Depth::Keys).unwrap();
        assert!(matches!(frame, Frame::Error(Some(ref error)) if error.message == "m"), "{frame:?}");
    }
    assert_eq!(look(br#"{"ping":1}"#, Depth::Keys), Ok(Frame::Chunk(Facts::default())));
}

proptest::proptest! {
    #[test]
    fn what_came_before_changes_nothing_of_what_a_frame_says(
        frames in proptest::collection::vec(proptest::collection::vec(0_usize..11, 0..6), 1..8),
        closed in proptest::collection::vec(proptest::bool::weighted(0.9), 8),
        depth in proptest::sample::select(vec![Depth::Keys, Depth::Choices]),
    ) {
        let parts = [
            r#""id":"a""#,
            r#""id":"b""#,
            r#" "model" : "m""#,
            r#""choices":[{"index":0,"delta":{"content":"a"},"finish_reason":null}]"#,
            r#""choices":[{"index":0,"delta":{"content":"b\""},"finish_reason":null}]"#,
            r#""choices":[{"index":1,"delta":{},"finish_reason":"stop"}]"#,
            r#""choices":[]"#,
            r#""choices":nul"#,
            r#""usage":null"#,
            r#""usage":{"prompt_tokens":1}"#,
            r#""error":null"#,
        ];
        let mut looker = Looker::new(depth);
        for (frame, closed) in frames.iter().zip(closed) {
            let members = frame.iter().map(|part| parts[*part]).collect::<Vec<_>>().join(",");
            let text = format!("{{{members}{}", if closed { "}" } else { "" });
            proptest::prop_assert_eq!(looker.look(text.as_bytes()), look(text.as_bytes(), depth), "{}", text);
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
        proptest::prop_assert_eq!(&keys(&without(&text, usage)), &left);
        // The short way gives the same.
        let mut out = BytesMut::new();
        push_without(&mut out, &event(&text), &chunk(&text), usage);
        let frame = std::str::from_utf8(&out).unwrap();
        let kept = frame.strip_prefix("data: ").and_then(|rest| rest.strip_suffix("\n\n")).unwrap();
        proptest::prop_assert_eq!(keys(kept), left);
    }
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
