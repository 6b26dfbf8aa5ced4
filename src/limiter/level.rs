//! How much of a limit a minute is used, in units that gain without rounding.

use std::time::Duration;

/// One token, in the unit of levels. With nanoseconds in a minute as the unit, a limit of N tokens a minute gains
/// exactly N units a nanosecond: no rounding, ever.
const TOKEN: i128 = 60_000_000_000;

/// Units missing from a full bucket, and when.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Level {
    /// Units that are used.
    pub(super) used: i128,
    /// Nanoseconds of the clock at which that was so.
    pub(super) at: u64,
}

impl Level {
    /// Adds what `limit` tokens a minute have gained until `now`.
    pub(super) fn refill(&mut self, limit: u64, now: u64) {
        let gained = i128::from(now.saturating_sub(self.at)) * i128::from(limit);
        self.used = (self.used - gained).max(0);
        self.at = self.at.max(now);
    }

    /// The level at `now`.
    pub(super) fn refilled(mut self, limit: u64, now: u64) -> Self {
        self.refill(limit, now);
        self
    }
}

/// Tokens in units.
pub(super) fn units(tokens: u64) -> i128 {
    i128::from(tokens) * TOKEN
}

/// Whole tokens, rounded up.
pub(super) fn tokens_up(units: i128) -> u64 {
    let token = TOKEN.unsigned_abs();
    u64::try_from(u128::try_from(units).unwrap_or(0).div_ceil(token)).unwrap_or(u64::MAX)
}

/// The time in which `limit` tokens a minute gain so many units.
pub(super) fn time_to_gain(units: i128, limit: u64) -> Duration {
    let nanos = u128::try_from(units).unwrap_or(0).div_ceil(u128::from(limit.max(1)));
    Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
}
