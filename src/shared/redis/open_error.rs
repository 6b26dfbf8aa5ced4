//! Why Redis could not be reached at the start.

use std::fmt;

use super::connection::CALL_TIMEOUT;

/// Why Redis could not be reached at the start. The text names host and port, and no secret.
#[derive(Clone, Debug)]
pub struct OpenError {
    /// Host and port.
    pub(super) server: String,
    pub(super) problem: Problem,
}

/// What was wrong at an attempt to connect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Problem {
    /// No connection was made.
    Connect(String),
    /// TLS was not agreed on.
    Tls(String),
    /// Redis refused user and password, or wants them.
    SignIn(String),
    /// Redis was reached, and refused to write a key.
    Refused(String),
    /// Redis was reached, and did not answer in time.
    Slow,
}

impl Problem {
    /// Whether it stays as long as the configuration of both sides is the same, so that there is nothing to wait for.
    pub(super) const fn is_permanent(&self) -> bool {
        matches!(self, Self::SignIn(_) | Self::Tls(_))
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connect(text) | Self::Tls(text) | Self::SignIn(text) | Self::Refused(text) => f.write_str(text),
            Self::Slow => write!(f, "no answer within {} ms", CALL_TIMEOUT.as_millis()),
        }
    }
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { server, problem } = self;
        let remedy = match problem {
            Problem::Connect(_) => "start Redis, or correct the address",
            Problem::Tls(_) => {
                "rediss:// is with TLS and redis:// without; SSL_CERT_FILE names the authorities to trust"
            }
            Problem::SignIn(_) => "correct user and password in the URL",
            Problem::Refused(_) => {
                "it must be a primary that has memory for more keys, and let the user write keys with this prefix"
            }
            Problem::Slow => "use a Redis in the same network, with less load",
        };
        write!(f, "redis: {server}: {problem}; {remedy} (--redis, PETSTREAM_REDIS or redis.url)")
    }
}

impl std::error::Error for OpenError {}
