//! Why an answer can't be translated.

use std::fmt;

use crate::wire::scan::Malformed;

/// An upstream's answer can't be translated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TranslationError {
    /// It is not what its API defines.
    Malformed,
    /// What must be kept of it is longer than the bound.
    TooLong,
}

impl fmt::Display for TranslationError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Malformed => "the upstream's answer is not what its API defines",
            Self::TooLong => "the upstream's answer is too long to be translated",
        })
    }
}

impl std::error::Error for TranslationError {}

impl From<Malformed> for TranslationError {
    fn from(_: Malformed) -> Self {
        Self::Malformed
    }
}
