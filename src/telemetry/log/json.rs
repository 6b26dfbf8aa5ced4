//! A line of the log as one object of JSON, written straight into the line.
//!
//! Every request has a line, so it has to be cheap: no tree, no text in between, no calendar more than once a second.

use std::cell::RefCell;
use std::fmt::{self, Debug, Write as _};
use std::time::Duration;

use jiff::Timestamp;
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

use super::LogWriter;
use super::request::{RequestLine, TARGET, whole_ms};
use crate::telemetry::record::{Attempt, Facts, Source, Terminal};
use crate::time::clock;
use crate::wire::scan::special;

/// Logs `{"timestamp","level", the event's own fields, "target"}` and a line end, to lines.
pub(in crate::telemetry) struct JsonLines(pub(in crate::telemetry) LogWriter);

impl<S: Subscriber> Layer<S> for JsonLines {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        self.add(*event.metadata().level(), |draft| draft.event(event));
    }
}

impl JsonLines {
    /// Adds the line of a request, as its event would be.
    pub(super) fn add_request(&self, request: &RequestLine<'_>) {
        self.add(Level::INFO, |draft| draft.request(request));
    }

    fn add(&self, level: Level, write: impl Fn(&mut LineBuffer)) {
        DRAFT.with(|draft| match draft.try_borrow_mut() {
            Ok(mut draft) => self.add_drafted(level, &mut draft, write),
            // Something that logs while it is logged makes a draft of its own.
            Err(_) => self.add_drafted(level, &mut LineBuffer::default(), write),
        });
    }

    fn add_drafted(&self, level: Level, draft: &mut LineBuffer, write: impl Fn(&mut LineBuffer)) {
        write(draft);
        self.0.add_of(level, &draft.line);
    }
}

/// Says, as a line, that so many are missing.
pub(in crate::telemetry) fn lost(count: u64, why: &str) -> Vec<u8> {
    let mut draft = LineBuffer::default();
    draft.begin(Level::WARN);
    draft.text("message", why);
    draft.name("lines");
    draft.whole(count);
    draft.end(super::TARGET);
    draft.line
}

thread_local! {
    static DRAFT: RefCell<LineBuffer> = RefCell::default();
}

/// Most room that a draft keeps, bytes.
const ROOM: usize = 8 << 10;

/// Where a line is put together; one for each thread, which knows the second that it is.
#[derive(Default)]
struct LineBuffer {
    line: Vec<u8>,
    /// Since 1970.
    second: u64,
    /// That second in words, without the `Z`; empty: not known yet.
    time: String,
}

impl LineBuffer {
    fn event(&mut self, event: &Event<'_>) {
        let metadata = event.metadata();
        self.begin(*metadata.level());
        event.record(self);
        self.end(metadata.target());
    }

    /// The members of the event, in its order, each with its name at once.
    fn request(&mut self, request: &RequestLine<'_>) {
        let Facts { key, model, target, source, terminal, .. } = request.facts;
        self.begin(Level::INFO);
        self.text_of(b",\"message\":\"request\",\"request_id\":\"", Some(request.request_id));
        self.text_of(b",\"method\":\"", Some(request.method));
        self.text_of(b",\"path\":\"", Some(request.path));
        self.whole_of(b",\"status\":", Some(request.status.into()));
        self.line.extend_from_slice(b",\"ms\":");
        self.decimal(request.ms());
        self.text_of(b",\"key\":\"", key.as_deref());
        self.text_of(b",\"model\":\"", model.as_deref());
        self.text_of(b",\"upstream\":\"", target.as_deref());
        self.attempts(&request.facts.attempts);
        self.whole_of(b",\"first_token_ms\":", request.facts.first_token.map(whole_ms));
        self.whole_of(b",\"prompt_tokens\":", source.map(|_| request.facts.prompt_tokens));
        self.whole_of(b",\"completion_tokens\":", source.map(|_| request.facts.completion_tokens));
        self.text_of(b",\"usage\":\"", source.map(Source::name));
        self.text_of(b",\"terminal\":\"", terminal.map(Terminal::name));
        self.text_of(b",\"failure\":\"", request.failure);
        self.end(TARGET);
    }

    /// `a:unreachable:2ms b:ok:31ms`
    fn attempts(&mut self, attempts: &[Attempt]) {
        let mut before: &[u8] = b",\"attempts\":\"";
        for Attempt { target, outcome, duration } in attempts {
            self.line.extend_from_slice(before);
            self.escaped(target);
            self.line.push(b':');
            self.escaped(outcome);
            self.line.push(b':');
            self.whole(whole_ms(*duration));
            self.line.extend_from_slice(b"ms");
            before = b" ";
        }
        if !attempts.is_empty() {
            self.line.push(b'"');
        }
    }

    /// A member, if there is one, whose name is written up to the opening quote of its text. Part of whoever calls it, to
    /// whom the name's length is known: then it is copied in a few instructions.
    #[inline(always)]
    fn text_of(&mut self, name: &[u8], text: Option<&str>) {
        if let Some(text) = text {
            self.line.extend_from_slice(name);
            self.escaped(text);
            self.line.push(b'"');
        }
    }

    /// As [`LineBuffer::text_of`], of a number: its name up to the colon.
    #[inline(always)]
    fn whole_of(&mut self, name: &[u8], number: Option<u64>) {
        if let Some(number) = number {
            self.line.extend_from_slice(name);
            self.whole(number);
        }
    }

    fn begin(&mut self, level: Level) {
        self.line.clear();
        self.line.shrink_to(ROOM);
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

    /// Where it was logged is written in the code, too.
    fn end(&mut self, target: &str) {
        self.line.extend_from_slice(b",\"target\":\"");
        self.line.extend_from_slice(target.as_bytes());
        self.line.extend_from_slice(b"\"}\n");
    }

    /// The time, to the microsecond.
    fn now(&mut self) {
        let now = clock::timestamp();
        // There was no log before 1970.
        let second = u64::try_from(now.as_second()).unwrap_or_default();
        if self.second != second || self.time.is_empty() {
            self.second = second;
            self.time.clear();
            let second = Timestamp::UNIX_EPOCH.saturating_add(Duration::from_secs(self.second));
            // Writing to a string does not fail, and all seconds can be added to 1970.
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

    /// Names are written in the code: identifiers, with dots at most.
    fn name(&mut self, name: &str) {
        self.line.extend_from_slice(b",\"");
        self.line.extend_from_slice(name.as_bytes());
        self.line.extend_from_slice(b"\":");
    }

    fn text(&mut self, name: &str, text: &str) {
        self.line.extend_from_slice(b",\"");
        self.line.extend_from_slice(name.as_bytes());
        self.line.extend_from_slice(b"\":\"");
        self.escaped(text);
        self.line.push(b'"');
    }

    /// Written as it is, and only then looked through: there is nothing to escape as good as always.
    fn escaped(&mut self, text: &str) {
        let start = self.line.len();
        self.line.extend_from_slice(text.as_bytes());
        if let Some(at) = special(&self.line, start) {
            self.line.truncate(at);
            self.escape(&text.as_bytes()[at - start..]);
        }
    }

    #[cold]
    fn escape(&mut self, mut rest: &[u8]) {
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

    fn whole(&mut self, number: impl itoa::Integer) {
        self.line.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
    }

    /// A number, or null for what JSON has no word for.
    fn decimal(&mut self, number: f64) {
        let thousandths = (number * 1e3 + 0.5) as u64;
        // As most are: so many thousandths, and little enough that these digits are all that there are.
        if number.is_sign_positive() && number < 1e12 && thousandths as f64 / 1e3 == number {
            return self.thousandths(thousandths);
        }
        // Writing to memory does not fail.
        let _ = serde_json::to_writer(&mut self.line, &number);
    }

    fn thousandths(&mut self, number: u64) {
        self.whole(number / 1_000);
        let rest = number % 1_000;
        let digits = [rest / 100, rest / 10 % 10, rest % 10].map(|digit| b'0' + digit as u8);
        let shown = 3 - digits[1..].iter().rev().take_while(|digit| **digit == b'0').count();
        self.line.push(b'.');
        self.line.extend_from_slice(&digits[..shown]);
    }
}

impl Visit for LineBuffer {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.name(field.name());
        self.line.push(b'"');
        // What fails halfway is logged as far as it came.
        let _ = write!(Escaped(self), "{value:?}");
        self.line.push(b'"');
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.text(field.name(), value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.name(field.name());
        self.whole(value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.name(field.name());
        self.whole(value);
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

struct Escaped<'a>(&'a mut LineBuffer);

impl fmt::Write for Escaped<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.escaped(text);
        Ok(())
    }
}

#[cfg(test)]
mod tests;
