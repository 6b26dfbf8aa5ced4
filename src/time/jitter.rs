//! Random delays, so that many clients that wait for the same thing do not come back at the same moment.

use std::time::Duration;

/// A random time from zero to `max`; `max` itself if the operating system has no random bytes.
#[must_use]
pub fn jitter(max: Duration) -> Duration {
    let mut bytes = [0_u8; 4];
    if getrandom::fill(&mut bytes).is_err() {
        return max;
    }
    max.mul_f64(f64::from(u32::from_ne_bytes(bytes)) / f64::from(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_within_its_bounds_and_not_always_the_same() {
        let max = Duration::from_secs(10);
        let drawn: Vec<_> = (0..100).map(|_| jitter(max)).collect();
        assert!(drawn.iter().all(|time| *time <= max));
        assert!(drawn.iter().min() < Some(&(max / 4)) && drawn.iter().max() > Some(&(max * 3 / 4)), "{drawn:?}");
        assert_eq!(jitter(Duration::ZERO), Duration::ZERO);
    }
}
