//! Whether a target is fit to be asked, judged by the answers it has given.
//!
//! Passive: nothing is sent to find out, since a completion costs money and nothing else shows that one would succeed. A
//! target is ejected after so many failures in a row, for a time that doubles with each ejection; when that is over, the
//! next request probes it while the others still pass it by. The first event of the probe brings it back; a failure after
//! that ejects it again. A probe that is not decided is followed by another one after the longest time of an ejection. So
//! a target is asked again at most [`Ejection::max`] after it is well, if there is a request then; where there is none,
//! the first one that comes is the probe, and fails over if it fails.
//!
//! A target that hit a rate limit is left alone for as long as it said, without being held for ill; where it did not say,
//! for a short while, which doubles with each further refusal.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::config::Ejection;

/// An upstream that asks for a longer wait than this is asked again all the same.
const MAX_WAIT: Duration = Duration::from_secs(10 * 60);
/// How long a target is left alone after a first rate limit that does not say until when; at most [`Ejection::max`].
const RATE_LIMIT_PAUSE: Duration = Duration::from_secs(1);

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
    /// Rate limits in a row that did not say until when: the exponent of the next pause.
    limits: u32,
    ejected: Option<Period>,
    /// What the upstream itself asked for.
    waits: Option<Period>,
    /// Since when a request is out to see whether it is well again.
    probing: Option<Instant>,
}

/// A time in which a target is left alone.
#[derive(Clone, Copy)]
struct Period {
    since: Instant,
    until: Instant,
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
        let until = |period: Option<Period>| period.map(|period| period.until);
        match until(state.ejected).max(until(state.waits)) {
            Some(until) if until > now => Standing::Out { until },
            // Ejected, and another request is finding out.
            Some(until) if self.is_probed(&state, now) => Standing::Out { until: until.max(now) },
            Some(_) if state.ejected.is_some() => Standing::Probe,
            _ => Standing::In,
        }
    }

    /// Whether a probe is out that is not overdue.
    fn is_probed(&self, state: &State, now: Instant) -> bool {
        state.probing.is_some_and(|since| now < since + self.rules.max)
    }

    /// Failures in a row.
    pub(super) fn failures(&self) -> u32 {
        self.state().failures
    }

    /// A request goes to the target. Says whether it is the probe.
    pub(super) fn begin(&self, now: Instant) -> bool {
        let mut state = self.state();
        let probes = state.ejected.is_some_and(|ejected| ejected.until <= now) && !self.is_probed(&state, now);
        if probes {
            state.probing = Some(now);
        }
        probes
    }

    /// The probe's answer has begun: the target is asked again like any other. What is known of its failures stays, so
    /// that one more ejects it.
    pub(super) fn back(&self) {
        let mut state = self.state();
        state.probing = None;
        state.ejected = None;
    }

    /// The target answered a request that began at `began` as it should. Says whether it may be asked now: an answer that
    /// was begun before the target was left alone says nothing of what came then.
    pub(super) fn well(&self, began: Instant) -> bool {
        let mut state = self.state();
        let stale = |period: &Option<Period>| period.is_some_and(|period| began < period.since);
        if stale(&state.ejected) {
            return false;
        }
        let waits = state.waits.take().filter(|wait| began < wait.since);
        let limits = if waits.is_some() { state.limits } else { 0 };
        *state = State { waits, limits, ..State::default() };
        true
    }

    /// The target failed. Says whether that got it ejected.
    pub(super) fn failed(&self, now: Instant) -> bool {
        let mut state = self.state();
        state.failures = state.failures.saturating_add(1);
        let probed = state.probing.take().is_some();
        let enough = self.rules.failures > 0 && state.failures >= self.rules.failures;
        // Requests that began before the ejection say nothing new.
        let already = state.ejected.is_some_and(|ejected| ejected.until > now);
        if already || !(enough || probed) {
            return false;
        }
        let length = doubled(self.rules.base, state.ejections).min(self.rules.max);
        state.ejections += 1;
        state.ejected = Some(Period { since: now, until: now + length });
        true
    }

    /// The upstream asked to be left alone: for `time`, or until its rate limit is over, without saying when.
    pub(super) fn wait(&self, now: Instant, time: Option<Duration>) {
        let mut state = self.state();
        state.probing = None;
        let known = state.waits.filter(|wait| wait.until > now);
        let time = time.filter(|time| !time.is_zero()).map_or_else(
            || {
                // Those that were asked at the same time say it once.
                state.limits += u32::from(known.is_none());
                doubled(RATE_LIMIT_PAUSE, state.limits.saturating_sub(1)).min(self.rules.max)
            },
            |time| time.min(MAX_WAIT),
        );
        let until = known.map_or(now + time, |known| known.until.max(now + time));
        state.waits = Some(Period { since: now, until });
    }

    /// The probe came to nothing either way: the client left.
    pub(super) fn probe_lost(&self) {
        self.state().probing = None;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// `time`, doubled so often.
fn doubled(time: Duration, often: u32) -> Duration {
    time.saturating_mul(1 << often.min(20))
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn health() -> (Health, Instant) {
        let rules = Ejection { failures: 2, base: seconds(10), max: seconds(30) };
        (Health::new(rules), Instant::now())
    }

    #[tokio::test]
    async fn failures_in_a_row_eject_and_a_success_between_them_does_not() {
        let (health, now) = health();
        assert!(!health.failed(now));
        health.well(now);
        assert!(!health.failed(now));
        assert!(health.failed(now));
        assert_eq!(health.standing(now), Standing::Out { until: now + seconds(10) });
    }

    #[tokio::test]
    async fn one_probe_at_a_time_and_a_failed_one_doubles_the_time() {
        let (health, mut now) = health();
        health.failed(now);
        health.failed(now);
        for length in [10, 20, 30, 30] {
            assert!(matches!(health.standing(now), Standing::Out { until } if until == now + seconds(length)));
            now += seconds(length);
            assert_eq!(health.standing(now), Standing::Probe);
            assert!(health.begin(now));
            assert!(matches!(health.standing(now), Standing::Out { .. }), "others wait for the probe");
            assert!(!health.begin(now));
            assert!(health.failed(now));
        }
        now += seconds(30);
        assert!(health.begin(now));
        health.probe_lost();
        assert_eq!(health.standing(now), Standing::Probe);
        health.well(now);
        assert_eq!(health.standing(now), Standing::In);
    }

    #[tokio::test]
    async fn the_beginning_of_a_probes_answer_brings_the_target_back_and_one_failure_ejects_it_again() {
        let (health, mut now) = health();
        health.failed(now);
        health.failed(now);
        now += seconds(10);
        assert!(health.begin(now));
        health.back();
        assert_eq!(health.standing(now), Standing::In, "its stream may go on for an hour");
        assert!(!health.begin(now), "it is no probe any more");
        assert!(health.failed(now));
        assert_eq!(health.standing(now), Standing::Out { until: now + seconds(20) });
    }

    #[tokio::test]
    async fn a_probe_that_is_not_decided_is_followed_by_another() {
        let (health, mut now) = health();
        health.failed(now);
        health.failed(now);
        now += seconds(10);
        assert!(health.begin(now));
        now += seconds(29);
        assert!(!health.begin(now));
        now += seconds(1);
        assert_eq!(health.standing(now), Standing::Probe);
        assert!(health.begin(now));
    }

    #[tokio::test]
    async fn an_upstreams_own_wish_is_honoured_within_reason() {
        let (health, now) = health();
        health.wait(now, Some(seconds(7)));
        assert_eq!(health.standing(now), Standing::Out { until: now + seconds(7) });
        assert_eq!(health.standing(now + seconds(7)), Standing::In);
        health.wait(now, Some(seconds(1_000_000)));
        assert_eq!(health.standing(now), Standing::Out { until: now + MAX_WAIT });
    }

    #[tokio::test]
    async fn a_rate_limit_that_does_not_say_until_when_is_a_pause_that_doubles() {
        let (health, mut now) = health();
        for length in [1, 2, 4, 8, 16, 30, 30] {
            health.wait(now, None);
            // Another request was on its way.
            health.wait(now, Some(Duration::ZERO));
            assert_eq!(health.standing(now), Standing::Out { until: now + seconds(length) });
            now += seconds(length);
            assert_eq!(health.standing(now), Standing::In);
        }
        assert_eq!(health.failures(), 0, "it is not ill");
        health.well(now);
        health.wait(now, None);
        assert_eq!(health.standing(now), Standing::Out { until: now + seconds(1) });
    }

    #[tokio::test]
    async fn an_answer_that_began_before_says_nothing_of_what_came_then() {
        let (health, began) = health();
        let now = began + seconds(1);
        health.wait(now, Some(seconds(60)));
        assert!(health.well(began));
        assert_eq!(health.standing(now), Standing::Out { until: now + seconds(60) });
        health.failed(now);
        health.failed(now);
        assert!(!health.well(began));
        assert_eq!((health.standing(now + seconds(61)), health.failures()), (Standing::Probe, 2));
        assert!(health.well(now));
        assert_eq!((health.standing(now), health.failures()), (Standing::In, 0));
    }
}
