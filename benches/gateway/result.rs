//! The error type of the benchmark: a message for its user.

use std::error::Error;

/// A failure, described in words.
pub(crate) type Failure = Box<dyn Error + Send + Sync>;
/// A result whose error is a [`Failure`].
pub(crate) type Result<T> = std::result::Result<T, Failure>;
