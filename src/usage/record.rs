//! The usage record of one request, made when the request has ended.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use crate::store::UsageRow;
use crate::telemetry::record::{Source, Terminal};
use crate::wire::operation::Operation;

/// Longest text of a record, bytes. Clients choose the model's name and upstreams an error's code, and a queue is
/// bounded only if each record is.
const MAX_TEXT_LEN: usize = 256;

/// One completion request that has ended.
#[derive(Clone, Debug)]
pub struct UsageRecord {
    /// Time of the end; its tokens count for this UTC day. Stored in milliseconds.
    pub at: Timestamp,
    /// The request id, as in the log and in `x-request-id`.
    pub request_id: Option<Arc<str>>,
    /// The id of the key: `Principal::id`.
    pub key_id: Arc<str>,
    /// The name of the key.
    pub key: Arc<str>,
    /// The operation that was asked for.
    pub operation: Operation,
    /// The requested model; truncated after 256 bytes, as all texts here.
    pub model: Arc<str>,
    /// The last target that was tried; `None` if it failed before.
    pub target: Option<Arc<str>>,
    /// Attempts at targets.
    pub attempts: u32,
    /// Whether the client requested a stream.
    pub streamed: bool,
    /// Tokens of the prompt. Numbers above `i64::MAX` are stored as `i64::MAX`.
    pub prompt_tokens: u64,
    /// Tokens of the completion.
    pub completion_tokens: u64,
    /// Source of the counts; `None` if there was nothing to count.
    pub source: Option<Source>,
    /// Time from the request's arrival to its first token; `None` if there was none.
    pub first_token: Option<Duration>,
    /// Time from the request's arrival to its end.
    pub duration: Duration,
    /// How the request ended.
    pub terminal: Terminal,
    /// The code of the error unless it completed, such as `upstream_closed`.
    pub reason: Option<Arc<str>>,
    /// The HTTP status, as in the log: 499 if the client left.
    pub status: u16,
    /// The model that the answer names; `None` if there was no answer or it names none.
    pub answered: Option<Arc<str>>,
}

impl UsageRecord {
    /// Truncates the texts that clients and upstreams choose.
    pub(super) fn truncate_texts(&mut self) {
        truncate(&mut self.model);
        self.request_id.as_mut().map(truncate);
        self.target.as_mut().map(truncate);
        self.reason.as_mut().map(truncate);
        self.answered.as_mut().map(truncate);
    }

    /// The row of this record; `id` identifies it in the database.
    pub(super) fn row(&self, id: i64) -> UsageRow<'_> {
        UsageRow {
            at: self.at,
            id,
            request_id: self.request_id.as_ref(),
            key_id: &self.key_id,
            key: &self.key,
            operation: self.operation.name(),
            model: &self.model,
            target: self.target.as_deref(),
            attempts: self.attempts,
            streamed: self.streamed,
            prompt_tokens: self.prompt_tokens,
            completion_tokens: self.completion_tokens,
            source: self.source.map(Source::name),
            first_token: self.first_token,
            duration: self.duration,
            terminal: self.terminal.name(),
            reason: self.reason.as_deref(),
            status: self.status,
            answered: self.answered.as_deref(),
        }
    }
}

fn truncate(text: &mut Arc<str>) {
    if text.len() > MAX_TEXT_LEN {
        *text = text[..text.floor_char_boundary(MAX_TEXT_LEN)].into();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_texts_are_truncated_between_characters() {
        let mut text = format!("a{}", "é".repeat(MAX_TEXT_LEN)).into();
        truncate(&mut text);
        assert_eq!(text.len(), MAX_TEXT_LEN - 1);
        let mut fits = "x".repeat(MAX_TEXT_LEN).into();
        truncate(&mut fits);
        assert_eq!(fits.len(), MAX_TEXT_LEN);
    }
}
