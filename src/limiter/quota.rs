//! What is left of a limit.

use std::time::Duration;

/// What is left of a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quota {
    /// What is granted per minute.
    pub limit: u64,
    /// What is left now.
    pub remaining: u64,
    /// Time until all of it is left again.
    pub reset: Duration,
}

/// The one of which less is left.
pub(super) fn tighter(one: Option<Quota>, other: Option<Quota>) -> Option<Quota> {
    match (one, other) {
        (Some(one), Some(other)) => Some(if other.remaining < one.remaining { other } else { one }),
        (one, other) => one.or(other),
    }
}
