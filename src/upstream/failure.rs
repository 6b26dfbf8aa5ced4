//! Failures of upstreams. A [`Failure`] describes what happened; the module `error` maps it to the client's response.

use std::fmt;
use std::io;
use std::time::Duration;

use crate::bound::Exceeded;
use crate::http::client;
use crate::wire::quirks::is_context_overflow;

/// The deadline of an upstream request that was exceeded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deadline {
    /// Name resolution, TCP and TLS.
    Connect,
    /// The first event of a stream, or the head of a response that is not a stream.
    FirstToken,
    /// The time without a byte within a response.
    Idle,
    /// The whole request.
    Total,
}

/// Why a request to an upstream failed.
#[derive(Debug)]
pub enum Failure {
    /// No connection: name resolution, TCP or TLS failed. Nothing was sent.
    Unreachable(io::Error),
    /// A deadline was exceeded.
    Timeout(Deadline),
    /// The connection ended before the head of the response.
    Unanswered,
    /// The connection ended within the response.
    Closed,
    /// The response violates the protocol, in this way.
    Malformed(&'static str),
    /// A valid response without any part of a completion; the text says what it contains instead.
    Empty(&'static str),
    /// Every target of the model is ejected, and the request to the one whose ejection ends first failed too.
    AllEjected {
        /// The time until the first ejection ends.
        wait: Duration,
        /// The failure of that request.
        cause: Box<Failure>,
    },
    /// The memory bound for responses is reached, the total one or that of the API key.
    NoMemory(Exceeded),
    /// A response with a status other than success, or an error object at the beginning of a stream.
    Refused(Refusal),
}

/// An error response of an upstream.
#[derive(Debug)]
pub struct Refusal {
    /// The status; 200 if the error came as the first frame of a stream.
    pub status: http::StatusCode,
    /// The error object, if there is one.
    pub error: Option<crate::wire::envelope::ErrorBody>,
    /// The wait until a retry that the upstream asked for, in any of the known headers; at most a day.
    pub retry_after: Option<Duration>,
}

impl Refusal {
    /// Whether the request was refused because of the parameter `param`.
    #[must_use]
    pub fn concerns_param(&self, param: &str) -> bool {
        let Some(error) = &self.error else { return false };
        matches!(self.effective_status().as_u16(), 400 | 422)
            && (error.message.contains(param) || error.param.as_ref().is_some_and(|named| named.contains(param)))
    }

    /// Whether the cause is the upstream, or its configuration here: the key, the account, the address.
    fn is_target_fault(&self) -> bool {
        let status = self.effective_status();
        // Hugging Face's servers answer 424 if the generation failed.
        status.is_server_error() || status.as_u16() == 424 || self.is_misconfigured()
    }

    /// Whether the cause is the configuration or the location of the target. Nothing was generated, and another target
    /// may accept the request.
    ///
    /// A 404 counts if its error has neither a type nor a code: the server has no such path, so `base_url` is wrong.
    /// Any other 404 is OpenAI's response to an unknown model, whose name may be the client's choice.
    #[must_use]
    pub fn is_misconfigured(&self) -> bool {
        let status = self.effective_status();
        match status.as_u16() {
            401 | 402 | 403 | 405 | 407 | 410 | 421 | 425 | 451 => true,
            404 => self.error.as_ref().is_none_or(|error| error.kind.is_empty() && error.code.is_none()),
            _ => status.is_redirection(),
        }
    }

    /// Whether the account's quota is used up, which does not change within seconds.
    fn is_quota(&self) -> bool {
        self.error.as_ref().is_some_and(|error| error.code.as_deref() == Some("insufficient_quota"))
    }

    /// Whether the refusal is temporary: 408, 429 or 503.
    fn is_overload(&self) -> bool {
        matches!(self.effective_status().as_u16(), 408 | 429 | 503)
    }

    /// Whether a rate limit or a quota was exceeded.
    fn is_rate_limit(&self) -> bool {
        self.effective_status().as_u16() == 429
    }

    /// Whether the target certainly did no work, and is now avoided for a time, or probed by one request at a time.
    fn did_no_work(&self) -> bool {
        let has_retry_after = self.is_overload() && self.retry_after.is_some();
        has_retry_after || self.is_rate_limit() || self.is_misconfigured()
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

    /// Whether the conversation exceeds the model's context. Some servers report that with status 500 or 200.
    #[must_use]
    pub fn is_overflow(&self) -> bool {
        let status = self.status;
        let is_possible = status.is_success() || status.is_server_error() || matches!(status.as_u16(), 400 | 413 | 422);
        is_possible && self.error.as_ref().is_some_and(is_context_overflow)
    }

    /// The status that the refusal stands for. Some servers answer 200 and put the status into the error's code; 502 if
    /// that is no status either.
    #[must_use]
    pub fn effective_status(&self) -> http::StatusCode {
        self.stated_status().unwrap_or(http::StatusCode::BAD_GATEWAY)
    }

    /// The status of the response, or else the one in the error's code.
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
            Self::AllEjected { .. } => "all_out",
            Self::Refused(refusal) => refusal.reason(),
        }
    }

    /// Whether the request may be retried at another target, provided that nothing has been sent to the client.
    #[must_use]
    pub fn may_be_retried(&self) -> bool {
        match self {
            Self::Unreachable(_) | Self::Unanswered | Self::Closed | Self::Malformed(_) | Self::Empty(_) => true,
            Self::Timeout(deadline) => *deadline != Deadline::Total,
            Self::AllEjected { .. } | Self::NoMemory(_) => false,
            Self::Refused(refusal) => refusal.is_overload() || refusal.is_target_fault(),
        }
    }

    /// Whether the cause is the target and not the request.
    #[must_use]
    pub fn is_target_fault(&self) -> bool {
        match self {
            Self::Unreachable(_)
            | Self::Unanswered
            | Self::Closed
            | Self::Malformed(_)
            | Self::Empty(_)
            | Self::Timeout(_) => true,
            Self::AllEjected { .. } | Self::NoMemory(_) => false,
            Self::Refused(refusal) => refusal.is_target_fault(),
        }
    }

    /// Whether the upstream has certainly generated nothing.
    #[must_use]
    pub fn generated_nothing(&self) -> bool {
        match self {
            Self::Unreachable(_) | Self::Refused(_) | Self::Empty(_) | Self::Timeout(Deadline::Connect) => true,
            Self::AllEjected { cause, .. } => cause.generated_nothing(),
            Self::Timeout(_) | Self::Unanswered | Self::Closed | Self::Malformed(_) | Self::NoMemory(_) => false,
        }
    }

    /// Whether a retry at another target adds no load, because the failed target was not reached or reported that it
    /// did no work. Such a retry is not charged to the retry budget; it counts as an attempt. After a 5xx or a broken
    /// connection, work may have been done. A 503 without a time is charged too: if all targets are overloaded, free
    /// retries would be a retry storm.
    #[must_use]
    pub fn is_free_elsewhere(&self) -> bool {
        match self {
            Self::Unreachable(_) | Self::Timeout(Deadline::Connect) => true,
            Self::Refused(refusal) => refusal.did_no_work(),
            _ => false,
        }
    }

    /// The wait before a retry at the same target: the one that it asked for, or zero. `None`: no retry, since there is
    /// no sign that it would succeed. Timeouts are not retried: a slow target does not become faster by a second
    /// request. A refusal that asks for more than `max_retry_after` is not retried either.
    #[must_use]
    pub fn same_target_delay(&self, max_retry_after: Duration) -> Option<Duration> {
        match self {
            Self::Unreachable(_) | Self::Unanswered => Some(Duration::ZERO),
            Self::Refused(refusal) => {
                let short = refusal.retry_after.filter(|wait| *wait <= max_retry_after && !max_retry_after.is_zero());
                // An error without a status may be caused by the request.
                match refusal.stated_status()?.as_u16() {
                    // A quota that is used up is not restored within a second, whatever the headers say.
                    429 => short.filter(|_| !refusal.is_quota()),
                    // Timeouts of proxies in front of the model: gateway, network read and network connect.
                    504 | 522 | 524 | 598 | 599 => None,
                    500..=599 if refusal.retry_after.is_none() => Some(Duration::ZERO),
                    500..=599 => short,
                    _ => None,
                }
            }
            _ => None,
        }
    }

    /// Whether a rate limit or a quota was exceeded.
    #[must_use]
    pub fn is_rate_limit(&self) -> bool {
        matches!(self, Self::Refused(refusal) if refusal.is_rate_limit())
    }

    /// Whether a generation probably began and took too long. For a response that is not a stream, a retry would begin
    /// another generation, which takes as long, while the client has already waited for one.
    #[must_use]
    pub const fn is_slow_generation(&self) -> bool {
        matches!(self, Self::Timeout(Deadline::FirstToken | Deadline::Idle))
    }

    /// Sets the wait until a retry, if the refusal is temporary.
    pub fn set_retry_after(&mut self, wait: Duration) {
        if let Self::Refused(refusal) = self
            && refusal.is_overload()
        {
            refusal.retry_after = Some(wait);
        }
    }

    /// The wait until a retry that the upstream asked for, if the refusal is temporary.
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
            Self::Timeout(_) | Self::Closed | Self::AllEjected { .. } | Self::NoMemory(_) => f.write_str(self.reason()),
            Self::Unanswered => f.write_str("closed before the answer"),
            Self::Malformed(what) | Self::Empty(what) => write!(f, "malformed: {what}"),
            Self::Refused(refusal) => write!(f, "refused with status {}", refusal.status.as_u16()),
        }
    }
}

impl std::error::Error for Failure {}
