//! The wait before a retry at the same target.

use std::time::Duration;

use crate::config::Backoff;

/// Exponential backoff with jitter. The first retry (`nth` 0) waits between `from` and twice that; both bounds double
/// with each further retry, and are at most `to` and half of it. The jitter spreads the retries of requests that failed
/// together.
pub(super) fn backoff(Backoff { from, to }: Backoff, nth: u32) -> Duration {
    let max = from.saturating_mul(2 << nth.min(20)).min(to);
    let min = from.max(max / 2);
    // The maximum if the operating system has no random bytes.
    let share = getrandom::u32().map_or(1.0, |random| f64::from(random) / f64::from(u32::MAX));
    min + max.saturating_sub(min).mul_f64(share)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_within_their_bounds_and_are_random() {
        let ms = Duration::from_millis;
        let rules = Backoff { from: ms(250), to: ms(2_000) };
        for (nth, min, max) in
            [(0, 250, 500), (1, 500, 1_000), (2, 1_000, 2_000), (3, 1_000, 2_000), (99, 1_000, 2_000)]
        {
            let drawn: Vec<_> = (0..100).map(|_| backoff(rules, nth)).collect();
            assert!(drawn.iter().all(|wait| (ms(min)..=ms(max)).contains(wait)), "{nth}: {drawn:?}");
            assert!(drawn.iter().max() > drawn.iter().min(), "{nth}");
        }
        assert_eq!(backoff(Backoff { from: ms(7), to: ms(7) }, 3), ms(7));
    }
}
