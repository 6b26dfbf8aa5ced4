//! The wait before an attempt to connect.

use std::time::Duration;

use crate::time::jitter;

/// Longest wait before the first attempt to connect again.
const FIRST_DELAY: Duration = Duration::from_millis(50);
/// Longest wait before the second attempt; doubled with each further one up to the longest.
const BACKOFF: Duration = Duration::from_millis(100);
const MAX_BACKOFF: Duration = Duration::from_secs(1);

/// The wait before the `nth` attempt, the first being 0.
pub(super) fn delay(nth: u32) -> Duration {
    if nth == 0 {
        return jitter(FIRST_DELAY);
    }
    let longest = BACKOFF.saturating_mul(1 << (nth - 1).min(10)).min(MAX_BACKOFF);
    longest / 2 + jitter(longest / 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_a_second() {
        let ms = Duration::from_millis;
        for (nth, min, max) in
            [(0, 0, 50), (1, 50, 100), (2, 100, 200), (3, 200, 400), (5, 500, 1_000), (u32::MAX, 500, 1_000)]
        {
            let drawn: Vec<_> = (0..50).map(|_| delay(nth)).collect();
            assert!(drawn.iter().all(|wait| (ms(min)..=ms(max)).contains(wait)), "{nth}: {drawn:?}");
            assert!(drawn.iter().max() > drawn.iter().min(), "{nth}");
        }
    }
}
