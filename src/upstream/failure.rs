//! What can go wrong with an upstream: what happened, said without deciding what a client is told.

use std::fmt;
use std::io;
use std::time::Duration;

use crate::bound::Exceeded;
use crate::http::client;
use crate::wire::quirks::is_context_overflow;

/// Which deadline ran out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deadline {
    /// Name look-up, TCP and TLS.
    Connect,
    /// The first event, or the head of an answer that is no stream.
    FirstToken,
    /// Silence within an answer.
    Idle,
    /// The whole request.
    Total,
}

/// Why an exchange with an upstream failed.
#[derive(Debug)]
pub enum Failure {
    /// No connection: name, TCP or TLS. Nothing was sent.
    Unreachable(io::Error),
    /// A deadline ran out.
    Timeout(Deadline),
    /// The connection ended before the head of the answer.
    Unanswered,
    /// The connection ended within the answer.
    Closed,
    /// What came is not what the protocol allows; says what.
    Malformed(&'static str),
    /// An answer in good form that has no completion in it, not even a beginning; says what it is instead.
    Empty(&'static str),
    /// Every target of the model is out, and the one due back first failed too.
    AllOut {
        /// Until the first is due back.
        wait: Duration,
        /// Why the one that was asked all the same failed.
        cause: Box<Failure>,
    },
    /// There is no memory here for its answer, in all or for the key.
    NoMemory(Exceeded),
    /// An answer with a status that is no success, or an error object where a stream should begin.
    Refused(Refusal),
}

/// An upstream's own refusal.
#[derive(Debug)]
pub struct Refusal {
    /// Its status; 200 when the error came as the first frame of a stream.
    pub status: http::StatusCode,
    /// Its error object, if it sent one.
    pub error: Option<crate::wire::envelope::ErrorBody>,
    /// When it wants to be asked again, in whichever form it said so; at most a day.
    pub retry_after: Option<Duration>,
}

impl Refusal {
    /// Whether it refuses the request because of this parameter.
    #[must_use]
    pub fn names(&self, param: &str) -> bool {
        let Some(error) = &self.error else { return false };
        matches!(self.effective_status().as_u16(), 400 | 422)
            && (error.message.contains(param) || error.param.as_ref().is_some_and(|named| named.contains(param)))
    }

    /// A fault of the upstream's, or of how it is set up here: its key, its account, its address.
    fn is_the_targets_fault(&self) -> bool {
        let status = self.effective_status();
        // 424 is what Hugging Face's servers say when their generation failed.
        status.is_server_error() || status.as_u16() == 424 || self.is_misconfigured()
    }

    /// It is refused because of what stands in our configuration, or of where the target is: another one may take it, and
    /// nothing was generated.
    ///
    /// 404 is one of these when it names neither a type nor a code: that is the page of a server that has no such path, and
    /// the `base_url` is wrong. Other 404s are OpenAI's answer to the name of a model, which the client may have chosen.
    #[must_use]
    pub fn is_misconfigured(&self) -> bool {
        let status = self.effective_status();
        match status.as_u16() {
            401 | 402 | 403 | 405 | 407 | 410 | 421 | 425 | 451 => true,
            404 => self.error.as_ref().is_none_or(|error| error.kind.is_empty() && error.code.is_none()),
            _ => status.is_redirection(),
        }
    }

    /// A quota is spent: the account's trouble, and no matter of seconds.
    fn is_quota(&self) -> bool {
        self.error.as_ref().is_some_and(|error| error.code.as_deref() == Some("insufficient_quota"))
    }

    /// 408, 429 and 503: not now.
    fn is_overload(&self) -> bool {
        matches!(self.effective_status().as_u16(), 408 | 429 | 503)
    }

    /// A rate limit was hit, or a quota.
    fn is_rate_limit(&self) -> bool {
        self.effective_status().as_u16() == 429
    }

    /// The target certainly did nothing, and is not asked again soon, or only by one request at a time.
    fn did_nothing(&self) -> bool {
        let told = self.is_overload() && self.retry_after.is_some();
        told || self.is_rate_limit() || self.is_misconfigured()
    }

    /// The label for logs and metrics.
    fn reason(&self) -> &'static str {
        match self.effective_status().as_u16() {
            401..=403 | 407 => "refused_auth",
            429 => "refused_429",
            300..=399 => "refused_3xx",
            400..=499 => "refused_4xx",
            _ => "refused_5xx",
        }
    }

    /// Whether it says that the conversation is longer than the model's context. Some say so with 500, or within a 200.
    #[must_use]
    pub fn is_overflow(&self) -> bool {
        let status = self.status;
        let may_be = status.is_success() || status.is_server_error() || matches!(status.as_u16(), 400 | 413 | 422);
        may_be && self.error.as_ref().is_some_and(is_context_overflow)
    }

    /// The status that the refusal amounts to. Some servers answer 200 and put the real one into the error's code; where
    /// that says nothing, it is the upstream's failure.
    #[must_use]
    pub fn effective_status(&self) -> http::StatusCode {
        self.stated_status().unwrap_or(http::StatusCode::BAD_GATEWAY)
    }

    /// The status that it says, on the answer or in the error's code.
    fn stated_status(&self) -> Option<http::StatusCode> {
        if self.is_overflow() {
            return Some(http::StatusCode::BAD_REQUEST);
        }
        if !self.status.is_success() {
            return Some(self.status);
        }
        let code = self.error.as_ref().and_then(|error| error.code.as_deref());
        let code = code.and_then(|code| code.parse::<u16>().ok()).filter(|code| (400..600).contains(code));
        code.and_then(|code| http::StatusCode::from_u16(code).ok())
    }
}

impl Failure {
    /// The label for logs and metrics.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Unreachable(_) => "unreachable",
            Self::Timeout(Deadline::Connect) => "connect_timeout",
            Self::Timeout(Deadline::FirstToken) => "first_token_timeout",
            Self::Timeout(Deadline::Idle) => "idle_timeout",
            Self::Timeout(Deadline::Total) => "total_timeout",
            Self::Unanswered | Self::Closed => "closed",
            Self::NoMemory(_) => "no_memory",
            Self::Malformed(_) | Self::Empty(_) => "malformed",
            Self::AllOut { .. } => "all_out",
            Self::Refused(refusal) => refusal.reason(),
        }
    }

    /// Whether another target may do better. Asked only while nothing has reached the client.
    #[must_use]
    pub fn may_be_retried(&self) -> bool {
        match self {
            Self::Unreachable(_) | Self::Unanswered | Self::Closed | Self::Malformed(_) | Self::Empty(_) => true,
            Self::Timeout(deadline) => *deadline != Deadline::Total,
            Self::AllOut { .. } | Self::NoMemory(_) => false,
            Self::Refused(refusal) => refusal.is_overload() || refusal.is_the_targets_fault(),
        }
    }

    /// Whether it speaks against the target, and not against what it was asked.
    #[must_use]
    pub fn is_the_targets_fault(&self) -> bool {
        match self {
            Self::Unreachable(_)
            | Self::Unanswered
            | Self::Closed
            | Self::Malformed(_)
            | Self::Empty(_)
            | Self::Timeout(_) => true,
            Self::AllOut { .. } | Self::NoMemory(_) => false,
            Self::Refused(refusal) => refusal.is_the_targets_fault(),
        }
    }

    /// Whether the upstream has certainly generated nothing.
    #[must_use]
    pub fn cost_nothing(&self) -> bool {
        match self {
            Self::Unreachable(_) | Self::Refused(_) | Self::Empty(_) | Self::Timeout(Deadline::Connect) => true,
            Self::AllOut { cause, .. } => cause.cost_nothing(),
            Self::Timeout(_) | Self::Unanswered | Self::Closed | Self::Malformed(_) | Self::NoMemory(_) => false,
        }
    }

    /// Whether to ask another target instead adds no load: the one that failed was not reached, or says that it did
    /// nothing. Such a retry is the first to do the request's work, so the retry budget has no say in it; the number of
    /// attempts has. 5xx and broken connections are no such failures, since work may have been done, and neither is a 503
    /// that does not say until when: where all targets say that, asking each of them is the storm.
    #[must_use]
    pub fn is_free_elsewhere(&self) -> bool {
        match self {
            Self::Unreachable(_) | Self::Timeout(Deadline::Connect) => true,
            Self::Refused(refusal) => refusal.did_nothing(),
            _ => false,
        }
    }

    /// Whether the same target may do better after a wait: the wait that it asked for itself, or none. No such wait:
    /// nobody knows that it would. Timeouts are none of these: what was too slow once is not made faster by being asked
    /// twice. `max_retry_after` is the longest wait of a 429 or 503 that is worth it.
    #[must_use]
    pub fn same_target_after(&self, max_retry_after: Duration) -> Option<Duration> {
        match self {
            Self::Unreachable(_) | Self::Unanswered => Some(Duration::ZERO),
            Self::Refused(refusal) => {
                let short = refusal.retry_after.filter(|wait| *wait <= max_retry_after && !max_retry_after.is_zero());
                // An error without a status may be of what was asked.
                match refusal.stated_status()?.as_u16() {
                    // A spent quota does not come back within a second, whatever is said.
                    429 => short.filter(|_| !refusal.is_quota()),
                    // Timeouts of proxies: gateway timeout, network read and connect timeouts, a timeout occurred.
                    504 | 522 | 524 | 598 | 599 => None,
                    500..=599 if refusal.retry_after.is_none() => Some(Duration::ZERO),
                    500..=599 => short,
                    _ => None,
                }
            }
            _ => None,
        }
    }

    /// Whether it is a rate limit.
    #[must_use]
    pub fn is_rate_limit(&self) -> bool {
        matches!(self, Self::Refused(refusal) if refusal.is_rate_limit())
    }

    /// A plain answer's generation was begun, as far as can be known, and took too long: to ask elsewhere would begin
    /// another one, which takes as long, for a client that has waited for one already.
    #[must_use]
    pub const fn is_slow_generation(&self) -> bool {
        matches!(self, Self::Timeout(Deadline::FirstToken | Deadline::Idle))
    }

    /// Says until when not to come back, of a refusal that is one of time.
    pub fn set_retry_after(&mut self, wait: Duration) {
        if let Self::Refused(refusal) = self
            && refusal.is_overload()
        {
            refusal.retry_after = Some(wait);
        }
    }

    /// How long the upstream asked to be left alone.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Refused(refusal) if refusal.is_overload() => refusal.retry_after,
            _ => None,
        }
    }
}

impl From<client::Error> for Failure {
    fn from(error: client::Error) -> Self {
        match error {
            client::Error::Connect(error) => Self::Unreachable(error),
            client::Error::ConnectTimeout => Self::Timeout(Deadline::Connect),
            client::Error::ClosedBeforeHead => Self::Unanswered,
            client::Error::ClosedInBody => Self::Closed,
            client::Error::Malformed(what) => Self::Malformed(what),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreachable(error) => write!(f, "unreachable: {error}"),
            Self::Timeout(_) | Self::Closed | Self::AllOut { .. } | Self::NoMemory(_) => f.write_str(self.reason()),
            Self::Unanswered => f.write_str("closed before the answer"),
            Self::Malformed(what) | Self::Empty(what) => write!(f, "malformed: {what}"),
            Self::Refused(refusal) => write!(f, "refused with status {}", refusal.status.as_u16()),
        }
    }
}

impl std::error::Error for Failure {}
