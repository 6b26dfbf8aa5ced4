//! A line of the log as one object of JSON, written straight into the line.

use std::fmt::{self, Debug, Write as _};

use jiff::Timestamp;
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::fmt::FmtContext;
use tracing_subscriber::fmt::format::{FormatEvent, FormatFields, Writer};
use tracing_subscriber::registry::LookupSpan;

/// `{"timestamp","level", the event's own fields, "target"}`, and a line end.
pub(in crate::telemetry) struct JsonLines;

impl<S, N> FormatEvent<S, N> for JsonLines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, _: &FmtContext<'_, S, N>, mut writer: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let metadata = event.metadata();
        write!(writer, "{{\"timestamp\":\"{:.6}\",\"level\":\"{}\"", Timestamp::now(), metadata.level().as_str())?;
        let mut fields = Fields { writer: writer.by_ref(), outcome: Ok(()) };
        event.record(&mut fields);
        fields.outcome?;
        writer.write_str(",\"target\":")?;
        text(&mut writer, metadata.target())?;
        writer.write_str("}\n")
    }
}

/// Writes each field as a member.
struct Fields<'a> {
    writer: Writer<'a>,
    outcome: fmt::Result,
}

impl Fields<'_> {
    fn member(&mut self, field: &Field, value: impl FnOnce(&mut Writer<'_>) -> fmt::Result) {
        // Names are written in the code: identifiers, with dots at most.
        let written = [",", "\"", field.name(), "\":"].iter().try_for_each(|part| self.writer.write_str(part));
        self.outcome = self.outcome.and(written).and_then(|()| value(&mut self.writer));
    }
}

impl Visit for Fields<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.member(field, |writer| {
            writer.write_char('"')?;
            write!(Escaped(writer), "{value:?}")?;
            writer.write_char('"')
        });
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.member(field, |writer| text(writer, value));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.member(field, |writer| write!(writer, "{value}"));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.member(field, |writer| write!(writer, "{value}"));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.member(field, |writer| writer.write_str(if value { "true" } else { "false" }));
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        // JSON has no word for the others.
        self.member(
            field,
            |writer| if value.is_finite() { write!(writer, "{value}") } else { writer.write_str("null") },
        );
    }
}

fn text(writer: &mut Writer<'_>, text: &str) -> fmt::Result {
    writer.write_char('"')?;
    Escaped(writer).write_str(text)?;
    writer.write_char('"')
}

/// Escapes what a JSON text must not hold as it is.
struct Escaped<'a, 'b>(&'a mut Writer<'b>);

impl fmt::Write for Escaped<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let mut rest = text;
        while let Some(at) = rest.bytes().position(|byte| matches!(byte, b'"' | b'\\' | 0..0x20)) {
            let (plain, special) = rest.split_at(at);
            self.0.write_str(plain)?;
            match special.as_bytes()[0] {
                b'"' => self.0.write_str("\\\"")?,
                b'\\' => self.0.write_str("\\\\")?,
                b'\n' => self.0.write_str("\\n")?,
                b'\r' => self.0.write_str("\\r")?,
                b'\t' => self.0.write_str("\\t")?,
                control => write!(self.0, "\\u{control:04x}")?,
            }
            rest = &special[1..];
        }
        self.0.write_str(rest)
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
