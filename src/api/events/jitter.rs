//! Chance, so that many who wait for the same thing don't come at the same moment.

use std::time::Duration;

/// A random time from nothing to `most`. `most` itself where the operating system has no random bytes to give.
#[must_use]
pub fn jitter(most: Duration) -> Duration {
    let mut bytes = [0_u8; 4];
    if getrandom::fill(&mut bytes).is_err() {
        return most;
    }
    most.mul_f64(f64::from(u32::from_ne_bytes(bytes)) / f64::from(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_within_its_bounds_and_not_always_the_same() {
        let most = Duration::from_secs(10);
        let drawn: Vec<_> = (0..100).map(|_| jitter(most)).collect();
        assert!(drawn.iter().all(|time| *time <= most));
        assert!(drawn.iter().min() < Some(&(most / 4)) && drawn.iter().max() > Some(&(most * 3 / 4)), "{drawn:?}");
        assert_eq!(jitter(Duration::ZERO), Duration::ZERO);
    }
}
