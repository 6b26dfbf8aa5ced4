//! Whether a target is fit to be asked, judged by the answers it has given.
//!
//! Passive: nothing is sent to find out. A target is ejected after so many failures in a row, for a time that doubles
//! with each ejection; when that is over, one request probes it while the others still pass it by. An upstream that
//! says `retry-after` is left alone for as long as it said.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::config::Ejection;

/// An upstream that asks for more patience than this is asked again all the same.
const MOST_PATIENCE: Duration = Duration::from_secs(10 * 60);

/// See the module.
pub(super) struct Health {
    rules: Ejection,
    // std Mutex: never held across .await
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Failures in a row.
    failures: u32,
    /// Ejections since it last was well: the exponent of the next one's length.
    ejections: u32,
    ejected_until: Option<Instant>,
    /// What the upstream itself asked for.
    waits_until: Option<Instant>,
    /// A request is out to see whether it is well again.
    probing: bool,
}

/// Whether a target may be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    In,
    /// Its time is over; the next request finds out.
    Probe,
    Out {
        until: Instant,
    },
}

impl Health {
    pub(super) fn new(rules: Ejection) -> Self {
        Self { rules, state: Mutex::default() }
    }

    pub(super) fn standing(&self, now: Instant) -> Standing {
        let state = self.state();
        let until = state.ejected_until.max(state.waits_until);
        match until {
            Some(until) if until > now => Standing::Out { until },
            // Ejected, and another request is finding out.
            Some(until) if state.probing => Standing::Out { until: until.max(now) },
            Some(_) if state.ejected_until.is_some() => Standing::Probe,
            _ => Standing::In,
        }
    }

    /// Failures in a row.
    pub(super) fn failures(&self) -> u32 {
        self.state().failures
    }

    /// A request goes to the target. Says whether it is the probe.
    pub(super) fn begin(&self, now: Instant) -> bool {
        let mut state = self.state();
        let probes = !state.probing && state.ejected_until.is_some_and(|until| until <= now);
        state.probing |= probes;
        probes
    }

    /// The target answered as it should.
    pub(super) fn well(&self) {
        *self.state() = State::default();
    }

    /// The target failed. Says whether that got it ejected.
    pub(super) fn failed(&self, now: Instant) -> bool {
        let mut state = self.state();
        state.failures = state.failures.saturating_add(1);
        let probed = std::mem::take(&mut state.probing);
        let enough = self.rules.failures > 0 && state.failures >= self.rules.failures;
        // Requests that began before the ejection say nothing new.
        let already = state.ejected_until.is_some_and(|until| until > now);
        if already || !(enough || probed) {
            return false;
        }
        let length = self.rules.base.saturating_mul(1 << state.ejections.min(20)).min(self.rules.max);
        state.ejections += 1;
        state.ejected_until = Some(now + length);
        true
    }

    /// The upstream asked to be left alone for a while.
    pub(super) fn wait(&self, now: Instant, time: Duration) {
        let mut state = self.state();
        state.probing = false;
        state.waits_until = state.waits_until.max(Some(now + time.min(MOST_PATIENCE)));
    }

    /// The probe came to nothing either way: the client left.
    pub(super) fn probe_lost(&self) {
        self.state().probing = false;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn health() -> (Health, Instant) {
        let rules = Ejection { failures: 2, base: Duration::from_secs(10), max: Duration::from_secs(30) };
        (Health::new(rules), Instant::now())
    }

    #[tokio::test]
    async fn failures_in_a_row_eject_and_a_success_between_them_does_not() {
        let (health, now) = health();
        assert!(!health.failed(now));
        health.well();
        assert!(!health.failed(now));
        assert!(health.failed(now));
        assert_eq!(health.standing(now), Standing::Out { until: now + Duration::from_secs(10) });
    }

    #[tokio::test]
    async fn one_probe_at_a_time_and_a_failed_one_doubles_the_time() {
        let (health, mut now) = health();
        health.failed(now);
        health.failed(now);
        for seconds in [10, 20, 30, 30] {
            assert!(
                matches!(health.standing(now), Standing::Out { until } if until == now + Duration::from_secs(seconds))
            );
            now += Duration::from_secs(seconds);
            assert_eq!(health.standing(now), Standing::Probe);
            assert!(health.begin(now));
            assert!(matches!(health.standing(now), Standing::Out { .. }), "others wait for the probe");
            assert!(!health.begin(now));
            assert!(health.failed(now));
        }
        now += Duration::from_secs(30);
        assert!(health.begin(now));
        health.probe_lost();
        assert_eq!(health.standing(now), Standing::Probe);
        health.well();
        assert_eq!(health.standing(now), Standing::In);
    }

    #[tokio::test]
    async fn an_upstreams_own_wish_is_honoured_within_reason() {
        let (health, now) = health();
        health.wait(now, Duration::from_secs(7));
        assert_eq!(health.standing(now), Standing::Out { until: now + Duration::from_secs(7) });
        assert_eq!(health.standing(now + Duration::from_secs(7)), Standing::In);
        health.wait(now, Duration::from_secs(1_000_000));
        assert_eq!(health.standing(now), Standing::Out { until: now + MOST_PATIENCE });
    }
}
