//! How long a request waits before it asks the same target again.

use std::time::Duration;

use crate::config::Backoff;

/// A random time: before the first repetition (`nth` 0) between the shortest wait and twice as long, then doubled each
/// time, up to the longest. Random, so that requests that failed together don't come back together.
pub(super) fn backoff(Backoff { from, to }: Backoff, nth: u32) -> Duration {
    let most = from.saturating_mul(2 << nth.min(20)).min(to);
    let least = from.max(most / 2);
    // Where the operating system has no random bytes to give, the longest.
    let share = getrandom::u32().map_or(1.0, |random| f64::from(random) / f64::from(u32::MAX));
    least + most.saturating_sub(least).mul_f64(share)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_within_their_bounds_and_are_not_always_the_same() {
        let ms = Duration::from_millis;
        let rules = Backoff { from: ms(250), to: ms(2_000) };
        for (nth, least, most) in
            [(0, 250, 500), (1, 500, 1_000), (2, 1_000, 2_000), (3, 1_000, 2_000), (99, 1_000, 2_000)]
        {
            let drawn: Vec<_> = (0..100).map(|_| backoff(rules, nth)).collect();
            assert!(drawn.iter().all(|wait| (ms(least)..=ms(most)).contains(wait)), "{nth}: {drawn:?}");
            assert!(drawn.iter().max() > drawn.iter().min(), "{nth}");
        }
        assert_eq!(backoff(Backoff { from: ms(7), to: ms(7) }, 3), ms(7));
    }
}
