//! Why a call has failed.

use std::fmt;

use redis::{ErrorKind, ServerErrorKind};

/// Longest text of an error, characters.
const MAX_TEXT_LEN: usize = 200;

/// Why a call has failed. Only [`RedisError::Answered`] says that the command was not executed; after the others it may
/// have been.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RedisError {
    /// There is no connection, or it was closed before the answer. Nothing was waited for.
    Down,
    /// There was no answer in time.
    TimedOut,
    /// So many calls wait for an answer that this one was not sent.
    Busy,
    /// Redis has answered with this error, or with a value of another type than expected. Commands of a pipeline beside
    /// the one that failed were executed.
    Answered(String),
}

impl fmt::Display for RedisError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Down => f.write_str("Redis can't be reached"),
            Self::TimedOut => f.write_str("Redis does not answer in time"),
            Self::Busy => f.write_str("too many calls wait for Redis"),
            Self::Answered(text) => write!(f, "Redis answers: {text}"),
        }
    }
}

impl std::error::Error for RedisError {}

/// What an error of the library means for the connection.
pub(super) enum Verdict {
    /// An answer of Redis; the connection is as good as before.
    Answered(String),
    /// An answer of Redis after which another server, or the same one later, has to be tried.
    Unusable(String),
    /// The connection is lost, or what came was no answer.
    Lost(String),
}

impl Verdict {
    /// Judges `error`.
    pub(super) fn of(error: &redis::RedisError) -> Self {
        let shown = text(error);
        match error.kind() {
            // A replica after a failover; a server that reads its data, or that has lost its primary; a password that
            // was set since.
            ErrorKind::Server(
                ServerErrorKind::ReadOnly
                | ServerErrorKind::BusyLoading
                | ServerErrorKind::MasterDown
                | ServerErrorKind::ClusterDown,
            ) => Self::Unusable(shown),
            ErrorKind::Extension if error.code() == Some("NOAUTH") => Self::Unusable(shown),
            ErrorKind::Server(_) | ErrorKind::Extension | ErrorKind::UnexpectedReturnType => Self::Answered(shown),
            _ => Self::Lost(shown),
        }
    }
}

/// The text of an error without the line breaks of a server, and at most so long.
pub(super) fn text(error: &dyn fmt::Display) -> String {
    let text = error.to_string();
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(MAX_TEXT_LEN).collect()
}
