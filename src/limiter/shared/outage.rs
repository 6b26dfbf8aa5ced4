//! What a replica admits by itself of one limit while the shared state can't be used.

use std::time::Duration;

use super::super::level::{Level, time_to_gain, tokens_up, units};

/// The share of a replica during one outage, and what it has admitted of it, to be charged afterwards.
#[derive(Debug, Default)]
pub(super) struct Outage {
    /// The number of the outage that `share` is of.
    number: u64,
    /// Tokens a minute.
    limit: u64,
    /// What is used of the share.
    share: Level,
    /// The part of `share` that the shared state has counted.
    counted: Level,
}

/// What a share is of.
#[derive(Debug)]
pub(super) struct Terms {
    /// Tokens a minute, of all replicas.
    pub(super) limit: u64,
    /// Units of it that are used, as far as is known. A new outage begins with a share that is as much used.
    pub(super) used: i128,
    /// The share is one of so many parts.
    pub(super) parts: u64,
    /// Whether the share stays as it was at the beginning of the outage.
    pub(super) stays: bool,
}

/// The share of a limit, a minute: the limit divided by the number of replicas, and at least one.
pub(super) fn share_of(limit: u64, replicas: u64) -> u64 {
    (limit / replicas.max(1)).max(1)
}

impl Outage {
    /// Takes `tokens` of the share.
    pub(super) fn take(&mut self, tokens: u64, number: u64, terms: &Terms, now: u64) -> Result<(), Duration> {
        let is_new = self.number != number;
        if is_new {
            let uncounted = self.uncounted(now);
            let counted = terms.used / i128::from(terms.parts.max(1));
            self.number = number;
            self.counted = Level { used: counted, at: now };
            self.share = Level { used: counted + uncounted, at: now };
        }
        if is_new || !terms.stays {
            self.limit = share_of(terms.limit, terms.parts);
        }
        self.refill(now);
        let limit = self.limit;
        let over = self.share.used + units(tokens) - units(limit);
        if over > 0 {
            return Err(time_to_gain(over, limit));
        }
        self.share.used += units(tokens);
        Ok(())
    }

    /// Corrects an estimate: `more` tokens were used than were taken, or fewer if it is negative.
    pub(super) fn settle(&mut self, more: i64, now: u64) {
        self.refill(now);
        let change = units(more.unsigned_abs()) * i128::from(more.signum());
        self.share.used = (self.share.used + change).max(0);
    }

    /// Tokens to charge to the shared state, rounded up.
    pub(super) fn uncharged(&mut self, now: u64) -> u64 {
        tokens_up(self.uncounted(now))
    }

    /// The shared state was charged with `tokens` of them.
    pub(super) fn charged(&mut self, tokens: u64) {
        self.counted.used = (self.counted.used + units(tokens)).min(self.share.used);
    }

    fn uncounted(&mut self, now: u64) -> i128 {
        self.refill(now);
        (self.share.used - self.counted.used).max(0)
    }

    fn refill(&mut self, now: u64) {
        self.share.refill(self.limit, now);
        self.counted.refill(self.limit, now);
    }
}
