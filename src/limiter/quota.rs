//! The remaining quota of a limit.

use std::time::Duration;

/// The remaining quota of a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quota {
    /// The limit per minute.
    pub limit: u64,
    /// The amount left now.
    pub remaining: u64,
    /// Time until all of it is left again.
    pub reset: Duration,
}

/// The quota with less left.
pub(super) fn tighter(one: Option<Quota>, other: Option<Quota>) -> Option<Quota> {
    match (one, other) {
        (Some(one), Some(other)) => Some(if other.remaining < one.remaining { other } else { one }),
        (one, other) => one.or(other),
    }
}
