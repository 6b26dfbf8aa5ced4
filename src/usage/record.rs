//! What is known of a request when it has ended.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use crate::store::UsageRow;
use crate::telemetry::record::{Source, Terminal};

/// Longest text that is kept, bytes. Clients choose the model's name and upstreams an error's code: a queue of entries
/// is bounded only if each entry is.
const LONGEST: usize = 256;

/// One completion request that has ended.
#[derive(Clone, Debug)]
pub struct UsageRecord {
    /// When it ended; its tokens count for this UTC day. Kept to the millisecond.
    pub at: Timestamp,
    /// As in the log and in `x-request-id`.
    pub request_id: Option<Arc<str>>,
    /// Stable identity of the key: `Principal::id`.
    pub key_id: Arc<str>,
    /// Name of the key.
    pub key: Arc<str>,
    /// Model that the client asked for; cut behind 256 bytes, as all texts here.
    pub model: Arc<str>,
    /// The last target that was tried; none: it failed before.
    pub target: Option<Arc<str>>,
    /// Attempts at targets.
    pub attempts: u32,
    /// Whether a stream was asked for.
    pub streamed: bool,
    /// Tokens of the prompt. Stored up to `i64::MAX`, as all counts here.
    pub prompt_tokens: u64,
    /// Tokens of the completion.
    pub completion_tokens: u64,
    /// Where the counts come from; none: there was nothing to count.
    pub source: Option<Source>,
    /// From the request's arrival to its first token; none: there was no token.
    pub first_token: Option<Duration>,
    /// From the request's arrival to its end.
    pub duration: Duration,
    /// How it ended.
    pub terminal: Terminal,
    /// Why, unless it completed: the error's code, such as `upstream_closed`.
    pub reason: Option<Arc<str>>,
    /// The status, as in the log: 499 when the client left.
    pub status: u16,
    /// The model that answered, as the answer names it; none: there was no answer, or it did not say.
    pub answered: Option<Arc<str>>,
}

impl UsageRecord {
    /// Cuts what others chose the length of.
    pub(super) fn shorten(&mut self) {
        cut(&mut self.model);
        self.request_id.as_mut().map(cut);
        self.target.as_mut().map(cut);
        self.reason.as_mut().map(cut);
        self.answered.as_mut().map(cut);
    }

    /// As it stands in the database, known by `id`.
    pub(super) fn row(&self, id: i64) -> UsageRow<'_> {
        UsageRow {
            at: self.at,
            id,
            request_id: self.request_id.as_ref(),
            key_id: &self.key_id,
            key: &self.key,
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

fn cut(text: &mut Arc<str>) {
    if text.len() > LONGEST {
        *text = text[..text.floor_char_boundary(LONGEST)].into();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_texts_are_cut_between_characters() {
        let mut text = format!("a{}", "é".repeat(LONGEST)).into();
        cut(&mut text);
        assert_eq!(text.len(), LONGEST - 1);
        let mut fits = "x".repeat(LONGEST).into();
        cut(&mut fits);
        assert_eq!(fits.len(), LONGEST);
    }
}
