//! Metrics of Redis, and of what replicas share in it.

use std::time::Duration;

use super::counters::{Counter, CounterMap, Gauge};
use super::histogram::{Histogram, REDIS_CALL};

/// Results of calls with a label of their own.
const MAX_RESULTS: usize = 8;

/// The metrics of Redis; using them takes no lock.
#[derive(Debug)]
pub struct RedisMetrics {
    pub(super) calls: CounterMap<&'static str, MAX_RESULTS>,
    pub(super) seconds: Histogram,
    pub(super) up: Gauge,
    pub(super) reconnects: Counter,
    pub(super) replicas: Gauge,
    pub(super) sent: Counter,
    pub(super) received: Counter,
    pub(super) invalid: Counter,
    pub(super) delay: Histogram,
}

impl Default for RedisMetrics {
    fn default() -> Self {
        Self {
            calls: CounterMap::default(),
            seconds: Histogram::new(&REDIS_CALL),
            up: Gauge::default(),
            reconnects: Counter::default(),
            replicas: Gauge::default(),
            sent: Counter::default(),
            received: Counter::default(),
            invalid: Counter::default(),
            delay: Histogram::new(&REDIS_CALL),
        }
    }
}

impl RedisMetrics {
    /// Counts a call by its result; `time` is none if it was not sent.
    pub fn called(&self, result: &'static str, time: Option<Duration>) {
        self.calls.counter(result).add(1);
        if let Some(time) = time {
            self.seconds.observe_time(time);
        }
    }

    /// Sets whether Redis is reached.
    pub fn reached(&self, is_up: bool) {
        self.up.set(usize::from(is_up));
    }

    /// Counts a connection in place of one that had failed.
    pub fn reconnected(&self) {
        self.reconnects.add(1);
    }

    /// Sets the number of live replicas.
    pub fn replicas(&self, live: u32) {
        self.replicas.set(usize::try_from(live).unwrap_or(usize::MAX));
    }

    /// Counts a commit notification that was published.
    pub fn notification_sent(&self) {
        self.sent.add(1);
    }

    /// Counts a commit notification of another replica.
    pub fn notification_received(&self) {
        self.received.add(1);
    }

    /// Counts a message that is no commit notification.
    pub fn notification_invalid(&self) {
        self.invalid.add(1);
    }

    /// Records how long a commit notification took to come back to its sender.
    pub fn notification_delay(&self, time: Duration) {
        self.delay.observe_time(time);
    }
}
