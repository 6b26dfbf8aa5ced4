//! Quirks of providers: an answer of each, and what the client gets. The table is that of `src/wire/quirks.rs`.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use serde_json::{Value, json};

use crate::server::Server;
use test_support::config::one_model;
use test_support::frames::{frame, request};
use test_support::http::Request;
use test_support::upstream::{Script, Upstream};

/// The result for a client.
enum Gets {
    /// An error with this status and code, and a message that contains this text.
    Error(u16, Option<&'static str>, &'static str),
    /// A stream of these choices, each with index, delta and finish reason; then `[DONE]`.
    Stream(&'static [(u64, &'static str, &'static str)]),
    /// As [`Gets::Stream`], with the upstream's usage in the record: 12 and 34 tokens.
    Counted(&'static [(u64, &'static str, &'static str)]),
    /// These choices, and then an error with this code.
    Broken(&'static [(u64, &'static str, &'static str)], &'static str),
}

use Gets::{Broken, Counted, Error, Stream};

const OVERFLOW: Option<&str> = Some("context_length_exceeded");
const ROLE: (u64, &str, &str) = (0, r#"{"role":"assistant","content":""}"#, "null");
const A: (u64, &str, &str) = (0, r#"{"content":"a"}"#, "null");
const STOP: (u64, &str, &str) = (0, "{}", r#""stop""#);
const USUAL: &[(u64, &str, &str)] = &[ROLE, A, STOP];
const NAMED: (u64, &str, &str) = (0, r#"{"role":"assistant","content":"a"}"#, "null");
const OTHER: [(u64, &str, &str); 3] = [(1, ROLE.1, "null"), (1, A.1, "null"), (1, "{}", r#""stop""#)];

const TABLE: &[(&str, Gets)] = &[
    ("overflow_llamacpp", Error(400, OVERFLOW, "exceeds the available context size")),
    ("overflow_vllm", Error(400, OVERFLOW, "maximum context length is 6048")),
    ("overflow_ollama", Error(400, OVERFLOW, "the input length exceeds")),
    ("overflow_anthropic", Error(400, OVERFLOW, "prompt is too long")),
    ("overflow_mistral", Error(400, OVERFLOW, "too large for model")),
    ("overflow_gemini", Error(400, OVERFLOW, "The input token count")),
    ("overflow_xai", Error(400, OVERFLOW, "maximum prompt length")),
    ("overflow_in_stream", Error(400, OVERFLOW, "tokens to keep")),
    ("error_number_code", Error(400, None, "No.")),
    ("error_list", Error(400, None, "No.")),
    ("error_detail_list", Error(422, None, "Field required")),
    ("error_in_choice", Error(502, Some("upstream_error"), "Provider returned error")),
    ("error_finish", Broken(&[ROLE, A], "upstream_error")),
    ("error_as_events", Error(400, None, "No.")),
    ("events_as_json", Stream(USUAL)),
    ("events_as_bytes", Stream(USUAL)),
    ("events_unlabelled", Stream(USUAL)),
    ("comments", Stream(USUAL)),
    ("ping", Stream(USUAL)),
    ("filter_chunk", Stream(USUAL)),
    ("role_missing", Stream(&[NAMED, A, STOP])),
    ("role_repeated", Stream(&[NAMED, A, STOP])),
    ("content_null", Stream(&[(0, r#"{"role":"assistant","content":null}"#, "null"), A, STOP])),
    (
        "call_unnumbered",
        Stream(&[
            (
                0,
                r#"{"role":"assistant","tool_calls":[{"index":0,"id":"a","type":"function","function":{"name":"f","arguments":"{}"}},{"index":1,"id":"b","type":"function","function":{"name":"g","arguments":"{}"}}]}"#,
                "null",
            ),
            (
                0,
                r#"{"tool_calls":[{"index":2,"id":"c","type":"function","function":{"name":"h","arguments":"{}"}}]}"#,
                "null",
            ),
            (0, "{}", r#""tool_calls""#),
        ]),
    ),
    ("finish_empty", Stream(USUAL)),
    ("finish_own", Stream(&[ROLE, A, (0, "{}", r#""length""#)])),
    ("choice_order", Stream(&[ROLE, OTHER[0], OTHER[1], A, OTHER[2], STOP])),
    ("usage_null_choices", Counted(USUAL)),
    ("usage_on_finish", Counted(&[ROLE, A, (0, r#"{"content":""}"#, r#""stop""#)])),
    ("usage_in_choice", Counted(USUAL)),
    ("usage_groq", Counted(USUAL)),
    ("usage_anthropic", Counted(USUAL)),
];

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// The choices of a stream's frames up to an error or `[DONE]`, and the error's code.
fn read(text: &str) -> (Vec<(u64, String, String)>, Option<String>) {
    let mut choices = Vec::new();
    for data in text.lines().filter_map(|line| line.strip_prefix("data: ")).filter(|data| *data != "[DONE]") {
        let value: Value = serde_json::from_str(data).unwrap();
        if let Some(error) = value.get("error") {
            return (choices, Some(error["code"].as_str().unwrap().to_owned()));
        }
        assert!(value.get("usage").is_none(), "usage that was not asked for: {data}");
        for choice in value["choices"].as_array().unwrap() {
            let index = choice["index"].as_u64().unwrap();
            choices.push((index, choice["delta"].to_string(), choice["finish_reason"].to_string()));
        }
    }
    (choices, None)
}

fn owned(choices: &[(u64, &str, &str)]) -> Vec<(u64, String, String)> {
    choices.iter().map(|(index, delta, reason)| (*index, (*delta).to_owned(), (*reason).to_owned())).collect()
}

#[tokio::test]
async fn each_provider_is_understood() {
    for (name, gets) in TABLE {
        let bytes = fs::read(root().join(format!("fixtures/quirks/{name}.http"))).unwrap();
        let upstream = Upstream::start([Script::new().write(bytes).close()]).await;
        let server = Server::start_on_disk(&one_model(&upstream, "")).await;
        let n = if *name == "choice_order" { 2 } else { 1 };
        let answer = server.ask(&Request::chat(&request(&json!({"stream": true, "n": n})))).await;
        let records = server.records().await;
        match gets {
            Error(status, code, message) => {
                let error = answer.error(*status);
                assert_eq!(error["code"].as_str(), *code, "{name}: {error}");
                assert!(error["message"].as_str().unwrap().contains(message), "{name}: {error}");
                assert_eq!(records[0].counts(), (0, 0, None), "{name}");
            }
            Stream(choices) | Counted(choices) => {
                assert_eq!(read(answer.text()), (owned(choices), None), "{name}");
                assert!(answer.text().ends_with(&frame("[DONE]")), "{name}");
                if matches!(gets, Counted(_)) {
                    assert_eq!(records[0].counts(), (12, 34, Some("exact")), "{name}");
                }
            }
            Broken(choices, code) => {
                assert_eq!(read(answer.text()), (owned(choices), Some((*code).to_owned())), "{name}");
            }
        }
    }
}

#[test]
fn each_row_of_the_table_has_its_fixture() {
    let text = fs::read_to_string(root().join("src/wire/quirks.rs")).unwrap();
    let rows = text.lines().filter_map(|line| line.strip_prefix("//! | `")?.split('|').next());
    let named: BTreeSet<&str> =
        rows.flat_map(|cell| cell.split(['`', ',', ' ']).filter(|name| !name.is_empty())).collect();
    let files = fs::read_dir(root().join("fixtures/quirks")).unwrap();
    let files: BTreeSet<String> =
        files.map(|file| file.unwrap().path().file_stem().unwrap().to_str().unwrap().to_owned()).collect();
    let tested: BTreeSet<String> = TABLE.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(files, tested);
    let row = |name: &str| if name.starts_with("overflow_") { "overflow_*".to_owned() } else { name.to_owned() };
    assert_eq!(
        files.iter().map(|name| row(name)).collect::<BTreeSet<_>>(),
        named.into_iter().map(str::to_owned).collect()
    );
}
