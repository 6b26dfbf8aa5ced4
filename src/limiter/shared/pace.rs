//! How fast a replica spends.

const SECOND: u64 = 1_000_000_000;

/// Tokens spent in the current second and in the one before.
#[derive(Debug, Default)]
pub(super) struct Pace {
    /// Nanoseconds of the clock.
    began: u64,
    current: u64,
    previous: u64,
}

impl Pace {
    /// Counts tokens that are spent `now`.
    pub(super) fn add(&mut self, tokens: u64, now: u64) {
        self.turn(now);
        self.current = self.current.saturating_add(tokens);
    }

    /// Tokens a second.
    pub(super) fn rate(&mut self, now: u64) -> u64 {
        self.turn(now);
        self.current.max(self.previous)
    }

    fn turn(&mut self, now: u64) {
        let age = now.saturating_sub(self.began);
        if age >= 2 * SECOND {
            *self = Self { began: now, current: 0, previous: 0 };
        } else if age >= SECOND {
            *self = Self { began: self.began + SECOND, current: 0, previous: self.current };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_is_that_of_the_busier_of_two_seconds() {
        let mut pace = Pace::default();
        let start = 1_000 * SECOND;
        assert_eq!(pace.rate(start), 0);
        pace.add(5, start);
        pace.add(3, start + SECOND / 2);
        assert_eq!(pace.rate(start + SECOND / 2), 8);
        pace.add(2, start + SECOND);
        assert_eq!(pace.rate(start + SECOND), 8, "the second before");
        assert_eq!(pace.rate(start + 2 * SECOND), 2);
        assert_eq!(pace.rate(start + 9 * SECOND), 0);
    }
}
