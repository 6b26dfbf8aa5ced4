//! Lines of JSON as a reader of the log finds them.

use std::io::{self, Write};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};
use tracing::Level;
use tracing_subscriber::layer::SubscriberExt as _;

use super::json::BUFFER;
use super::line_buffer::LineBuffer;
use super::*;
use crate::telemetry::record::{Attempt, Facts, Source, Terminal};
use crate::wire::operation::Operation;

/// Keeps what is written; clones share it.
#[derive(Clone, Default)]
pub(super) struct SharedOutput(Arc<Mutex<Vec<u8>>>);

impl SharedOutput {
    pub(super) fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl Write for SharedOutput {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn logged(log: impl FnOnce()) -> Vec<Value> {
    let output = SharedOutput::default();
    let writer = LogWriter::to(output.clone(), true, lost_as_json).unwrap();
    let subscriber = tracing_subscriber::registry().with(JsonLines(writer.clone()));
    tracing::subscriber::with_default(subscriber, log);
    drop(writer.flush_on_drop());
    output.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn a_line_is_an_object_with_every_field_in_its_type() {
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
fn the_line_of_a_request_equals_its_event() {
    let attempt =
        |target: &str, outcome, ms| Attempt { target: target.into(), outcome, duration: Duration::from_millis(ms) };
    let full = Facts {
        client: Some("2001:db8::7".parse().unwrap()),
        key: Some("k".into()),
        operation: Some(Operation::Embeddings),
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
        // As text, which includes the order of the fields.
        assert_eq!(direct.to_string(), event.to_string());
        assert_eq!(direct["target"], "petstream::layer::observe");
        assert_eq!(direct["ms"], micros as f64 / 1e3);
    }
}

#[test]
fn filters_apply_to_the_line_of_a_request() {
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
    for (filter, expected) in [
        ("info", 1),
        ("warn", 0),
        ("petstream=info", 1),
        ("info,petstream::layer=off", 0),
        ("[{terminal}]=info", 1),
        ("[{nothing}]=info", 0),
    ] {
        let output = SharedOutput::default();
        let writer = LogWriter::to(output.clone(), true, lost_as_json).unwrap();
        let filter = tracing_subscriber::EnvFilter::new(filter);
        let subscriber = tracing_subscriber::registry().with(filter).with(JsonLines(writer.clone()));
        tracing::subscriber::with_default(subscriber, || line("/").log());
        drop(writer.flush_on_drop());
        assert_eq!(output.text().lines().count(), expected);
    }
}

#[test]
fn decimals_are_formatted_as_by_serde_json() {
    let mut numbers = vec![0.0, -0.0, 1e15, 1e12, 999_999_999_999.999, 1e-3, 5e-4, 0.1 + 0.2, -1.5, 1e300, 5e-324];
    numbers.extend([f64::MAX, f64::EPSILON, f64::INFINITY, f64::NEG_INFINITY, f64::NAN]);
    numbers.extend((0..5_000).map(|number| f64::from(number) / 1e3));
    numbers.extend((0..5_000).map(|number| f64::from(number) * 1_234.567));
    for number in numbers {
        let mut buffer = LineBuffer::default();
        buffer.decimal(number);
        assert_eq!(buffer.line, serde_json::to_vec(&number).unwrap(), "{number:e}");
    }
}

#[test]
fn the_timestamp_has_microseconds_and_follows_the_clock() {
    let micros = |time: Timestamp| time.as_microsecond();
    let mut buffer = LineBuffer::default();
    for second in [None, Some(1_i64), Some(-1)] {
        // The first line; then the cached second is behind, and ahead (the clock was set back).
        let before = micros(Timestamp::now());
        if let Some(off) = second {
            buffer.second = buffer.second.saturating_add_signed(off);
        }
        buffer.line.clear();
        buffer.now();
        let after = micros(Timestamp::now());
        let text = std::str::from_utf8(&buffer.line).unwrap();
        assert_eq!((text.len(), text.ends_with('Z')), ("2026-01-01T00:00:00.000000Z".len(), true), "{text}");
        let logged = micros(text.parse().unwrap());
        assert!(before <= logged && logged <= after, "{before} {text} {after}");
    }
}

#[test]
fn a_value_that_logs_while_it_is_formatted_has_a_line_of_its_own() {
    let all = logged(|| {
        BUFFER.with(|buffer| {
            let mut outer = buffer.borrow_mut();
            outer.begin(Level::INFO);
            tracing::info!("inner");
            outer.end("outer");
            assert!(serde_json::from_slice::<Value>(&outer.line).is_ok());
        });
    });
    assert_eq!(all.iter().map(|line| &line["message"]).collect::<Vec<_>>(), ["inner"]);
}
