//! A line of the log as one object of JSON, written straight into the line.
//!
//! Every request has a line, so it has to be cheap: no tree, no text in between, no calendar more than once a second.

use std::cell::RefCell;
use std::fmt::{self, Debug, Write as _};
use std::time::{Duration, SystemTime};

use jiff::Timestamp;
use serde::Serialize;
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

use super::Lines;
use crate::wire::scan::special;

/// Logs `{"timestamp","level", the event's own fields, "target"}` and a line end, to lines.
pub(in crate::telemetry) struct JsonLines(pub(in crate::telemetry) Lines);

impl<S: Subscriber> Layer<S> for JsonLines {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let level = *event.metadata().level();
        DRAFT.with(|draft| match draft.try_borrow_mut() {
            Ok(mut draft) => self.0.add_of(level, draft.event(event)),
            // Something that logs while it is logged makes a draft of its own.
            Err(_) => self.0.add_of(level, Draft::default().event(event)),
        });
    }
}

/// Says, as a line, that so many are missing.
pub(in crate::telemetry) fn lost(count: u64, why: &str) -> Vec<u8> {
    let mut draft = Draft::default();
    draft.begin(Level::WARN);
    draft.name("message");
    draft.text(why);
    draft.name("lines");
    draft.number(&count);
    draft.end(super::TARGET);
    draft.line
}

thread_local! {
    static DRAFT: RefCell<Draft> = RefCell::default();
}

/// Most room that a draft keeps, bytes.
const ROOM: usize = 8 << 10;

/// Where a line is put together; one for each thread, which knows the second that it is.
#[derive(Default)]
struct Draft {
    line: Vec<u8>,
    /// Since 1970.
    second: u64,
    /// That second in words, without the `Z`; empty: not known yet.
    time: String,
}

impl Draft {
    fn event(&mut self, event: &Event<'_>) -> &[u8] {
        let metadata = event.metadata();
        self.begin(*metadata.level());
        event.record(self);
        self.end(metadata.target());
        &self.line
    }

    fn begin(&mut self, level: Level) {
        self.line.clear();
        self.line.shrink_to(ROOM);
        self.line.extend_from_slice(b"{\"timestamp\":\"");
        self.now();
        self.line.extend_from_slice(b"\",\"level\":\"");
        self.line.extend_from_slice(level.as_str().as_bytes());
        self.line.push(b'"');
    }

    /// Where it was logged is written in the code, too.
    fn end(&mut self, target: &str) {
        self.line.extend_from_slice(b",\"target\":\"");
        self.line.extend_from_slice(target.as_bytes());
        self.line.extend_from_slice(b"\"}\n");
    }

    /// The time, to the microsecond.
    fn now(&mut self) {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        if self.second != now.as_secs() || self.time.is_empty() {
            self.second = now.as_secs();
            self.time.clear();
            let second = Timestamp::UNIX_EPOCH.saturating_add(Duration::from_secs(self.second));
            // Writing to a string does not fail, and all seconds can be added to 1970.
            let _ = write!(self.time, "{:.0}", second.unwrap_or_default());
            self.time.truncate(self.time.len().saturating_sub(1));
        }
        self.line.extend_from_slice(self.time.as_bytes());
        let mut fraction = *b".000000Z";
        let mut micros = now.subsec_micros();
        for digit in fraction[1..7].iter_mut().rev() {
            *digit += (micros % 10) as u8;
            micros /= 10;
        }
        self.line.extend_from_slice(&fraction);
    }

    /// Names are written in the code: identifiers, with dots at most.
    fn name(&mut self, name: &str) {
        self.line.extend_from_slice(b",\"");
        self.line.extend_from_slice(name.as_bytes());
        self.line.extend_from_slice(b"\":");
    }

    fn text(&mut self, text: &str) {
        self.line.push(b'"');
        self.escaped(text);
        self.line.push(b'"');
    }

    fn escaped(&mut self, text: &str) {
        let mut rest = text.as_bytes();
        while let Some(at) = special(rest, 0) {
            self.line.extend_from_slice(&rest[..at]);
            match rest[at] {
                b'"' => self.line.extend_from_slice(b"\\\""),
                b'\\' => self.line.extend_from_slice(b"\\\\"),
                b'\n' => self.line.extend_from_slice(b"\\n"),
                b'\r' => self.line.extend_from_slice(b"\\r"),
                b'\t' => self.line.extend_from_slice(b"\\t"),
                control => self.line.extend_from_slice(format!("\\u{control:04x}").as_bytes()),
            }
            rest = &rest[at + 1..];
        }
        self.line.extend_from_slice(rest);
    }

    /// A number, or null for what JSON has no word for; a truth.
    fn number(&mut self, number: &impl Serialize) {
        // Writing to memory does not fail.
        let _ = serde_json::to_writer(&mut self.line, number);
    }
}

impl Visit for Draft {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.name(field.name());
        self.line.push(b'"');
        // What fails halfway is logged as far as it came.
        let _ = write!(Escaped(self), "{value:?}");
        self.line.push(b'"');
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.name(field.name());
        self.text(value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.name(field.name());
        self.number(&value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.name(field.name());
        self.number(&value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.name(field.name());
        self.number(&value);
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.name(field.name());
        self.number(&value);
    }
}

struct Escaped<'a>(&'a mut Draft);

impl fmt::Write for Escaped<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.escaped(text);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use tracing_subscriber::layer::SubscriberExt as _;

    use super::super::tests::Heard;
    use super::*;

    fn logged(log: impl FnOnce()) -> Vec<Value> {
        let heard = Heard::default();
        let lines = Lines::to(heard.clone(), true, lost).unwrap();
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
    fn the_time_is_when_it_was_logged_to_the_microsecond() {
        let micros = |time: Timestamp| time.as_microsecond();
        let mut draft = Draft::default();
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
}
