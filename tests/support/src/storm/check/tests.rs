//! Each check must report wrong data, and accept right data.

use super::{Case, answers, levels, records};
use crate::storm::attempts::{Attempt, SentFrame};
use crate::storm::client::Observed;
use crate::storm::fault::Fault;
use crate::storm::plan::{Behaviour, Key, Model, Plan, REPORTED, Script};
use crate::storm::records::Row;
use crate::storm::transcript::{Ending, Transcript};

const ID: usize = 7;

fn frame(name: &str, counts: bool) -> SentFrame {
    SentFrame { with_usage: format!("{name}+null"), without: Some(name.to_owned()), counts, usage: None }
}

/// A complete stream of three chunks, and its record.
fn complete() -> (Case, Row) {
    let plan = Plan { id: ID, client: Behaviour::Read, ..Plan::held(ID, Key::Alice) };
    let usage = Some((REPORTED + plan.prompt(), 10));
    let counts = SentFrame { with_usage: "usage".to_owned(), without: None, counts: false, usage };
    let attempt = Attempt {
        place: "127.0.0.1:1".to_owned(),
        script: Script::clean(0),
        frames: vec![frame("7-0-0", false), frame("7-0-1", true), frame("7-0-2", true), counts],
        body: None,
        usage,
        disturbed: false,
        held_back: false,
        over: true,
    };
    let observed = Observed {
        request_id: Some("req_7".to_owned()),
        status: Some(200),
        chunks: ["7-0-0", "7-0-1", "7-0-2"].map(str::to_owned).to_vec(),
        ending: Ending::Complete,
    };
    let row = Row {
        request_id: observed.request_id.clone(),
        key: "alice".to_owned(),
        model: "solo".to_owned(),
        target: Some("127.0.0.1:1/v1".to_owned()),
        attempts: 1,
        streamed: true,
        prompt: REPORTED + plan.prompt(),
        completion: 10,
        source: Some("exact".to_owned()),
        terminal: "completed".to_owned(),
        reason: None,
        status: 200,
    };
    (Case { plan, observed, attempts: vec![attempt] }, row)
}

/// The same stream, cut by its upstream after the text.
fn cut() -> (Case, Row) {
    let (mut case, mut row) = complete();
    case.attempts[0].script.fault = Fault::Torn;
    case.attempts[0].frames.truncate(2);
    case.attempts[0].usage = None;
    case.observed.chunks.truncate(2);
    case.observed.ending = Ending::Failed("upstream_closed".to_owned());
    (row.prompt, row.completion, row.source) = (case.plan.prompt(), 1, Some("counted".to_owned()));
    (row.terminal, row.reason) = ("failed".to_owned(), Some("upstream_closed".to_owned()));
    (case, row)
}

/// The same stream, cut after its first chunk, which the client did not get.
fn unbegun() -> (Case, Row) {
    let (mut case, mut row) = cut();
    case.attempts[0].frames.truncate(1);
    (case.observed.chunks, case.observed.status) = (Vec::new(), Some(502));
    (row.completion, row.status) = (0, 502);
    (case, row)
}

/// The complete stream, whose client left after the first chunk.
fn left() -> (Case, Row) {
    let (mut case, mut row) = complete();
    case.plan.client = Behaviour::LeaveAfter { chunks: 1, reset: true };
    case.observed.chunks.truncate(1);
    case.observed.ending = Ending::Left;
    (row.prompt, row.completion, row.source) = (case.plan.prompt(), 1, Some("counted".to_owned()));
    (row.terminal, row.status) = ("client_gone".to_owned(), 499);
    (case, row)
}

#[test]
fn correct_data_is_accepted() {
    for (case, row) in [complete(), cut(), unbegun(), left()] {
        assert_eq!(answers::check(&case), [""; 0]);
        assert_eq!(records::check(&[case], &[row]), [""; 0]);
    }
}

/// Changes a case; the check of answers must report a violation that contains `word`.
#[track_caller]
fn assert_answer_violation((mut case, _): (Case, Row), word: &str, falsify: impl FnOnce(&mut Case)) {
    falsify(&mut case);
    let found = answers::check(&case);
    assert!(found.len() == 1 && found[0].contains(word), "{word:?}: {found:#?}");
}

#[test]
fn answers_that_differ_from_what_was_sent_are_reported() {
    assert_answer_violation(complete(), "sent was", |case| case.observed.chunks[1] = "8-0-1".to_owned());
    assert_answer_violation(complete(), "sent was", |case| case.observed.chunks.swap(0, 1));
    assert_answer_violation(complete(), "sent was", |case| drop(case.observed.chunks.remove(1)));
    assert_answer_violation(complete(), "sent was", |case| case.observed.chunks.insert(1, "7-0-0".to_owned()));
    assert_answer_violation(complete(), "never sent", |case| case.observed.chunks.push("7-0-3".to_owned()));
    assert_answer_violation(complete(), "never sent", |case| case.observed.chunks.push("usage".to_owned()));
    assert_answer_violation(complete(), "2 of 3", |case| case.observed.chunks.truncate(2));
    assert_answer_violation(cut(), "1 of 2", |case| case.observed.chunks.truncate(1));
    assert_answer_violation(cut(), "0 of 2", |case| case.observed.chunks.clear());
    assert_answer_violation(cut(), "status 502 after", |case| case.observed.status = Some(502));
    assert_answer_violation(left(), "sent was", |case| case.observed.chunks[0] = "7-1-0".to_owned());
    assert_answer_violation(complete(), "sent was", |case| case.plan.include_usage = true);
    assert_answer_violation(complete(), "the body is", |case| {
        (case.plan.streamed, case.attempts[0].body) = (false, Some(("x".into(), 1)))
    });
    // A chunk of an abandoned attempt.
    assert_answer_violation(complete(), "sent was", |case| {
        let mut second = case.attempts[0].clone();
        second.frames[0].without = Some("7-1-0".to_owned());
        case.attempts.push(second);
    });
}

#[test]
fn wrong_endings_are_reported() {
    assert_answer_violation(cut(), "as if all were well", |case| case.observed.ending = Ending::Complete);
    assert_answer_violation(complete(), "without a word", |case| case.observed.ending = Ending::Cut);
    assert_answer_violation(complete(), "has left", |case| case.observed.ending = Ending::Left);
    assert_answer_violation(complete(), "was not cut", |case| case.plan.client = Behaviour::Stall);
    assert_answer_violation(cut(), "not what happened", |case| {
        case.observed.ending = Ending::Failed("upstream_malformed".to_owned())
    });
    assert_answer_violation(cut(), "not what happened", |case| {
        case.attempts[0].script.fault = Fault::Clean;
    });
    assert_answer_violation(cut(), "not what happened", |case| {
        (case.observed.chunks, case.attempts) = (Vec::new(), Vec::new())
    });
    assert_answer_violation(cut(), "after 2 chunks", |case| case.observed.status = Some(502));
    assert_answer_violation(cut(), "yet 1 upstreams", |case| {
        case.observed.status = Some(429);
        case.observed.ending = Ending::Failed("rate_limit_exceeded".to_owned());
    });
}

/// The ending of a stream of these bytes.
fn read(frames: &[&str], whole: bool) -> Ending {
    let mut transcript = Transcript::default();
    // Byte by byte: reads do not end at frames.
    frames.iter().for_each(|frame| format!("{frame}\n\n").bytes().for_each(|byte| transcript.push(&[byte])));
    transcript.ending(whole)
}

const CHUNK: &str = r#"data: {"choices":[]}"#;
const ERROR: &str = r#"data: {"error":{"message":"m","type":"t","param":null,"code":"c"}}"#;
const DONE: &str = "data: [DONE]";

#[test]
fn streams_with_a_wrong_ending_are_broken() {
    assert_eq!(read(&[CHUNK, ": beat", DONE], true), Ending::Complete);
    assert_eq!(read(&[CHUNK, ERROR, DONE], true), Ending::Failed("c".to_owned()));
    assert_eq!(read(&[CHUNK, DONE], false), Ending::Cut);
    let broken: [(&[&str], &str); 11] = [
        (&[CHUNK, DONE, DONE], "behind [DONE]"),
        (&[CHUNK, DONE, CHUNK], "behind [DONE]"),
        (&[CHUNK, DONE, ": beat"], "behind [DONE]"),
        (&[CHUNK], "without [DONE]"),
        (&[CHUNK, ERROR], "without [DONE]"),
        (&[ERROR, CHUNK, DONE], "behind the error"),
        (&[ERROR, ERROR, DONE], "behind the error"),
        (&[r#"data: {"error":{"message":"m","type":"t","param":null,"code":500}}"#, DONE], "not the shape"),
        (&["data: {\"choices\":[", DONE], "EOF"),
        (&["event: error\ndata: {}", DONE], "several lines"),
        (&["id: 1", DONE], "not a frame"),
    ];
    for (frames, word) in broken {
        let ending = read(frames, true);
        assert!(matches!(&ending, Ending::Broken(what) if what.contains(word)), "{frames:?}: {ending:?}");
        assert!(
            !answers::check(&Case { observed: Observed { ending, ..complete().0.observed }, ..complete().0 })
                .is_empty()
        );
    }
}

/// Changes records; the check of records must report a violation that contains `word`.
#[track_caller]
fn assert_records_violation((case, row): (Case, Row), word: &str, falsify: impl FnOnce(&mut Vec<Row>)) {
    let mut rows = vec![row];
    falsify(&mut rows);
    let found = records::check(&[case], &rows);
    assert!(found.iter().any(|what| what.contains(word)), "{word:?}: {found:#?}");
}

#[test]
fn wrong_records_are_reported() {
    assert_records_violation(complete(), "no usage record", Vec::clear);
    assert_records_violation(complete(), "without a request", |rows| rows.push(rows[0].clone()));
    assert_records_violation(complete(), "Alice asked Solo", |rows| "bob".clone_into(&mut rows[0].key));
    assert_records_violation(complete(), "Alice asked Solo", |rows| "pair".clone_into(&mut rows[0].model));
    assert_records_violation(complete(), "served by", |rows| rows[0].target = Some("127.0.0.1:2/v1".to_owned()));
    assert_records_violation(complete(), "attempts", |rows| rows[0].attempts = 4);
    assert_records_violation(complete(), "observed was", |rows| "failed".clone_into(&mut rows[0].terminal));
    assert_records_violation(cut(), "observed was", |rows| "completed".clone_into(&mut rows[0].terminal));
    assert_records_violation(cut(), "observed was", |rows| rows[0].reason = Some("upstream_timeout".to_owned()));
    assert_records_violation(cut(), "observed was", |rows| rows[0].status = 502);
    assert_records_violation(left(), "observed was", |rows| rows[0].status = 200);
    assert_records_violation(left(), "not how it can have ended", |rows| "shutdown".clone_into(&mut rows[0].terminal));
    assert_records_violation(limited(), "not admitted", |_| {});
}

#[test]
fn wrong_token_counts_are_reported() {
    assert_records_violation(complete(), "reports", |rows| rows[0].completion += 1);
    assert_records_violation(complete(), "reports", |rows| rows[0].prompt += 1);
    assert_records_violation(complete(), "has told", |rows| rows[0].source = Some("counted".to_owned()));
    assert_records_violation(complete(), "while it ran", |rows| rows[0].source = Some("running".to_owned()));
    assert_records_violation(complete(), "not a source", |rows| rows[0].source = None);
    assert_records_violation(cut(), "1 to 1", |rows| rows[0].completion = 2);
    assert_records_violation(cut(), "a prompt of", |rows| rows[0].prompt = 0);
    assert_records_violation(left(), "0 to 2", |rows| rows[0].completion = 3);
    assert_records_violation(left(), "reports", |rows| rows[0].source = Some("exact".to_owned()));
}

fn limited() -> (Case, Row) {
    let (mut case, row) = complete();
    case.attempts.clear();
    case.observed =
        Observed { status: Some(429), ending: Ending::Failed("rate_limit_exceeded".to_owned()), ..case.observed };
    (case, row)
}

#[test]
fn a_client_without_a_head_is_found_by_its_prompt() {
    let (mut case, mut row) = left();
    case.plan.client = Behaviour::LeaveBeforeHead { reset: false };
    (case.observed.status, case.observed.request_id) = (None, None);
    case.observed.chunks.clear();
    assert_eq!(records::check(&[case.clone()], &[row.clone()]), [""; 0]);
    row.prompt += 1;
    assert_eq!(records::check(&[case], &[row]).len(), 2, "it has none, and one is nobody's");
}

const PAGE: &str = "\
petstream_requests_in_flight 0
petstream_streams_in_flight{gen_ai_request_model=\"solo\"} 0
petstream_usage_queue_length 0
petstream_usage_records_dropped_total 0
petstream_tokens_total{gen_ai_request_model=\"solo\",gen_ai_token_type=\"input\",source=\"exact\"} 1000107
petstream_tokens_total{gen_ai_request_model=\"solo\",gen_ai_token_type=\"output\",source=\"exact\"} 10
gen_ai_server_request_duration_seconds_count{gen_ai_request_model=\"solo\",terminal=\"completed\"} 1
";

#[test]
fn resources_above_their_level_are_reported() {
    assert_eq!(levels::gauges(PAGE), [""; 0]);
    for name in ["requests_in_flight", "streams_in_flight", "usage_queue_length", "records_dropped_total"] {
        let lines = |of: &dyn Fn(&str) -> Option<String>| PAGE.lines().filter_map(of).collect::<Vec<_>>().join("\n");
        let raise = |line: &str| line.strip_suffix(" 0").map(|line| format!("{line} 1"));
        let raised = lines(&|line| if line.contains(name) { raise(line) } else { Some(line.to_owned()) });
        assert_eq!(levels::gauges(&raised).len(), 1, "{name} of 1");
        let without = lines(&|line| (!line.contains(name)).then(|| line.to_owned()));
        assert_eq!(levels::gauges(&without).len(), 1, "no {name}");
    }
    assert_eq!(levels::permits("alice", 16, 16, false), [""; 0]);
    assert_eq!(levels::permits("alice", 16, 15, true).len(), 1);
    assert_eq!(levels::permits("alice", 16, 17, false).len(), 1);
    assert_eq!(levels::permits("alice", 16, 32, true), [""; 0]);
    assert_eq!(levels::permits("alice", 16, 33, true).len(), 1);
    assert_eq!(levels::memory(1 << 30, (1 << 30) + levels::GROWTH), [""; 0]);
    assert_eq!(levels::memory(1 << 30, (1 << 30) + levels::GROWTH + 1).len(), 1);
    assert!(levels::resident().is_none_or(|bytes| bytes > 1 << 20));
}

#[test]
fn differing_sums_are_reported() {
    let (_, row) = complete();
    let spent = row.prompt + row.completion;
    assert_eq!(levels::budget(2_000_000, 2_000_000 - spent, std::slice::from_ref(&row)), [""; 0]);
    assert_eq!(levels::budget(2_000_000, 2_000_001 - spent, std::slice::from_ref(&row)).len(), 1);
    assert_eq!(levels::counters(PAGE, std::slice::from_ref(&row)), [""; 0]);
    assert_eq!(levels::counters(PAGE, &[]).len(), 3, "tokens of both kinds, and a request");
    assert_eq!(levels::counters(PAGE, &[Row { completion: 11, ..row.clone() }]).len(), 1);
    assert_eq!(levels::counters(PAGE, &[Row { terminal: "failed".to_owned(), ..row }]).len(), 2);
}

#[test]
fn an_unreachable_upstream_is_a_violation_for_a_model_without_outages() {
    for (model, objections) in [(Model::Solo, 1), (Model::Pair, 0), (Model::Tiers, 0)] {
        let (mut case, _) = cut();
        case.plan.model = model;
        (case.attempts, case.observed.chunks) = (Vec::new(), Vec::new());
        case.observed.status = Some(502);
        case.observed.ending = Ending::Failed("upstream_unreachable".to_owned());
        assert_eq!(answers::check(&case).len(), objections, "{model:?}");
    }
}
