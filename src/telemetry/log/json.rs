//! A line of the log as one object of JSON, written straight into the line.

use std::cell::RefCell;
use std::fmt::{self, Debug, Write as _};

use jiff::Timestamp;
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::fmt::FmtContext;
use tracing_subscriber::fmt::format::{FormatEvent, FormatFields, Writer};
use tracing_subscriber::registry::LookupSpan;

use crate::wire::scan::special;

/// `{"timestamp","level", the event's own fields, "target"}`, and a line end.
pub(in crate::telemetry) struct JsonLines;

thread_local! {
    /// Where a line is put together: to write it piece by piece would pass each through three layers.
    static LINE: RefCell<String> = const { RefCell::new(String::new()) };
}

impl<S, N> FormatEvent<S, N> for JsonLines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, _: &FmtContext<'_, S, N>, mut writer: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        // Something that logs while it is logged finds it taken, and makes one of its own.
        LINE.with(|line| match line.try_borrow_mut() {
            Ok(mut line) => {
                line.clear();
                push_event(&mut line, event)?;
                writer.write_str(&line)
            }
            Err(_) => {
                let mut line = String::new();
                push_event(&mut line, event)?;
                writer.write_str(&line)
            }
        })
    }
}

fn push_event(line: &mut String, event: &Event<'_>) -> fmt::Result {
    let metadata = event.metadata();
    write!(line, "{{\"timestamp\":\"{:.6}\",\"level\":\"", Timestamp::now())?;
    line.push_str(metadata.level().as_str());
    line.push('"');
    let mut fields = Fields { line, outcome: Ok(()) };
    event.record(&mut fields);
    fields.outcome?;
    line.push_str(",\"target\":");
    push_text(line, metadata.target());
    line.push_str("}\n");
    Ok(())
}

/// Writes each field as a member.
struct Fields<'a> {
    line: &'a mut String,
    outcome: fmt::Result,
}

impl Fields<'_> {
    fn name(&mut self, field: &Field) {
        // Names are written in the code: identifiers, with dots at most.
        self.line.push_str(",\"");
        self.line.push_str(field.name());
        self.line.push_str("\":");
    }

    fn write(&mut self, field: &Field, value: fmt::Arguments<'_>) {
        self.name(field);
        self.outcome = self.outcome.and(self.line.write_fmt(value));
    }
}

impl Visit for Fields<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.name(field);
        self.line.push('"');
        self.outcome = self.outcome.and(write!(Escaped(self.line), "{value:?}"));
        self.line.push('"');
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.name(field);
        push_text(self.line, value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.write(field, format_args!("{value}"));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.write(field, format_args!("{value}"));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.write(field, format_args!("{value}"));
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        if value.is_finite() {
            self.write(field, format_args!("{value}"));
        } else {
            // JSON has no word for it.
            self.write(field, format_args!("null"));
        }
    }
}

fn push_text(line: &mut String, text: &str) {
    line.push('"');
    push_escaped(line, text);
    line.push('"');
}

/// Escapes what a JSON text must not hold as it is.
fn push_escaped(line: &mut String, mut rest: &str) {
    while let Some(at) = special(rest.as_bytes(), 0) {
        line.push_str(&rest[..at]);
        match rest.as_bytes()[at] {
            b'"' => line.push_str("\\\""),
            b'\\' => line.push_str("\\\\"),
            b'\n' => line.push_str("\\n"),
            b'\r' => line.push_str("\\r"),
            b'\t' => line.push_str("\\t"),
            control => line.push_str(&format!("\\u{control:04x}")),
        }
        rest = &rest[at + 1..];
    }
    line.push_str(rest);
}

struct Escaped<'a>(&'a mut String);

impl fmt::Write for Escaped<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        push_escaped(self.0, text);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use serde_json::{Value, json};
    use tracing_subscriber::fmt::SubscriberBuilder;

    use super::*;

    fn logged(log: impl FnOnce()) -> Vec<Value> {
        let lines = Arc::new(Mutex::new(Vec::new()));
        let out = Arc::clone(&lines);
        struct Out(Arc<Mutex<Vec<u8>>>);
        impl std::io::Write for Out {
            fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
                self.0.lock().unwrap().extend_from_slice(bytes);
                Ok(bytes.len())
            }
            fn flush(&mut self) -> std::io::Result<()> {
                Ok(())
            }
        }
        let subscriber =
            SubscriberBuilder::default().event_format(JsonLines).with_writer(move || Out(Arc::clone(&out))).finish();
        tracing::subscriber::with_default(subscriber, log);
        let text = String::from_utf8(lines.lock().unwrap().clone()).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
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
                model = odd,
                none = None::<u64>,
                "request"
            );
            tracing::warn!(%error, retried = true, wait = ?std::time::Duration::from_secs(1), "one {}", odd);
        });
        let [one, other] = &all[..] else { panic!("{all:?}") };
        let expected = json!({ "level": "INFO", "status": 200, "ms": 1.25, "gone": null, "down": -3, "model": odd,
            "message": "request", "target": module_path!(), "timestamp": one["timestamp"] });
        assert_eq!(one, &expected);
        assert!(one["timestamp"].as_str().unwrap().parse::<Timestamp>().is_ok());
        assert_eq!((&other["error"], &other["retried"], &other["wait"]), (&json!(odd), &json!(true), &json!("1s")));
        assert_eq!(other["message"], format!("one {odd}"));
    }
}
