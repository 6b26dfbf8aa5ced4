//! Lines as whoever reads the log finds them.

use serde_json::{Value, json};
use tracing_subscriber::layer::SubscriberExt as _;

use super::super::tests::Heard;
use super::*;

fn logged(log: impl FnOnce()) -> Vec<Value> {
    let heard = Heard::default();
    let lines = LogWriter::to(heard.clone(), true, lost).unwrap();
    let subscriber = tracing_subscriber::registry().with(JsonLines(lines.clone()));
    tracing::subscriber::with_default(subscriber, log);
    drop(lines.flushed_at_the_end());
    heard.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn a_line_is_an_object_with_every_field_as_what_it_is() {
    let odd = "a \"b\"\\ \n\r\t\u{1} é";
    let all = logged(|| {
        let error = std::io::Error::other(odd);
        tracing::info!(
            status = 200_u16,
            ms = 1.25,
            gone = f64::NAN,
            down = -3,
            most = u64::MAX,
            model = odd,
            none = None::<u64>,
            "request"
        );
        tracing::warn!(%error, retried = true, wait = ?std::time::Duration::from_secs(1), "one {}", odd);
    });
    let [one, other] = &all[..] else { panic!("{all:?}") };
    let expected = json!({ "level": "INFO", "status": 200, "ms": 1.25, "gone": null, "down": -3, "most": u64::MAX,
        "model": odd, "message": "request", "target": module_path!(), "timestamp": one["timestamp"] });
    assert_eq!(one, &expected);
    assert_eq!((&other["error"], &other["retried"], &other["wait"]), (&json!(odd), &json!(true), &json!("1s")));
    assert_eq!(other["message"], format!("one {odd}"));
}

#[test]
fn the_line_of_a_request_is_its_event() {
    let attempt =
        |target: &str, outcome, ms| Attempt { target: target.into(), outcome, duration: Duration::from_millis(ms) };
    let full = Facts {
        key: Some("k".into()),
        model: Some("a \"model\"\n".into()),
        target: Some("b".into()),
        attempts: vec![attempt("a", "unreachable", 2), attempt("b\t", "ok", 31)],
        first_token: Some(Duration::from_millis(33)),
        prompt_tokens: 7,
        completion_tokens: u64::MAX,
        source: Some(Source::Counted),
        terminal: Some(Terminal::ClientGone),
        failure: None,
    };
    for (facts, failure, micros) in [(Facts::default(), None, 1_250), (full, Some("why\\"), 7)] {
        let line = RequestLine {
            request_id: "req_1",
            method: "POST",
            path: "/v1/chat/completions?\u{7f}é",
            status: 499,
            took: Duration::from_nanos(micros * 1_000 + 499),
            facts: &facts,
            failure,
        };
        let all = logged(|| {
            line.log();
            line.event();
        });
        let [mut direct, mut event] = <[Value; 2]>::try_from(all).unwrap();
        for line in [&mut direct, &mut event] {
            line["timestamp"].take();
        }
        // As text: in the same order.
        assert_eq!(direct.to_string(), event.to_string());
        assert_eq!(direct["target"], "petstream::layer::observe");
        assert_eq!(direct["ms"], micros as f64 / 1e3);
    }
}

#[test]
fn a_filter_holds_back_the_line_of_a_request() {
    let facts = Facts::default();
    let line = |path| RequestLine {
        request_id: "req_1",
        method: "GET",
        path,
        status: 200,
        took: Duration::ZERO,
        facts: &facts,
        failure: None,
    };
    for (filter, heard) in [
        ("info", 1),
        ("warn", 0),
        ("petstream=info", 1),
        ("info,petstream::layer=off", 0),
        ("[{terminal}]=info", 1),
        ("[{nothing}]=info", 0),
    ] {
        let written = Heard::default();
        let lines = LogWriter::to(written.clone(), true, lost).unwrap();
        let filter = tracing_subscriber::EnvFilter::new(filter);
        let subscriber = tracing_subscriber::registry().with(filter).with(JsonLines(lines.clone()));
        tracing::subscriber::with_default(subscriber, || line("/").log());
        drop(lines.flushed_at_the_end());
        assert_eq!(written.text().lines().count(), heard);
    }
}

#[test]
fn decimals_are_written_as_json_has_them() {
    let mut numbers = vec![0.0, -0.0, 1e15, 1e12, 999_999_999_999.999, 1e-3, 5e-4, 0.1 + 0.2, -1.5, 1e300, 5e-324];
    numbers.extend([f64::MAX, f64::EPSILON, f64::INFINITY, f64::NEG_INFINITY, f64::NAN]);
    numbers.extend((0..5_000).map(|number| f64::from(number) / 1e3));
    numbers.extend((0..5_000).map(|number| f64::from(number) * 1_234.567));
    for number in numbers {
        let mut draft = LineBuffer::default();
        draft.decimal(number);
        assert_eq!(draft.line, serde_json::to_vec(&number).unwrap(), "{number:e}");
    }
}

#[test]
fn the_time_is_when_it_was_logged_to_the_microsecond() {
    let micros = |time: Timestamp| time.as_microsecond();
    let mut draft = LineBuffer::default();
    for second in [None, Some(1_i64), Some(-1)] {
        // As it is at the first line, within a second, and when another one has begun, or it has been set back.
        let before = micros(Timestamp::now());
        if let Some(off) = second {
            draft.second = draft.second.saturating_add_signed(off);
        }
        draft.line.clear();
        draft.now();
        let after = micros(Timestamp::now());
        let text = std::str::from_utf8(&draft.line).unwrap();
        assert_eq!((text.len(), text.ends_with('Z')), ("2026-01-01T00:00:00.000000Z".len(), true), "{text}");
        let logged = micros(text.parse().unwrap());
        assert!(before <= logged && logged <= after, "{before} {text} {after}");
    }
}

#[test]
fn something_that_logs_while_it_is_logged_has_a_line_of_its_own() {
    let all = logged(|| {
        DRAFT.with(|draft| {
            let mut outer = draft.borrow_mut();
            outer.begin(Level::INFO);
            tracing::info!("inner");
            outer.end("outer");
            assert!(serde_json::from_slice::<Value>(&outer.line).is_ok());
        });
    });
    assert_eq!(all.iter().map(|line| &line["message"]).collect::<Vec<_>>(), ["inner"]);
}

#[test]
fn what_is_missing_is_a_line_too() {
    let line: Value = serde_json::from_slice(&lost(7, "why")).unwrap();
    assert_eq!((&line["lines"], &line["message"], &line["level"]), (&json!(7), &json!("why"), &json!("WARN")));
    assert_eq!(line["target"], "petstream::telemetry::log");
}
