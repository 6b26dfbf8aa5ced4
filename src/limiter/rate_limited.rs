//! A refusal by a rate limit.

use std::fmt;
use std::time::Duration;

use crate::wire::go_duration::go_duration;

/// A kind of limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// Requests a minute.
    Requests,
    /// Tokens a minute.
    Tokens,
    /// Streams at once.
    Streams,
}

impl Limit {
    /// All kinds.
    pub const ALL: [Self; 3] = [Self::Requests, Self::Tokens, Self::Streams];

    /// The label for logs and metrics, which is its key in the configuration.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Requests => "requests_per_minute",
            Self::Tokens => "tokens_per_minute",
            Self::Streams => "concurrent_streams",
        }
    }

    /// The unit that it counts, as in the names of the headers.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Requests => "requests",
            Self::Tokens => "tokens",
            Self::Streams => "streams",
        }
    }
}

/// The owner of a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LimitOwner {
    /// The key's.
    Key,
    /// All keys together.
    Total,
}

impl LimitOwner {
    /// The label for logs and metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Key => "key",
            Self::Total => "total",
        }
    }
}

/// Why a limit refuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// It is used up.
    UsedUp,
    /// The state that replicas share can't be reached, and the configuration does not let replicas go on without it.
    Unavailable,
}

/// A refusal: the limit that is used up, and when it can be tried again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RateLimited {
    /// A kind of limit.
    pub what: Limit,
    /// Its owner.
    pub owner: LimitOwner,
    /// The limit: per minute, or for streams the number at once.
    pub limit: u64,
    /// The amount used.
    pub used: u64,
    /// The amount that the request needs.
    pub requested: u64,
    /// Time until the request fits; none: it never fits.
    pub retry_after: Option<Duration>,
    /// Whether it is used up, or unknown.
    pub cause: Cause,
}

impl RateLimited {
    /// The label for logs and metrics.
    #[must_use]
    pub const fn reason(&self) -> &'static str {
        self.what.label()
    }
}

impl fmt::Display for RateLimited {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { limit, used, requested, .. } = self;
        let owner = match self.owner {
            LimitOwner::Key => "your API key",
            LimitOwner::Total => "this server",
        };
        let what = match self.what {
            Limit::Requests => "requests per min (RPM)",
            Limit::Tokens => "tokens per min (TPM)",
            Limit::Streams => "concurrent streams",
        };
        if self.cause == Cause::Unavailable {
            return write!(
                f,
                "The rate limits of {owner} on {what} can't be checked at the moment. Please try again soon."
            );
        }
        match self.retry_after {
            None => {
                write!(f, "Request too large for {owner} on {what}: Limit {limit}, Requested {requested}. ")?;
                f.write_str("The input or output tokens must be reduced in order to run successfully.")
            }
            Some(_) if self.what == Limit::Streams => {
                write!(
                    f,
                    "Rate limit reached for {owner} on {what}: Limit {limit}, Used {used}, Requested {requested}. "
                )?;
                f.write_str("Please try again when another stream has ended.")
            }
            Some(wait) => {
                write!(
                    f,
                    "Rate limit reached for {owner} on {what}: Limit {limit}, Used {used}, Requested {requested}. "
                )?;
                write!(f, "Please try again in {}.", go_duration(wait))
            }
        }
    }
}
