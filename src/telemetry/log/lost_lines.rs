//! The line that stands in the place of lines that were lost.

use jiff::Timestamp;
use tracing::Level;

use super::line_buffer::LineBuffer;

/// The line's `target`. Filters do not apply to it.
const TARGET: &str = "petstream::telemetry::log";

/// A warning that `count` lines are missing, as a line of text.
pub(in crate::telemetry) fn lost_as_text(count: u64, why: &str) -> Vec<u8> {
    format!("{:.6}  WARN {TARGET}: {why} lines={count}\n", Timestamp::now()).into_bytes()
}

/// A warning that `count` lines are missing, as a line of JSON.
pub(in crate::telemetry) fn lost_as_json(count: u64, why: &str) -> Vec<u8> {
    let mut buffer = LineBuffer::default();
    buffer.begin(Level::WARN);
    buffer.text("message", why);
    buffer.name("lines");
    buffer.integer(count);
    buffer.end(TARGET);
    buffer.line
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn lost_lines_are_reported_as_text() {
        let line = String::from_utf8(lost_as_text(7, "why")).unwrap();
        let (time, rest) = line.split_once(' ').unwrap();
        assert!(time.parse::<Timestamp>().is_ok(), "{line}");
        assert_eq!(rest, " WARN petstream::telemetry::log: why lines=7\n");
    }

    #[test]
    fn lost_lines_are_reported_as_json() {
        let line: Value = serde_json::from_slice(&lost_as_json(7, "why")).unwrap();
        assert_eq!((&line["lines"], &line["message"], &line["level"]), (&json!(7), &json!("why"), &json!("WARN")));
        assert_eq!(line["target"], "petstream::telemetry::log");
    }
}
