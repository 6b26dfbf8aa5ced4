//! What is known of one request: filled in by whoever learns something, logged once when the last byte is out.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::time::clock;

/// Where token counts come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// The upstream's final usage, or the local model's own count.
    Exact,
    /// The usage that the upstream put on its last chunk before the answer was cut.
    Running,
    /// Counted here: one token a chunk that went to the client, and a token for four bytes of prompt.
    Counted,
    /// From the length of what came: no usage, and no chunks to count.
    Estimated,
}

impl Source {
    /// Every source there is.
    pub const ALL: [Self; 4] = [Self::Exact, Self::Running, Self::Counted, Self::Estimated];

    /// The word in logs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Exact => "exact",
            Self::Running => "running",
            Self::Counted => "counted",
            Self::Estimated => "estimated",
        }
    }
}

/// How a completion ended. Every admitted one ends in exactly one of these.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Terminal {
    /// Answered in full.
    Completed,
    /// Refused with a status below 500, here or by the upstream, before anything was generated.
    Refused,
    /// The upstream, the network to it or this server failed; the client was told.
    Failed,
    /// The client left.
    ClientGone,
    /// The client took no byte for too long and was cut.
    ClientStalled,
    /// Ended because the key's tokens were used up.
    BudgetSpent,
    /// Ended at the drain deadline.
    Shutdown,
}

impl Terminal {
    /// Every state there is.
    pub const ALL: [Self; 7] = [
        Self::Completed,
        Self::Refused,
        Self::Failed,
        Self::ClientGone,
        Self::ClientStalled,
        Self::BudgetSpent,
        Self::Shutdown,
    ];

    /// The word in metrics, logs and usage records.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Completed => "completed",
            Self::Refused => "refused",
            Self::Failed => "failed",
            Self::ClientGone => "client_gone",
            Self::ClientStalled => "client_stalled",
            Self::BudgetSpent => "budget_spent",
            Self::Shutdown => "shutdown",
        }
    }
}

/// A shared record of one request; clones are the same record.
#[derive(Clone, Debug)]
pub struct Record(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    id: Arc<str>,
    started: Instant,
    // std Mutex: never held across .await
    facts: Mutex<Facts>,
}

/// One attempt at a target.
#[derive(Clone, Debug)]
pub struct Attempt {
    /// The target's name.
    pub target: Arc<str>,
    /// `ok`, or why it failed.
    pub outcome: &'static str,
    /// Until its first event, or until it failed.
    pub duration: Duration,
}

/// What a record holds.
#[derive(Debug, Default)]
pub struct Facts {
    /// Name of the key.
    pub key: Option<Arc<str>>,
    /// Model asked for.
    pub model: Option<Arc<str>>,
    /// Where it was served.
    pub target: Option<Arc<str>>,
    /// Attempts at targets, in their order.
    pub attempts: Vec<Attempt>,
    /// From the request's arrival to its first token.
    pub first_token: Option<Duration>,
    /// Tokens of the prompt.
    pub prompt_tokens: u64,
    /// Tokens of the completion.
    pub completion_tokens: u64,
    /// Where the counts come from; none while nothing was counted.
    pub source: Option<Source>,
    /// How the completion ended; none while it has not, and for requests that are none.
    pub terminal: Option<Terminal>,
    /// Why the request failed, if it did: the error's code.
    pub failure: Option<Arc<str>>,
}

impl Record {
    /// A record of a request that has just arrived.
    #[must_use]
    pub fn begin(id: impl Into<Arc<str>>) -> Self {
        Self(Arc::new(Inner { id: id.into(), started: clock::now(), facts: Mutex::default() }))
    }

    /// The request's id, as in `x-request-id`.
    #[must_use]
    pub fn id(&self) -> &Arc<str> {
        &self.0.id
    }

    /// Time since the request arrived.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        clock::now() - self.0.started
    }

    /// The facts, to read or to add to. Hold it for a moment only.
    pub fn facts(&self) -> MutexGuard<'_, Facts> {
        self.0.facts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
