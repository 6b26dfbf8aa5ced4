//! A usage record as it is written, and what it has in common with others of its series.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

/// Milliseconds of a UTC day (computers count no leap seconds).
pub(super) const DAY_MILLIS: i64 = 24 * 60 * 60 * 1_000;

/// A usage record to be written. Numbers beyond `i64::MAX` are written as `i64::MAX`.
#[derive(Clone, Debug)]
pub struct UsageRow<'a> {
    /// When the request ended, kept to the millisecond.
    pub at: Timestamp,
    /// A random number that identifies the record, so that it is not written twice.
    pub id: i64,
    /// The request id, as in the log.
    pub request_id: Option<&'a Arc<str>>,
    /// The id of the key.
    pub key_id: &'a str,
    /// Name of the key.
    pub key: &'a str,
    /// The operation that was asked for: `chat`, `completions` or `embeddings`.
    pub operation: &'static str,
    /// The requested model.
    pub model: &'a str,
    /// The target that served the request, if one did.
    pub target: Option<&'a str>,
    /// Attempts at targets.
    pub attempts: u32,
    /// Whether the client requested a stream.
    pub streamed: bool,
    /// Tokens of the prompt.
    pub prompt_tokens: u64,
    /// Tokens of the completion.
    pub completion_tokens: u64,
    /// Source of the counts: `exact`, `running`, `counted` or `estimated`; `None` if there was nothing to count.
    pub source: Option<&'static str>,
    /// From arrival to the first token, kept to the microsecond.
    pub first_token: Option<Duration>,
    /// From arrival to the end, kept to the microsecond.
    pub duration: Duration,
    /// How the request ended, such as `completed`, `failed` or `client_gone`.
    pub terminal: &'static str,
    /// The code of the error, if it failed.
    pub reason: Option<&'a str>,
    /// The HTTP status, as in the log.
    pub status: u16,
    /// The model that the answer names.
    pub answered: Option<&'a str>,
}

impl UsageRow<'_> {
    /// The UTC day on which the request ended, counted from 1970.
    pub(super) fn day(&self) -> i64 {
        self.at.as_millisecond().div_euclid(DAY_MILLIS)
    }

    /// Whether both records belong to one series: they differ in nothing that a series holds.
    pub(super) fn same_series(&self, other: &Self) -> bool {
        self.status == other.status
            && self.streamed == other.streamed
            && self.attempts == other.attempts
            && self.key_id == other.key_id
            && self.key == other.key
            && self.operation == other.operation
            && self.model == other.model
            && self.target == other.target
            && self.terminal == other.terminal
            && self.source == other.source
            && self.reason == other.reason
            && self.answered == other.answered
            && self.day() == other.day()
    }

    /// Overwrites `key` with bytes that are equal for two records if and only if they belong to one series.
    pub(super) fn write_series_key(&self, key: &mut Vec<u8>) {
        key.clear();
        key.extend_from_slice(&self.day().to_le_bytes());
        key.extend_from_slice(&self.attempts.to_le_bytes());
        key.extend_from_slice(&self.status.to_le_bytes());
        key.push(self.streamed.into());
        let texts = [self.key_id, self.key, self.operation, self.model, self.terminal].map(Some);
        for text in texts.into_iter().chain([self.target, self.source, self.reason, self.answered]) {
            // Lengths come first, so that two texts differ from one. `None` has a length that no text has.
            let length = text.map_or(usize::MAX, str::len);
            key.extend_from_slice(&length.to_le_bytes());
            key.extend_from_slice(text.unwrap_or_default().as_bytes());
        }
    }
}
