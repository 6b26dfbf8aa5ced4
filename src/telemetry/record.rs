//! The record of one request: filled in by the layers and the completion while it runs, logged once when its response
//! has ended.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::time::TaskTimer;
use crate::wire::operation::Operation;

/// The source of token counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// The upstream's final usage, or the local model's own count.
    Exact,
    /// The usage on the upstream's last chunk before the answer was cut.
    Running,
    /// Counted here: one token for each chunk that was sent to the client, one for each four bytes of the prompt.
    Counted,
    /// Estimated from the length of the answer: there was no usage, and there were no chunks to count.
    Estimated,
}

impl Source {
    /// All sources.
    pub const ALL: [Self; 4] = [Self::Exact, Self::Running, Self::Counted, Self::Estimated];

    /// The name in logs and metrics.
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

/// How a completion ended. Every admitted completion ends in exactly one of these states.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Terminal {
    /// Answered in full.
    Completed,
    /// Refused with a status below 500, here or by the upstream, before anything was generated.
    Refused,
    /// The upstream, the network to it or this server failed; the client got an error.
    Failed,
    /// The client closed the connection.
    ClientGone,
    /// The client read nothing for too long, and its connection was closed.
    ClientStalled,
    /// Ended because the tokens of the key were used up.
    BudgetSpent,
    /// Ended by the shutdown of the server.
    Shutdown,
}

impl Terminal {
    /// All states.
    pub const ALL: [Self; 7] = [
        Self::Completed,
        Self::Refused,
        Self::Failed,
        Self::ClientGone,
        Self::ClientStalled,
        Self::BudgetSpent,
        Self::Shutdown,
    ];

    /// The name in metrics, logs and usage records.
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

/// The record of one request; clones share it.
#[derive(Clone, Debug)]
pub struct Record(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    id: Arc<str>,
    started: Instant,
    timer: TaskTimer,
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
    /// Time until its first event or its failure.
    pub duration: Duration,
}

/// The content of a record.
#[derive(Debug, Default)]
pub struct Facts {
    /// The client's address; none behind a unix socket.
    pub client: Option<IpAddr>,
    /// Name of the key.
    pub key: Option<Arc<str>>,
    /// The operation that was asked for; none: the request is for no model.
    pub operation: Option<Operation>,
    /// Requested model.
    pub model: Option<Arc<str>>,
    /// The target that served it.
    pub target: Option<Arc<str>>,
    /// Attempts at targets, in order.
    pub attempts: Vec<Attempt>,
    /// From the request's arrival to its first token.
    pub first_token: Option<Duration>,
    /// Tokens of the prompt.
    pub prompt_tokens: u64,
    /// Tokens of the completion.
    pub completion_tokens: u64,
    /// The source of the counts; none: nothing was counted.
    pub source: Option<Source>,
    /// How the completion ended; none: it runs, or the request is not a completion.
    pub terminal: Option<Terminal>,
    /// The error's code, if the request failed.
    pub failure: Option<Arc<str>>,
}

impl Facts {
    /// Adds an attempt, whose target serves the request as far as is known now.
    pub fn begin_attempt(&mut self, attempt: Attempt) {
        self.target = Some(Arc::clone(&attempt.target));
        self.attempts.push(attempt);
    }
}

impl Record {
    /// The record of a request that has just arrived; `timer` is that of the task that serves it.
    #[must_use]
    pub fn begin(id: impl Into<Arc<str>>, timer: TaskTimer) -> Self {
        Self(Arc::new(Inner { id: id.into(), started: timer.now(), timer, facts: Mutex::default() }))
    }

    /// The request's id, as in `x-request-id`.
    #[must_use]
    pub fn id(&self) -> &Arc<str> {
        &self.0.id
    }

    /// When the request arrived.
    #[must_use]
    pub fn started(&self) -> Instant {
        self.0.started
    }

    /// The time of the current poll of the task that serves the request.
    #[must_use]
    pub fn now(&self) -> Instant {
        self.0.timer.now()
    }

    /// Time from the request's arrival to the current poll.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        self.now() - self.0.started
    }

    /// Locks the content, to read or change it. Never hold the guard across an `.await`.
    pub fn facts(&self) -> MutexGuard<'_, Facts> {
        self.0.facts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
