//! Parsing of single chunks and of streams of chunks.

mod repairs;

use super::parser::MAX_HEAD;
use super::*;

fn parse(data: &[u8]) -> Result<ParsedFrame, Malformed> {
    ChunkParser::default().parse(data)
}

fn completion(body: &[u8]) -> Result<ParsedFrame, Malformed> {
    parse_completion(body, ChoiceShape::Message).map(|completion| completion.frame)
}

fn choices(all: &[u64]) -> ChoiceSet {
    all.iter().copied().collect()
}

#[test]
fn a_chunk_that_differs_in_text_only_decodes_alike_and_any_other_is_parsed() {
    let chunk = |text: &str, rest: &str| {
        format!(r#"{{"choices":[{{"index":2,"delta":{{"content":{text}}},"finish_reason":null}}]{rest}}}"#)
    };
    let mut parser = ChunkParser::default();
    let mut parse = |text: &str, rest: &str| parser.parse(chunk(text, rest).as_bytes());
    let usual = parse("\"a\"", r#","usage":null"#).unwrap();
    let ParsedFrame::Chunk(facts) = &usual else { panic!("{usual:?}") };
    assert!(facts.null_usage && facts.seen == choices(&[2]) && facts.tokens == 1);
    assert_eq!(parse("\"finish_reason\\\":1\"", r#","usage":null"#).unwrap(), usual);
    assert_eq!(parse("\"b\"", r#","usage":nul"#), Err(Malformed));
    let Ok(ParsedFrame::Chunk(facts)) = parse("\"\"", r#","usage":null"#) else { panic!() };
    assert_eq!(facts.tokens, 0, "no text, no token");
    let Ok(ParsedFrame::Chunk(facts)) = parse("\"b\"", r#","usage":{"prompt_tokens":1}"#) else { panic!() };
    assert!(facts.usage.is_some());
    assert_eq!(parse("\"c\"", r#","usage":null"#).unwrap(), usual);
    assert!(matches!(parse("\"c\"", r#","error":{"message":"m"}"#), Ok(ParsedFrame::Error(Some(_)))));
}

#[test]
fn the_beginning_of_a_chunk_is_kept_unless_it_is_long() {
    let chunk = |id: usize| format!(r#"{{"id":"{}","choices":[]}}"#, "x".repeat(id));
    let mut parser = ChunkParser::default();
    for (id, kept) in [(8, 27), (MAX_HEAD, 0), (1 << 20, 0), (9, 28)] {
        assert!(parser.parse(chunk(id).as_bytes()).is_ok());
        assert_eq!((parser.head.len(), parser.head.capacity() <= MAX_HEAD), (kept, true), "{id}");
    }
}

fn chunk(text: &str) -> DecodedChunk {
    match parse(text.as_bytes()).unwrap() {
        ParsedFrame::Chunk(facts) => facts,
        other => panic!("{text}: {other:?}"),
    }
}

/// A chunk of choice 0 with this delta.
fn delta(delta: &str) -> DecodedChunk {
    chunk(&format!(r#"{{"choices":[{{"index":0,"delta":{delta},"finish_reason":null}}]}}"#))
}

#[test]
fn text_is_one_token_and_nothing_else() {
    let expected = DecodedChunk { has_choices: true, seen: choices(&[0]), tokens: 1, ..DecodedChunk::default() };
    assert_eq!(delta(r#"{"content":"\"usage\": \"error\":1"}"#), expected);
}

#[test]
fn generated_text_is_a_token_wherever_it_is() {
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
        assert_eq!((chunk(&last).tokens, chunk(&last).finished), (1, choices(&[0])), "{text}");
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
    assert_eq!((chunk(two).tokens, chunk(two).seen), (2, choices(&[0, 1, 2])));
    // Some servers repeat the text so far beside the delta.
    let repeated = r#"{"choices":[{"index":0,"delta":{"content":""},"message":{"content":"all of it"}}]}"#;
    assert_eq!(chunk(repeated).tokens, 0);
}

#[test]
fn only_a_finish_reason_that_is_a_string_and_not_empty_finishes_a_choice() {
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
        assert_eq!(
            (facts.finished, facts.nonstandard_finish),
            (choices(if ends { &[1] } else { &[] }), odd),
            "{reason}"
        );
    }
}

#[test]
fn usage_is_found_wherever_it_is() {
    let counts = r#"{"prompt_tokens":3,"completion_tokens":4,"total_tokens":7}"#;
    let usage = Some(Usage { prompt_tokens: 3, completion_tokens: 4 });
    for (text, seen, has_usage) in [
        (format!(r#"{{"choices":[],"usage":{counts}}}"#), choices(&[]), true),
        (format!(r#"{{"choices":null,"usage":{counts}}}"#), choices(&[]), true),
        (format!(r#"{{"usage":{counts}}}"#), choices(&[]), true),
        (format!(r#"{{"choices":[{{"index":0,"delta":{{}}}}],"usage":{counts}}}"#), choices(&[0]), true),
        (format!(r#"{{"choices":[{{"index":0,"delta":{{}},"usage":{counts}}}]}}"#), choices(&[0]), false),
        (format!(r#"{{"choices":[],"x_groq":{{"id":"r","usage":{counts}}}}}"#), choices(&[]), false),
        (
            format!(r#"{{"choices":[],"usage":{counts},"x_groq":{{"usage":{{"completion_tokens":1}}}}}}"#),
            choices(&[]),
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

#[test]
fn null_members_of_the_chunk_itself_are_noticed() {
    assert!(chunk(r#"{"choices":[{"index":0,"delta":{"content":"a"}}],"usage":null}"#).null_usage);
    assert!(chunk(r#"{"usage":null,"choices":[]}"#).null_usage);
    assert!(!chunk(r#"{"choices":[{"usage":null}]}"#).null_usage);
    assert!(chunk(r#"{"error":null,"choices":[]}"#).null_error);
}

#[test]
fn errors_in_other_shapes_are_errors() {
    for text in [r#"{"object":"error","message":"m","code":400}"#, r#"{"detail":"m"}"#] {
        let frame = parse(text.as_bytes()).unwrap();
        assert!(matches!(frame, ParsedFrame::Error(Some(ref error)) if error.message == "m"), "{frame:?}");
    }
    for text in
        [r#"{"ping":1}"#, r#"{"type":"ping"}"#, "{}", r#"{"choices":null}"#, r#"{"choices":{}}"#, r#"{"usage":null}"#]
    {
        assert_eq!(parse(text.as_bytes()), Ok(ParsedFrame::Other), "{text}");
    }
}

#[test]
fn an_object_with_an_error_is_an_error_streamed_or_not() {
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
        for frame in [parse(error.as_bytes()), completion(error.as_bytes())] {
            assert!(matches!(&frame, Ok(ParsedFrame::Error(Some(body))) if body.message == "m"), "{error}: {frame:?}");
        }
    }
    let silent = format!(r#"{{"choices":[{{{text},"finish_reason":"error"}}]}}"#);
    for error in [&*silent, r#"{"choices":[],"error":{}}"#, r#"{"choices":[],"error":false}"#] {
        assert_eq!(parse(error.as_bytes()), Ok(ParsedFrame::Error(None)), "{error}");
        assert_eq!(completion(error.as_bytes()), Ok(ParsedFrame::Error(None)), "{error}");
    }
    let fine = format!(r#"{{"choices":[{{{text},"error":null,"finish_reason":"stop"}}],"error":null}}"#);
    for frame in [parse(fine.as_bytes()), completion(fine.as_bytes())] {
        assert!(matches!(&frame, Ok(ParsedFrame::Chunk(facts)) if facts.tokens == 1), "{frame:?}");
    }
}

proptest::proptest! {
    #[test]
    fn a_frame_parses_alike_whatever_came_before(
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
        let mut parser = ChunkParser::default();
        for (frame, closed) in frames.iter().zip(closed) {
            let members = frame.iter().map(|part| parts[*part]).collect::<Vec<_>>().join(",");
            let text = format!("{{{members}{}", if closed { "}" } else { "" });
            proptest::prop_assert_eq!(parser.parse(text.as_bytes()), parse(text.as_bytes()), "{}", text);
        }
    }
}

#[test]
fn an_error_object_is_an_error() {
    let frame = parse(br#"{"error":{"message":"m","code":429}}"#).unwrap();
    let ParsedFrame::Error(Some(error)) = frame else { panic!("{frame:?}") };
    assert_eq!((error.message.as_str(), error.code.as_deref()), ("m", Some("429")));
}

#[test]
fn frames_that_are_no_json_objects_are_malformed() {
    for text in [&b"{"[..], b"", b"hello", b"[1]", b"1", b"{\"a\":\"\xff\"}", b"{\"usage\":}", b"[DONE", b"{} {}"] {
        assert_eq!(parse(text), Err(Malformed), "{}", String::from_utf8_lossy(text));
    }
    assert_eq!(parse(b" [DONE] "), Ok(ParsedFrame::Done));
}

#[test]
fn the_text_of_a_text_completion_is_found() {
    let mut parser = ChunkParser::new(ChoiceShape::Text);
    let chunk = |text: &str, reason: &str| {
        format!(
            "{{\"id\":\"c\",\"object\":\"text_completion\",\"choices\":[{{\"text\":\"{text}\",\"index\":0,\"logprobs\":null,\
             \"finish_reason\":{reason}}}],\"usage\":null}}"
        )
    };
    let mut facts = |text: &str, reason: &str| match parser.parse(chunk(text, reason).as_bytes()) {
        Ok(ParsedFrame::Chunk(facts)) => (facts.tokens, facts.finished.len(), facts.null_usage),
        other => panic!("{other:?}"),
    };
    assert_eq!(facts("a", "null"), (1, 0, true));
    // Equal to the template of the chunk before, then not.
    assert_eq!(facts("bcd \\n", "null"), (1, 0, true));
    assert_eq!(facts("", "null"), (0, 0, true));
    assert_eq!(facts("", "\"length\""), (0, 1, true));
    // Each operation has its own member.
    assert_eq!(
        parse(chunk("a", "null").as_bytes())
            .map(|frame| matches!(frame, ParsedFrame::Chunk(facts) if facts.tokens == 0)),
        Ok(true)
    );
    let last = last_chunk(chunk("a", "null").as_bytes(), ChoiceShape::Text, 3).unwrap();
    assert!(last.contains(r#""choices":[{"index":3,"text":"","logprobs":null,"finish_reason":"length"}]"#), "{last}");
}
