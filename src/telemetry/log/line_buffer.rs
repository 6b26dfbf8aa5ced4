//! Formats one line of the log as a JSON object, directly into a buffer.
//!
//! Every request has a line, so formatting must be cheap: no tree of values, no intermediate strings, and one
//! conversion of the time to a calendar date a second.

use std::fmt::{self, Debug, Write as _};
use std::io::Write as _;
use std::net::IpAddr;
use std::time::Duration;

use jiff::Timestamp;
use tracing::field::{Field, Visit};
use tracing::{Event, Level};

use super::request_line::{RequestLine, TARGET, whole_ms};
use crate::telemetry::record::{Attempt, Facts, Source, Terminal};
use crate::wire::operation::Operation;
use crate::wire::scan::find_special;

/// Capacity that a buffer keeps between lines, bytes.
const MAX_KEPT_CAPACITY: usize = 8 << 10;

/// A line while it is formatted. Reused, it formats the date again only when the second has changed.
#[derive(Default)]
pub(super) struct LineBuffer {
    /// The line, with its line end after [`LineBuffer::end`].
    pub(super) line: Vec<u8>,
    /// The second of the last line, since 1970.
    pub(super) second: u64,
    /// That second as `2026-01-31T12:00:00`; empty before the first line.
    time: String,
}

impl LineBuffer {
    /// Formats an event.
    pub(super) fn event(&mut self, event: &Event<'_>) {
        let metadata = event.metadata();
        self.begin(*metadata.level());
        event.record(self);
        self.end(metadata.target());
    }

    /// Formats the line of a request: the fields of its event, in the same order.
    pub(super) fn request(&mut self, request: &RequestLine<'_>) {
        let Facts { client, key, operation, model, target, source, terminal, .. } = request.facts;
        self.begin(Level::INFO);
        self.string_member(b",\"message\":\"request\",\"request_id\":\"", Some(request.request_id));
        self.string_member(b",\"method\":\"", Some(request.method));
        self.string_member(b",\"path\":\"", Some(request.path));
        self.integer_member(b",\"status\":", Some(request.status.into()));
        self.line.extend_from_slice(b",\"ms\":");
        self.decimal(request.ms());
        self.address_member(b",\"client\":\"", *client);
        self.string_member(b",\"key\":\"", key.as_deref());
        self.string_member(b",\"operation\":\"", operation.map(Operation::name));
        self.string_member(b",\"model\":\"", model.as_deref());
        self.string_member(b",\"upstream\":\"", target.as_deref());
        self.attempts(&request.facts.attempts);
        self.integer_member(b",\"first_token_ms\":", request.facts.first_token.map(whole_ms));
        self.integer_member(b",\"prompt_tokens\":", source.map(|_| request.facts.prompt_tokens));
        self.integer_member(b",\"completion_tokens\":", source.map(|_| request.facts.completion_tokens));
        self.string_member(b",\"usage\":\"", source.map(Source::name));
        self.string_member(b",\"terminal\":\"", terminal.map(Terminal::name));
        self.string_member(b",\"failure\":\"", request.failure);
        self.end(TARGET);
    }

    /// Writes a member that is an address, if there is one; `prefix` as of a string.
    fn address_member(&mut self, prefix: &[u8], address: Option<IpAddr>) {
        let Some(address) = address else { return };
        self.line.extend_from_slice(prefix);
        match address {
            IpAddr::V4(address) => {
                let [first, others @ ..] = address.octets();
                self.integer(first);
                for octet in others {
                    self.line.push(b'.');
                    self.integer(octet);
                }
            }
            IpAddr::V6(address) => {
                // A vector takes all that is written to it.
                let _ = write!(self.line, "{address}");
            }
        }
        self.line.push(b'"');
    }

    /// Writes attempts as `a:unreachable:2ms b:ok:31ms`.
    fn attempts(&mut self, attempts: &[Attempt]) {
        let mut separator: &[u8] = b",\"attempts\":\"";
        for Attempt { target, outcome, duration } in attempts {
            self.line.extend_from_slice(separator);
            self.escaped(target);
            self.line.push(b':');
            self.escaped(outcome);
            self.line.push(b':');
            self.integer(whole_ms(*duration));
            self.line.extend_from_slice(b"ms");
            separator = b" ";
        }
        if !attempts.is_empty() {
            self.line.push(b'"');
        }
    }

    /// Writes a member that is a string, if there is one. `prefix` is everything up to the opening quote of the value.
    /// Inlined, so that the length of the prefix is a constant and it is copied in a few instructions.
    #[inline(always)]
    fn string_member(&mut self, prefix: &[u8], text: Option<&str>) {
        if let Some(text) = text {
            self.line.extend_from_slice(prefix);
            self.escaped(text);
            self.line.push(b'"');
        }
    }

    /// As [`LineBuffer::string_member`], for an integer: `prefix` ends with the colon.
    #[inline(always)]
    fn integer_member(&mut self, prefix: &[u8], number: Option<u64>) {
        if let Some(number) = number {
            self.line.extend_from_slice(prefix);
            self.integer(number);
        }
    }

    /// Begins a line: its time and level.
    pub(super) fn begin(&mut self, level: Level) {
        self.line.clear();
        self.line.shrink_to(MAX_KEPT_CAPACITY);
        self.line.extend_from_slice(b"{\"timestamp\":\"");
        self.now();
        self.line.extend_from_slice(match level {
            Level::ERROR => b"\",\"level\":\"ERROR\"",
            Level::WARN => b"\",\"level\":\"WARN\"",
            Level::INFO => b"\",\"level\":\"INFO\"",
            Level::DEBUG => b"\",\"level\":\"DEBUG\"",
            Level::TRACE => b"\",\"level\":\"TRACE\"",
        });
    }

    /// Ends a line. `target` is a path of the code and needs no escaping.
    pub(super) fn end(&mut self, target: &str) {
        self.line.extend_from_slice(b",\"target\":\"");
        self.line.extend_from_slice(target.as_bytes());
        self.line.extend_from_slice(b"\"}\n");
    }

    /// Writes the present time in UTC, to the microsecond.
    pub(super) fn now(&mut self) {
        let now = Timestamp::now();
        // A clock before 1970 is shown as 1970.
        let second = u64::try_from(now.as_second()).unwrap_or_default();
        if self.second != second || self.time.is_empty() {
            self.second = second;
            self.time.clear();
            let second = Timestamp::UNIX_EPOCH.saturating_add(Duration::from_secs(self.second));
            // Writing to a string can't fail; the fraction and the `Z` are written below.
            let _ = write!(self.time, "{:.0}", second.unwrap_or_default());
            self.time.truncate(self.time.len().saturating_sub(1));
        }
        self.line.extend_from_slice(self.time.as_bytes());
        let mut fraction = *b".000000Z";
        let mut micros = now.subsec_microsecond().unsigned_abs();
        for digit in fraction[1..7].iter_mut().rev() {
            *digit += (micros % 10) as u8;
            micros /= 10;
        }
        self.line.extend_from_slice(&fraction);
    }

    /// Begins a member. Its name is an identifier of the code, perhaps with dots, and needs no escaping.
    pub(super) fn name(&mut self, name: &str) {
        self.line.extend_from_slice(b",\"");
        self.line.extend_from_slice(name.as_bytes());
        self.line.extend_from_slice(b"\":");
    }

    /// Writes a member that is a string.
    pub(super) fn text(&mut self, name: &str, text: &str) {
        self.line.extend_from_slice(b",\"");
        self.line.extend_from_slice(name.as_bytes());
        self.line.extend_from_slice(b"\":\"");
        self.escaped(text);
        self.line.push(b'"');
    }

    /// Writes a string, escaped. It is copied first and searched then, since nearly no string needs escaping.
    fn escaped(&mut self, text: &str) {
        let start = self.line.len();
        self.line.extend_from_slice(text.as_bytes());
        if let Some(at) = find_special(&self.line, start) {
            self.line.truncate(at);
            self.escape(&text.as_bytes()[at - start..]);
        }
    }

    #[cold]
    fn escape(&mut self, mut rest: &[u8]) {
        while let Some(at) = find_special(rest, 0) {
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

    pub(super) fn integer(&mut self, number: impl itoa::Integer) {
        self.line.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
    }

    /// Writes a number; null for infinities and NaN, which JSON does not have.
    pub(super) fn decimal(&mut self, number: f64) {
        let thousandths = (number * 1e3 + 0.5) as u64;
        // Fast path: an exact number of thousandths, small enough that these digits are the shortest representation.
        if number.is_sign_positive() && number < 1e12 && thousandths as f64 / 1e3 == number {
            return self.thousandths(thousandths);
        }
        // Writing to memory can't fail.
        let _ = serde_json::to_writer(&mut self.line, &number);
    }

    fn thousandths(&mut self, number: u64) {
        self.integer(number / 1_000);
        let rest = number % 1_000;
        let digits = [rest / 100, rest / 10 % 10, rest % 10].map(|digit| b'0' + digit as u8);
        let significant = 3 - digits[1..].iter().rev().take_while(|digit| **digit == b'0').count();
        self.line.push(b'.');
        self.line.extend_from_slice(&digits[..significant]);
    }
}

impl Visit for LineBuffer {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.name(field.name());
        self.line.push(b'"');
        // A value whose `Debug` fails is logged as far as it was formatted.
        let _ = write!(Escaped(self), "{value:?}");
        self.line.push(b'"');
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.text(field.name(), value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.name(field.name());
        self.integer(value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.name(field.name());
        self.integer(value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.name(field.name());
        self.line.extend_from_slice(if value { b"true" } else { b"false" });
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.name(field.name());
        self.decimal(value);
    }
}

/// Escapes what is formatted into it.
struct Escaped<'a>(&'a mut LineBuffer);

impl fmt::Write for Escaped<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.escaped(text);
        Ok(())
    }
}
