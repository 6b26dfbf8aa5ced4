//! The sections `retries` and `ejection` of a model: what happens when an upstream fails.

use std::num::NonZeroU32;
use std::time::Duration;

use super::duration::{duration_between, duration_range, shown_duration};
use super::value::{percent, whole};
use super::walk::{Section, Walk, join};

/// Shortest ejection and backoff.
const MIN_TIME: Duration = Duration::from_millis(1);
/// Longest ejection.
const MAX_EJECTION: Duration = Duration::from_secs(60 * 60);

/// Longest backoff.
const MAX_BACKOFF: Duration = Duration::from_secs(60);

/// Further attempts after a failure, while nothing was sent to the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retries {
    /// Attempts for each request, the first included. Default 3, 1 to 10.
    pub attempts: NonZeroU32,
    /// Retries as a percentage of the model's requests, so that retries don't multiply the load of an outage. Attempts
    /// at another upstream after a failure that cost no work are not counted. Default 20, 0 to 100.
    pub budget_percent: u32,
    /// Retries a second that are allowed in addition, for models with few requests.
    /// Default 10, 0 to 1,000.
    pub reserve_per_second: u32,
    /// How often a request may be sent again to an upstream where it has failed, while no other is available. Default
    /// 2, 0 to 10; 0: never.
    pub same_target: u32,
    /// The wait before that.
    pub backoff: Backoff,
    /// Longest `retry-after` of a 429 or 503 that is waited for. Default 1 s, 0 s to 1 min; 0 s: none.
    pub max_retry_after: Duration,
}

/// The wait before another attempt at the same upstream: a random time between `from` and twice as long, doubled with
/// each further attempt, up to `to`. Written `250ms..2s`; each 1 ms to 1 min.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    /// Default 250 ms.
    pub from: Duration,
    /// Default 2 s.
    pub to: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Self { from: Duration::from_millis(250), to: Duration::from_secs(2) }
    }
}

impl Default for Retries {
    fn default() -> Self {
        const ATTEMPTS: NonZeroU32 = NonZeroU32::new(3).unwrap();
        Self {
            attempts: ATTEMPTS,
            budget_percent: 20,
            reserve_per_second: 10,
            same_target: 2,
            backoff: Backoff::default(),
            max_retry_after: Duration::from_secs(1),
        }
    }
}

/// When an upstream that keeps failing is ejected. A model's only upstream never is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ejection {
    /// Failures in a row after which it is ejected. Default 5, 0 to 1,000; 0: never.
    pub failures: u32,
    /// Duration of the first ejection; doubled with each further one. Default 10 s, 1 ms to 1 h.
    pub base: Duration,
    /// Longest ejection, not less than [`Ejection::base`]. Default 30 s, or [`Ejection::base`] if that is longer; 1 ms
    /// to 1 h.
    pub max: Duration,
}

impl Default for Ejection {
    fn default() -> Self {
        Self { failures: 5, base: Duration::from_secs(10), max: Duration::from_secs(30) }
    }
}

/// Reads `retries`.
pub(super) fn retries(walk: &mut Walk, model: &mut Section) -> Retries {
    let field = walk.take(model, "retries");
    let mut section = walk.section(&join(&model.path, "retries"), field);
    let default = Retries::default();
    let s = &mut section;
    let attempts = walk.read(s, "attempts", whole(1, 10)).and_then(NonZeroU32::new);
    let retries = Retries {
        attempts: attempts.unwrap_or(default.attempts),
        budget_percent: walk.read(s, "budget", percent).unwrap_or(default.budget_percent),
        reserve_per_second: walk.read(s, "reserve", whole(0, 1000)).unwrap_or(default.reserve_per_second),
        same_target: walk.read(s, "same_target", whole(0, 10)).unwrap_or(default.same_target),
        backoff: walk
            .read(s, "backoff", duration_range(MIN_TIME, MAX_BACKOFF))
            .map_or(default.backoff, |(from, to)| Backoff { from, to }),
        max_retry_after: walk
            .read(s, "max_retry_after", duration_between(Duration::ZERO, MAX_BACKOFF))
            .unwrap_or(default.max_retry_after),
    };
    walk.finish(section);
    retries
}

/// Reads `ejection`.
pub(super) fn ejection(walk: &mut Walk, model: &mut Section) -> Ejection {
    let field = walk.take(model, "ejection");
    let path = join(&model.path, "ejection");
    let mut section = walk.section(&path, field);
    let default = Ejection::default();
    let (s, errors) = (&mut section, walk.errors.len());
    let failures = walk.read(s, "failures", whole(0, 1000)).unwrap_or(default.failures);
    let base = walk.read(s, "base", duration_between(MIN_TIME, MAX_EJECTION)).unwrap_or(default.base);
    let max = walk.read(s, "max", duration_between(MIN_TIME, MAX_EJECTION)).unwrap_or(default.max.max(base));
    let ejection = Ejection { failures, base, max };
    if ejection.base > ejection.max && walk.errors.len() == errors {
        let (base, max) = (shown_duration(ejection.base), shown_duration(ejection.max));
        let problem = format!("{max} is shorter than the first ejection, {base} (base); raise it");
        walk.error(&join(&path, "max"), section.line, problem);
    }
    walk.finish(section);
    ejection
}
