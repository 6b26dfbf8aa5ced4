//! Usage reported by upstreams: where providers put it, and which values are accepted.

use serde_json::{Value, json};

use super::{PROMPT, ask, only, recording, stream, words};
use crate::server::Server;
use test_support::completion_stream::Ending;
use test_support::config::one_model;
use test_support::frames::{answer, first, frame, last, request, text};
use test_support::http::Request;
use test_support::upstream::{Script, Upstream};
use test_support::usage_records::Usage;

/// The usage object of 12 prompt and 34 completion tokens.
const COUNTS: &str = r#"{"prompt_tokens":12,"completion_tokens":34,"total_tokens":46}"#;

/// A stream of `a`, with these frames after its finish reason.
fn ends_with(frames: &[&str]) -> Script {
    let all = [first(), text("a"), last("stop")].into_iter().chain(frames.iter().map(|data| (*data).to_owned()));
    Script::sse(all.chain(["[DONE]".to_owned()]))
}

/// The frames of such a stream for a client that did not request usage.
fn bare() -> String {
    [first(), text("a"), last("stop"), "[DONE]".to_owned()].iter().map(|data| frame(data)).collect()
}

/// The record of one request, and what its client received.
async fn one(script: Script, more: &Value) -> (Usage, String) {
    let upstream = Upstream::start([script]).await;
    let server = recording(&upstream, "").await;
    let whole = server.ask(&ask(more)).await;
    (only(server).await, whole.text().to_owned())
}

#[tokio::test]
async fn usage_that_only_the_server_requested_is_recorded_and_hidden() {
    let with = |choices: &str| format!(r#"{{"id":"c","choices":{choices},"usage":{COUNTS}}}"#);
    for frames in [
        vec![with("[]")],
        vec![with("null")],
        vec![with("{}")],
        vec![format!(r#"{{"id":"c","usage":{COUNTS}}}"#)],
        vec![with(r#"[{"index":0,"delta":{}}]"#)],
        vec![with(r#"[{"index":0,"delta":{"content":""},"finish_reason":null}]"#)],
        vec![with(r#"[{"index":0,"delta":{"content":""},"finish_reason":"stop"}]"#)],
        vec![with(r#"[{"index":0,"delta":{"role":"assistant","content":null},"finish_reason":"stop"}]"#)],
        vec![with("[]"), with("[]"), with("null")],
        vec![with("[]").replace("34", "30"), with("[]")],
    ] {
        let frames: Vec<&str> = frames.iter().map(String::as_str).collect();
        let (record, seen) = one(ends_with(&frames), &json!({"stream": true})).await;
        assert_eq!(record.counts(), (12, 34, Some("exact")), "{frames:?}");
        assert_eq!(seen, bare(), "{frames:?}");
    }
}

#[tokio::test]
async fn usage_beside_text_or_an_end_is_cut_out_and_the_rest_stays() {
    let with = |data: String| data.replacen('{', &format!(r#"{{"usage":{COUNTS},"#), 1);
    for frames in [
        [first(), text("a"), with(last("stop"))],
        [first(), with(text("a")), last("stop")],
        [with(first()), text("a"), last("stop")],
    ] {
        let script = Script::sse(frames.clone().into_iter().chain(["[DONE]".to_owned()]));
        let (record, seen) = one(script, &json!({"stream": true})).await;
        assert_eq!((record.counts(), seen), ((12, 34, Some("exact")), bare()), "{frames:?}");
    }
}

#[tokio::test]
async fn choices_may_follow_their_usage() {
    let counts = format!(r#"{{"choices":[],"usage":{COUNTS}}}"#);
    let script = Script::sse([first(), counts, text("a"), last("stop"), "[DONE]".to_owned()]);
    let (record, seen) = one(script, &json!({"stream": true})).await;
    assert_eq!((record.counts(), seen), ((12, 34, Some("exact")), bare()));
}

#[tokio::test]
async fn usage_on_a_text_chunk_is_moved_to_a_chunk_of_its_own_for_a_client_that_requested_it() {
    let more = json!({"stream": true, "stream_options": {"include_usage": true}});
    for choices in [r#""choices":[],"#, r#""choices":null,"#, ""] {
        let counts = format!(r#"{{"id":"c",{choices}"usage":{COUNTS}}}"#);
        let (record, seen) = one(ends_with(&[&counts]), &more).await;
        assert_eq!(record.counts(), (12, 34, Some("exact")));
        let shown: Vec<Value> =
            seen.lines().filter_map(|line| serde_json::from_str(line.strip_prefix("data: ")?).ok()).collect();
        let last = shown.last().unwrap();
        assert_eq!((&last["choices"], last["usage"].to_string()), (&json!([]), COUNTS.to_owned()), "{choices}");
    }
}

#[tokio::test]
async fn zero_usage_does_not_replace_counts() {
    let counts = |prompt: u64, completion: u64| {
        json!({"choices": [], "usage": {"prompt_tokens": prompt, "completion_tokens": completion}}).to_string()
    };
    for (frames, told) in [
        (vec![counts(12, 34), counts(0, 0)], (12, 34, Some("exact"))),
        (vec![counts(0, 0), counts(12, 34)], (12, 34, Some("exact"))),
        (vec![counts(12, 0), counts(0, 34)], (12, 34, Some("exact"))),
        (vec![counts(0, 0)], (PROMPT, 1, Some("counted"))),
        (vec![counts(12, 0)], (12, 1, Some("counted"))),
    ] {
        let frames: Vec<&str> = frames.iter().map(String::as_str).collect();
        let (record, seen) = one(ends_with(&frames), &json!({"stream": true})).await;
        assert_eq!((record.counts(), seen), (told, bare()), "{frames:?}");
    }
}

#[tokio::test]
async fn impossible_counts_are_not_believed_and_limits_stay_sane() {
    let counts = |completion: &str| {
        format!(r#"{{"choices":[],"usage":{{"prompt_tokens":12,"completion_tokens":{completion}}}}}"#)
    };
    // `max_tokens` of one, with two choices; or as many as the model allows.
    let asked = json!({"stream": true, "max_tokens": 4, "n": 2});
    let any = json!({"stream": true});
    for (completion, more, told) in [
        ("4294967295", &any, (PROMPT, 1, Some("counted"))),
        ("18446744073709551615", &any, (PROMPT, 1, Some("counted"))),
        ("10000001", &any, (PROMPT, 1, Some("counted"))),
        ("9", &asked, (PROMPT, 1, Some("counted"))),
        ("8", &asked, (12, 8, Some("exact"))),
        ("-34", &any, (12, 1, Some("counted"))),
        ("3.4", &any, (12, 1, Some("counted"))),
        (r#""34""#, &any, (12, 1, Some("counted"))),
        ("18446744073709551616", &any, (12, 1, Some("counted"))),
    ] {
        let upstream = Upstream::start([ends_with(&[&counts(completion)])]).await;
        let limits = "limits: {per_key: {tokens_per_minute: 1000}}\n";
        let server = Server::start_on_disk(&(one_model(&upstream, "") + limits)).await;
        assert_eq!(server.ask(&ask(more)).await.status, 200);
        let peek = server.ask(&Request::chat(&request(&json!({"messages": []})))).await;
        let left = (1000 - told.0 - told.1).to_string();
        assert_eq!(peek.header("x-ratelimit-remaining-tokens"), Some(&*left), "{completion}");
        assert_eq!(only(server).await.counts(), told, "{completion}");
    }
}

#[tokio::test]
async fn of_a_cut_stream_the_larger_of_reported_and_counted_tokens_is_recorded() {
    for (told, counts) in [(3, (12, 5, Some("counted"))), (70, (12, 70, Some("running")))] {
        let with = json!({"prompt_tokens": 12, "completion_tokens": told}).to_string();
        let second = text("word ").replacen('{', &format!(r#"{{"usage":{with},"#), 1);
        let script = words(3).frame(&second).frame(&text("word "));
        let (record, _) = one(script.close(), &json!({"stream": true})).await;
        assert_eq!(record.counts(), counts);
        assert_eq!(record.ending(), ("failed", Some("upstream_closed"), 200));
    }
}

#[tokio::test]
async fn usage_is_read_where_providers_put_it() {
    let choice = |usage: &str| last("stop").replace(r#""index":0"#, &format!(r#""index":0,"usage":{usage}"#));
    for end in [
        vec![choice(COUNTS)],
        vec![last("stop").replacen('{', &format!(r#"{{"x_groq":{{"id":"r","usage":{COUNTS}}},"#), 1)],
        vec![last("stop"), r#"{"choices":[],"usage":{"input_tokens":12,"output_tokens":34}}"#.to_owned()],
    ] {
        let script = Script::sse([first(), text("a")].into_iter().chain(end.clone()).chain(["[DONE]".to_owned()]));
        let (record, _) = one(script, &json!({"stream": true})).await;
        assert_eq!(record.counts(), (12, 34, Some("exact")), "{end:?}");
    }
    let body =
        answer("hi").replace(r#""usage":{"prompt_tokens":3,"completion_tokens":2,"total_tokens":5}"#, r#""x":1"#);
    let choice = body.replace(r#""index":0"#, &format!(r#""index":0,"usage":{COUNTS}"#));
    let groq = body.replace(r#""x":1"#, &format!(r#""x_groq":{{"usage":{COUNTS}}}"#));
    for body in [choice, groq] {
        let (record, seen) = one(Script::json(200, &body), &json!({})).await;
        assert_eq!((record.counts(), seen), ((12, 34, Some("exact")), body));
    }
}

#[tokio::test]
async fn an_empty_finish_reason_does_not_end_a_choice() {
    for reason in [r#""""#, "0", "{}", "false"] {
        let says = |word: &str| text(word).replace(r#""finish_reason":null"#, &format!(r#""finish_reason":{reason}"#));
        let upstream = Upstream::start([Script::sse([says("a"), says("b"), says("c")]).close()]).await;
        let server = recording(&upstream, "").await;
        let transcript = server.ask(&stream()).await.transcript();
        assert!(
            matches!(&transcript.ending, Ending::Failed(error) if error["code"] == "upstream_closed"),
            "{transcript:?}"
        );
        assert_eq!((transcript.text(0).as_str(), transcript.finish_reason(0)), ("abc", None));
        let record = only(server).await;
        assert_eq!(record.counts(), (PROMPT, 3, Some("counted")), "{reason}");
        assert_eq!(record.ending(), ("failed", Some("upstream_closed"), 200), "{reason}");
    }
}

#[tokio::test]
async fn text_is_counted_wherever_there_is_text() {
    let chunk = |delta: Value, reason: Option<&str>| {
        json!({"id": "c", "choices": [{"index": 0, "delta": delta, "finish_reason": reason}]}).to_string()
    };
    let both = json!({"id": "c", "choices": [
        {"index": 0, "delta": {"content": "a"}, "finish_reason": null},
        {"index": 1, "delta": {"role": "assistant", "content": "b"}, "finish_reason": null},
    ]});
    let frames = [
        first(),
        chunk(json!({"reasoning_content": "a"}), None),
        chunk(json!({"content": ""}), None),
        chunk(json!({"refusal": "a"}), None),
        chunk(json!({"tool_calls": [{"index": 0, "function": {"arguments": "{}"}}]}), None),
        chunk(json!({"function_call": {"arguments": "{}"}}), None),
        chunk(json!({"audio": {"transcript": "a"}}), None),
        both.to_string(),
        chunk(json!({"content": "a"}), Some("stop")),
    ];
    let (record, _) = one(Script::sse(frames).close(), &json!({"stream": true, "n": 2})).await;
    assert_eq!((record.counts(), record.terminal.as_str()), ((PROMPT, 8, Some("counted")), "failed"));
}

#[tokio::test]
async fn a_malformed_plain_answer_costs_nothing() {
    for body in [
        r#"{"choices":[{"index":0,"message":{"content":"a"}}],"error":{"message":"No."},"usage":{"prompt_tokens":9}}"#,
        r#"{"choices":[],"usage":{"prompt_tokens":9,"completion_tokens":9}}"#,
        r#"{"choices":null}"#,
        "{}",
    ] {
        let (record, _) = one(Script::json(200, body), &json!({})).await;
        assert_eq!((record.counts(), record.status), ((0, 0, None), 502), "{body}");
    }
    for stream in ["event: ping\ndata: {}\n\n", "data: [DONE]\n\n"] {
        let (record, _) =
            one(Script::stream().chunk(format!("{stream}data: [DONE]\n\n")).end(), &json!({"stream": true})).await;
        assert_eq!((record.counts(), record.status), ((0, 0, None), 502), "{stream}");
    }
}

#[tokio::test]
async fn an_answer_without_text_has_no_tokens() {
    let silent =
        json!({"choices": [{"index": 0, "message": {"role": "assistant", "content": ""}, "finish_reason": "stop"}]});
    let (record, _) = one(Script::json(200, &silent.to_string()), &json!({})).await;
    assert_eq!(record.counts(), (PROMPT, 0, Some("estimated")));
    let mut told = silent;
    told["usage"] = json!({"prompt_tokens": 12, "completion_tokens": 0});
    let (record, _) = one(Script::json(200, &told.to_string()), &json!({})).await;
    assert_eq!(record.counts(), (12, 0, Some("exact")));
}
