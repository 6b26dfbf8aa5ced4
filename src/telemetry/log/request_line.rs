//! The line of a request in the log: nearly all of a busy server's log consists of these.

use std::time::Duration;

use crate::telemetry::record::{Attempt, Facts, Terminal};
use crate::wire::operation::Operation;

/// The line's `target`, which is part of the interface: filters of `RUST_LOG` name it.
pub(super) const TARGET: &str = "petstream::layer::observe";

/// A request that has ended.
pub struct RequestLine<'a> {
    /// As in `x-request-id`.
    pub request_id: &'a str,
    /// Its method.
    pub method: &'a str,
    /// Its path.
    pub path: &'a str,
    /// The status of its answer; 499 where the client left.
    pub status: u16,
    /// From its arrival to its end.
    pub took: Duration,
    /// The record that was filled in while it ran.
    pub facts: &'a Facts,
    /// Why it failed, if it did: the error's code.
    pub failure: Option<&'a str>,
}

impl RequestLine<'_> {
    /// Emits it as an event, for subscribers other than the log of JSON.
    pub(super) fn event(&self) {
        let Facts { client, key, operation, model, target, attempts, source, terminal, .. } = self.facts;
        tracing::info!(
            target: TARGET,
            // A field with this name, since a message would be formatted.
            message = "request",
            request_id = self.request_id,
            method = self.method,
            path = self.path,
            status = self.status,
            ms = self.ms(),
            client = client.map(tracing::field::display),
            key = key.as_deref(),
            operation = operation.map(Operation::name),
            model = model.as_deref(),
            upstream = target.as_deref(),
            attempts = (!attempts.is_empty()).then(|| format_attempts(attempts)),
            first_token_ms = self.facts.first_token.map(whole_ms),
            prompt_tokens = source.map(|_| self.facts.prompt_tokens),
            completion_tokens = source.map(|_| self.facts.completion_tokens),
            usage = source.map(|source| source.name()),
            terminal = terminal.map(Terminal::name),
            failure = self.failure,
        );
    }

    /// The duration in milliseconds, rounded to a microsecond.
    pub(super) fn ms(&self) -> f64 {
        let micros = (self.took + Duration::from_nanos(500)).as_micros();
        u64::try_from(micros).unwrap_or(u64::MAX) as f64 / 1e3
    }
}

/// Whole milliseconds.
pub(super) fn whole_ms(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// Formats attempts as `a:unreachable:2ms b:ok:31ms`.
fn format_attempts(attempts: &[Attempt]) -> String {
    let one = |Attempt { target, outcome, duration }: &Attempt| format!("{target}:{outcome}:{}ms", whole_ms(*duration));
    attempts.iter().map(one).collect::<Vec<_>>().join(" ")
}
