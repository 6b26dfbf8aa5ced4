//! What can go wrong with an upstream: what happened, said without deciding what a client is told.

use std::fmt;
use std::io;
use std::time::Duration;

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
    /// The connection ended before the answer did.
    Closed,
    /// What came is not what the protocol allows; says what.
    Malformed(&'static str),
    /// Every target of the model is out, and the one due back first failed too.
    AllOut {
        /// Until the first is due back.
        wait: Duration,
        /// Why the one that was asked all the same failed.
        cause: Box<Failure>,
    },
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
    /// Its `Retry-After`, in whole seconds.
    pub retry_after: Option<u64>,
}

impl Refusal {
    /// Whether it refuses the request because of this parameter.
    #[must_use]
    pub fn names(&self, param: &str) -> bool {
        let Some(error) = &self.error else { return false };
        matches!(self.effective_status().as_u16(), 400 | 422)
            && (error.message.contains(param) || error.param.as_ref().is_some_and(|named| named.contains(param)))
    }

    /// A fault of the upstream's, or of how it is set up here: its key, its address.
    fn is_the_targets_fault(&self) -> bool {
        let status = self.effective_status();
        status.is_server_error() || status.is_redirection() || matches!(status.as_u16(), 401 | 403)
    }

    /// 408, 429 and 503: not now.
    fn is_overload(&self) -> bool {
        matches!(self.effective_status().as_u16(), 408 | 429 | 503)
    }

    /// The label for logs and metrics.
    fn reason(&self) -> &'static str {
        match self.effective_status().as_u16() {
            401 | 403 => "refused_auth",
            429 => "refused_429",
            300..=399 => "refused_3xx",
            400..=499 => "refused_4xx",
            _ => "refused_5xx",
        }
    }

    /// The status that the refusal amounts to. Some servers answer 200 and put the real one into the error's code.
    #[must_use]
    pub fn effective_status(&self) -> http::StatusCode {
        if !self.status.is_success() {
            return self.status;
        }
        let code = self.error.as_ref().and_then(|error| error.code.as_deref());
        code.and_then(|code| code.parse::<u16>().ok())
            .filter(|code| (400..600).contains(code))
            .and_then(|code| http::StatusCode::from_u16(code).ok())
            .unwrap_or(http::StatusCode::BAD_GATEWAY)
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
            Self::Closed => "closed",
            Self::Malformed(_) => "malformed",
            Self::AllOut { .. } => "all_out",
            Self::Refused(refusal) => refusal.reason(),
        }
    }

    /// Whether another target may do better. Asked only while nothing has reached the client.
    #[must_use]
    pub fn may_be_retried(&self) -> bool {
        match self {
            Self::Unreachable(_) | Self::Closed | Self::Malformed(_) => true,
            Self::Timeout(deadline) => *deadline != Deadline::Total,
            Self::AllOut { .. } => false,
            Self::Refused(refusal) => refusal.is_overload() || refusal.is_the_targets_fault(),
        }
    }

    /// Whether it speaks against the target, and not against what it was asked.
    #[must_use]
    pub fn is_the_targets_fault(&self) -> bool {
        match self {
            Self::Unreachable(_) | Self::Closed | Self::Malformed(_) | Self::Timeout(_) => true,
            Self::AllOut { .. } => false,
            Self::Refused(refusal) => refusal.is_the_targets_fault(),
        }
    }

    /// Whether the upstream has certainly generated nothing.
    #[must_use]
    pub fn cost_nothing(&self) -> bool {
        match self {
            Self::Unreachable(_) | Self::Refused(_) | Self::Timeout(Deadline::Connect) => true,
            Self::AllOut { cause, .. } => cause.cost_nothing(),
            Self::Timeout(_) | Self::Closed | Self::Malformed(_) => false,
        }
    }

    /// How long the upstream asked to be left alone.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Refused(refusal) if refusal.is_overload() => refusal.retry_after.map(Duration::from_secs),
            _ => None,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreachable(error) => write!(f, "unreachable: {error}"),
            Self::Timeout(_) | Self::Closed | Self::AllOut { .. } => f.write_str(self.reason()),
            Self::Malformed(what) => write!(f, "malformed: {what}"),
            Self::Refused(refusal) => write!(f, "refused with status {}", refusal.status.as_u16()),
        }
    }
}

impl std::error::Error for Failure {}
