//! The line of each request: as good as all of a busy server's log.

use std::time::Duration;

use tracing::{Level, dispatcher};

use super::json::JsonLines;
use crate::telemetry::record::{Attempt, Facts, Terminal};

/// Who says it.
pub(super) const TARGET: &str = "petstream::layer::observe";

/// What is said of a request that has ended.
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
    /// What was learned of it meanwhile.
    pub facts: &'a Facts,
    /// Why it failed, if it did: the error's code.
    pub failure: Option<&'a str>,
}

impl RequestLine<'_> {
    /// Logs it, if anybody listens. Lines of JSON are written from here, without an event that is taken apart again.
    pub fn log(&self) {
        // With the event's fields, because a filter may ask for them.
        let heard = tracing::event_enabled!(
            target: TARGET,
            Level::INFO,
            message,
            request_id,
            method,
            path,
            status,
            ms,
            key,
            model,
            upstream,
            attempts,
            first_token_ms,
            prompt_tokens,
            completion_tokens,
            usage,
            terminal,
            failure
        );
        if !heard {
            return;
        }
        let written = dispatcher::get_default(|dispatch| {
            dispatch.downcast_ref::<JsonLines>().map(|lines| lines.add_request(self)).is_some()
        });
        if !written {
            self.event();
        }
    }

    /// As an event for whoever listens.
    pub(super) fn event(&self) {
        let Facts { key, model, target, attempts, source, terminal, .. } = self.facts;
        tracing::info!(
            target: TARGET,
            // A text, and not something to be formatted.
            message = "request",
            request_id = self.request_id,
            method = self.method,
            path = self.path,
            status = self.status,
            ms = self.ms(),
            key = key.as_deref(),
            model = model.as_deref(),
            upstream = target.as_deref(),
            attempts = (!attempts.is_empty()).then(|| list(attempts)),
            first_token_ms = self.facts.first_token.map(whole_ms),
            prompt_tokens = source.map(|_| self.facts.prompt_tokens),
            completion_tokens = source.map(|_| self.facts.completion_tokens),
            usage = source.map(|source| source.name()),
            terminal = terminal.map(Terminal::name),
            failure = self.failure,
        );
    }

    /// Milliseconds that it took, to the nearest microsecond.
    pub(super) fn ms(&self) -> f64 {
        let micros = (self.took + Duration::from_nanos(500)).as_micros();
        u64::try_from(micros).unwrap_or(u64::MAX) as f64 / 1e3
    }
}

/// Whole milliseconds.
pub(super) fn whole_ms(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// `a:unreachable:2ms b:ok:31ms`
fn list(attempts: &[Attempt]) -> String {
    let one = |Attempt { target, outcome, duration }: &Attempt| format!("{target}:{outcome}:{}ms", whole_ms(*duration));
    attempts.iter().map(one).collect::<Vec<_>>().join(" ")
}
