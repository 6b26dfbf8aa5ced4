//! The health of a target, judged by the responses that it has given (a passive circuit breaker).
//!
//! No request is sent only to check a target: a completion costs money, and nothing else shows that one would succeed.
//! A target is ejected after [`Ejection::failures`] failures in a row, for a time that doubles with each ejection. When
//! that time is over, the target is half open: the next request is the probe, and other requests still avoid the
//! target. The first event of the probe's response ends the ejection; a failure ejects the target again. A probe
//! without a result within [`Ejection::max`] is replaced by the next request. So a target that has recovered gets a
//! request again after at most [`Ejection::max`]; if there is none at that time, the next request is the probe, and
//! fails over if it fails.
//!
//! A target that answered with a rate limit is paused for the time that it named, and no failure is counted. Where it
//! named no time, the pause is short, and doubles with each further rate limit.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::config::Ejection;

/// Longest pause that an upstream can ask for.
const MAX_PAUSE: Duration = Duration::from_secs(10 * 60);
/// Pause after a first rate limit that names no time. Doubled pauses are at most [`Ejection::max`].
const RATE_LIMIT_PAUSE: Duration = Duration::from_secs(1);

/// The health of one target; clones share it.
#[derive(Clone)]
pub(super) struct Health {
    rules: Ejection,
    // std Mutex: never held across .await
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    /// Failures in a row.
    failures: u32,
    /// Ejections since the last success: the exponent of the next one's length.
    ejections: u32,
    /// Rate limits in a row that named no time: the exponent of the next pause.
    rate_limits: u32,
    ejected: Option<Period>,
    /// The pause that the upstream asked for.
    paused: Option<Period>,
    /// When the probe was sent, while it has no result.
    probe_started: Option<Instant>,
}

/// A time in which a target gets no requests.
#[derive(Clone, Copy)]
struct Period {
    since: Instant,
    until: Instant,
}

/// Whether a target may get a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Availability {
    Healthy,
    /// The ejection is over; the next request is the probe.
    HalfOpen,
    /// Ejected or paused, or another request probes it.
    Ejected {
        until: Instant,
    },
}

impl Health {
    pub(super) fn new(rules: Ejection) -> Self {
        Self { rules, state: Arc::default() }
    }

    /// The same health, judged by other rules from now on.
    pub(super) fn with_rules(&self, rules: Ejection) -> Self {
        Self { rules, state: Arc::clone(&self.state) }
    }

    pub(super) fn availability(&self, now: Instant) -> Availability {
        let state = self.state();
        let until = |period: Option<Period>| period.map(|period| period.until);
        match until(state.ejected).max(until(state.paused)) {
            Some(until) if until > now => Availability::Ejected { until },
            // The ejection is over, and another request is the probe.
            Some(until) if self.is_probe_pending(&state, now) => Availability::Ejected { until: until.max(now) },
            Some(_) if state.ejected.is_some() => Availability::HalfOpen,
            _ => Availability::Healthy,
        }
    }

    /// Whether a probe has been sent and is not overdue.
    fn is_probe_pending(&self, state: &State, now: Instant) -> bool {
        state.probe_started.is_some_and(|since| now < since + self.rules.max)
    }

    /// Failures in a row.
    pub(super) fn failures(&self) -> u32 {
        self.state().failures
    }

    /// Records that a request is sent to the target. Returns whether it is the probe.
    pub(super) fn begin_request(&self, now: Instant) -> bool {
        let mut state = self.state();
        let is_probe = state.ejected.is_some_and(|ejected| ejected.until <= now) && !self.is_probe_pending(&state, now);
        if is_probe {
            state.probe_started = Some(now);
        }
        is_probe
    }

    /// Ends the ejection: the probe's response has begun. The failures are still counted, so that one more ejects the
    /// target again.
    pub(super) fn end_ejection(&self) {
        let mut state = self.state();
        state.probe_started = None;
        state.ejected = None;
    }

    /// Records a complete response to a request that was sent at `started_at`. Returns whether the target is not
    /// ejected now: a response to a request from before an ejection or a pause does not end it.
    pub(super) fn record_success(&self, started_at: Instant) -> bool {
        let mut state = self.state();
        let is_stale = |period: &Option<Period>| period.is_some_and(|period| started_at < period.since);
        if is_stale(&state.ejected) {
            return false;
        }
        let paused = state.paused.take().filter(|pause| started_at < pause.since);
        let rate_limits = if paused.is_some() { state.rate_limits } else { 0 };
        *state = State { paused, rate_limits, ..State::default() };
        true
    }

    /// Records a failure. Returns whether it ejected the target.
    pub(super) fn record_failure(&self, now: Instant) -> bool {
        let mut state = self.state();
        state.failures = state.failures.saturating_add(1);
        let was_probe = state.probe_started.take().is_some();
        let is_enough = self.rules.failures > 0 && state.failures >= self.rules.failures;
        // Requests from before the ejection don't prolong it.
        let is_ejected = state.ejected.is_some_and(|ejected| ejected.until > now);
        if is_ejected || !(is_enough || was_probe) {
            return false;
        }
        let length = doubled(self.rules.base, state.ejections).min(self.rules.max);
        state.ejections += 1;
        state.ejected = Some(Period { since: now, until: now + length });
        true
    }

    /// Pauses the target, which asked for it: for `time`, at most [`MAX_PAUSE`], or for a doubling time if it named
    /// none.
    pub(super) fn pause(&self, now: Instant, time: Option<Duration>) {
        let mut state = self.state();
        state.probe_started = None;
        let current = state.paused.filter(|pause| pause.until > now);
        let time = time.filter(|time| !time.is_zero()).map_or_else(
            || {
                // Rate limits within one pause count once.
                state.rate_limits += u32::from(current.is_none());
                doubled(RATE_LIMIT_PAUSE, state.rate_limits.saturating_sub(1)).min(self.rules.max)
            },
            |time| time.min(MAX_PAUSE),
        );
        let until = current.map_or(now + time, |current| current.until.max(now + time));
        state.paused = Some(Period { since: now, until });
    }

    /// Forgets a probe that ended without a result, such as when the client left.
    pub(super) fn cancel_probe(&self) {
        self.state().probe_started = None;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// `time`, doubled `count` times.
fn doubled(time: Duration, count: u32) -> Duration {
    time.saturating_mul(1 << count.min(20))
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
        assert!(!health.record_failure(now));
        health.record_success(now);
        assert!(!health.record_failure(now));
        assert!(health.record_failure(now));
        assert_eq!(health.availability(now), Availability::Ejected { until: now + seconds(10) });
    }

    #[tokio::test]
    async fn one_request_probes_at_a_time_and_a_failed_probe_doubles_the_ejection() {
        let (health, mut now) = health();
        health.record_failure(now);
        health.record_failure(now);
        for length in [10, 20, 30, 30] {
            assert!(
                matches!(health.availability(now), Availability::Ejected { until } if until == now + seconds(length))
            );
            now += seconds(length);
            assert_eq!(health.availability(now), Availability::HalfOpen);
            assert!(health.begin_request(now));
            assert!(
                matches!(health.availability(now), Availability::Ejected { .. }),
                "other requests avoid it during the probe"
            );
            assert!(!health.begin_request(now));
            assert!(health.record_failure(now));
        }
        now += seconds(30);
        assert!(health.begin_request(now));
        health.cancel_probe();
        assert_eq!(health.availability(now), Availability::HalfOpen);
        health.record_success(now);
        assert_eq!(health.availability(now), Availability::Healthy);
    }

    #[tokio::test]
    async fn the_first_event_of_a_probe_ends_the_ejection_and_one_failure_ejects_again() {
        let (health, mut now) = health();
        health.record_failure(now);
        health.record_failure(now);
        now += seconds(10);
        assert!(health.begin_request(now));
        health.end_ejection();
        assert_eq!(health.availability(now), Availability::Healthy, "its stream may go on for an hour");
        assert!(!health.begin_request(now), "it is no longer a probe");
        assert!(health.record_failure(now));
        assert_eq!(health.availability(now), Availability::Ejected { until: now + seconds(20) });
    }

    #[tokio::test]
    async fn a_probe_without_a_result_is_replaced_after_the_longest_ejection() {
        let (health, mut now) = health();
        health.record_failure(now);
        health.record_failure(now);
        now += seconds(10);
        assert!(health.begin_request(now));
        now += seconds(29);
        assert!(!health.begin_request(now));
        now += seconds(1);
        assert_eq!(health.availability(now), Availability::HalfOpen);
        assert!(health.begin_request(now));
    }

    #[tokio::test]
    async fn a_pause_that_the_upstream_asks_for_is_bounded() {
        let (health, now) = health();
        health.pause(now, Some(seconds(7)));
        assert_eq!(health.availability(now), Availability::Ejected { until: now + seconds(7) });
        assert_eq!(health.availability(now + seconds(7)), Availability::Healthy);
        health.pause(now, Some(seconds(1_000_000)));
        assert_eq!(health.availability(now), Availability::Ejected { until: now + MAX_PAUSE });
    }

    #[tokio::test]
    async fn rate_limits_that_name_no_time_pause_for_a_doubling_time() {
        let (health, mut now) = health();
        for length in [1, 2, 4, 8, 16, 30, 30] {
            health.pause(now, None);
            // Another request was in flight.
            health.pause(now, Some(Duration::ZERO));
            assert_eq!(health.availability(now), Availability::Ejected { until: now + seconds(length) });
            now += seconds(length);
            assert_eq!(health.availability(now), Availability::Healthy);
        }
        assert_eq!(health.failures(), 0, "a rate limit is not a failure");
        health.record_success(now);
        health.pause(now, None);
        assert_eq!(health.availability(now), Availability::Ejected { until: now + seconds(1) });
    }

    #[tokio::test]
    async fn a_response_to_a_request_from_before_an_ejection_does_not_end_it() {
        let (health, started_at) = health();
        let now = started_at + seconds(1);
        health.pause(now, Some(seconds(60)));
        assert!(health.record_success(started_at));
        assert_eq!(health.availability(now), Availability::Ejected { until: now + seconds(60) });
        health.record_failure(now);
        health.record_failure(now);
        assert!(!health.record_success(started_at));
        assert_eq!((health.availability(now + seconds(61)), health.failures()), (Availability::HalfOpen, 2));
        assert!(health.record_success(now));
        assert_eq!((health.availability(now), health.failures()), (Availability::Healthy, 0));
    }
}
