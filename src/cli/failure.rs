//! Why a command failed.

use std::fmt::Display;

use petstream::config::ConfigError;

/// Why a command failed; decides the exit code.
pub(super) enum Failure {
    /// Wrong arguments.
    Usage(String),
    /// Every error of the configuration.
    Configuration(Vec<ConfigError>),
    /// The errors of the configuration that the server has found.
    Rejected(Vec<String>),
    /// Anything else.
    Fault(String),
    /// As [`Failure::Fault`], already reported on stderr.
    Reported,
}

/// A failure of the system or the database.
pub(super) fn fault(error: impl Display) -> Failure {
    Failure::Fault(error.to_string())
}

/// A problem as it is reported on stderr.
pub(super) fn message(problem: &str) -> String {
    format!("petstream: {problem}")
}
