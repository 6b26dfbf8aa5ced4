//! What is known of a request when it has ended.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use uuid::Uuid;

use crate::store::UsageRow;
use crate::telemetry::record::{Facts, Source};

/// Longest text that is kept, bytes. Clients choose the model's name and upstreams an error's code: a queue of entries
/// is bounded only if each entry is.
const LONGEST: usize = 256;

/// One completion request that has ended.
#[derive(Clone, Debug)]
pub struct Entry {
    /// When it ended; its tokens count for this UTC day. Kept to the millisecond.
    pub at: Timestamp,
    /// As in the log and in `x-request-id`.
    pub request_id: Option<String>,
    /// Stable identity of the key: `Principal::id`.
    pub key_id: Arc<str>,
    /// Name of the key.
    pub key: Arc<str>,
    /// Model that the client asked for; cut behind 256 bytes, as all texts here.
    pub model: String,
    /// The last target that was tried; none: it failed before.
    pub target: Option<String>,
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
    /// The status, as in the log: 499 when the client left.
    pub status: u16,
}

/// How a request ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Terminal {
    /// The client has the whole answer.
    Completed,
    /// The client was told of an error.
    Failed {
        /// The error's code, such as `upstream_closed`.
        reason: String,
    },
    /// The client left before the end.
    ClientGone,
}

impl Terminal {
    /// How the request with these facts ended. Who left before being told of a failure is gone.
    #[must_use]
    pub fn of(facts: &Facts) -> Self {
        match &facts.failure {
            _ if facts.client_gone => Self::ClientGone,
            Some(reason) => Self::Failed { reason: reason.clone() },
            None => Self::Completed,
        }
    }

    /// The word in the database and in logs.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Completed => "completed",
            Self::Failed { .. } => "failed",
            Self::ClientGone => "client_gone",
        }
    }

    /// Why it failed, if it did.
    #[must_use]
    pub fn reason(&self) -> Option<&str> {
        match self {
            Self::Failed { reason } => Some(reason),
            Self::Completed | Self::ClientGone => None,
        }
    }
}

impl Entry {
    /// Cuts what others chose the length of.
    pub(super) fn shorten(&mut self) {
        cut(&mut self.model);
        self.request_id.as_mut().map(cut);
        self.target.as_mut().map(cut);
        if let Terminal::Failed { reason } = &mut self.terminal {
            cut(reason);
        }
    }

    /// As it stands in the database, known by `id`.
    pub(super) fn row(&self, id: Uuid) -> UsageRow<'_> {
        UsageRow {
            at: self.at,
            id,
            request_id: self.request_id.as_deref(),
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
            reason: self.terminal.reason(),
            status: self.status,
        }
    }
}

fn cut(text: &mut String) {
    if text.len() > LONGEST {
        text.truncate(text.floor_char_boundary(LONGEST));
        text.shrink_to_fit();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ending_is_read_from_the_facts() {
        let of = |failure: Option<&str>, client_gone| {
            let facts = Facts { failure: failure.map(str::to_owned), client_gone, ..Facts::default() };
            Terminal::of(&facts)
        };
        assert_eq!(of(None, false), Terminal::Completed);
        assert_eq!(of(Some("upstream_closed"), false).reason(), Some("upstream_closed"));
        assert_eq!((of(None, true), of(Some("x"), true)), (Terminal::ClientGone, Terminal::ClientGone));
    }

    #[test]
    fn long_texts_are_cut_between_characters() {
        let mut text = format!("a{}", "é".repeat(LONGEST));
        cut(&mut text);
        assert_eq!((text.len(), text.capacity()), (LONGEST - 1, LONGEST - 1));
        let mut fits = "x".repeat(LONGEST);
        cut(&mut fits);
        assert_eq!(fits.len(), LONGEST);
    }
}
