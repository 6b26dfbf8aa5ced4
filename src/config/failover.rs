//! What is done when a model's upstream fails: the sections `retries` and `ejection` of a model.

use std::num::NonZeroU32;
use std::time::Duration;

use super::duration::{shown_duration, span};
use super::value::{percent, whole};
use super::walk::{Section, Walk, join};

/// Shortest time that an upstream is left alone.
const SHORTEST: Duration = Duration::from_millis(1);
/// Longest.
const LONGEST: Duration = Duration::from_secs(60 * 60);

/// Further attempts after a failure, as long as the client has not been sent a byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retries {
    /// Attempts a request, the first included. Default 3, 1 to 10.
    pub attempts: NonZeroU32,
    /// Retries as a share of the model's requests, percent: when everything fails, the load must not multiply.
    /// Default 20, 0 to 100.
    pub budget_percent: u32,
    /// Retries a second that are allowed whatever the share says, so that a model with few requests has some.
    /// Default 10, 0 to 1,000.
    pub reserve_per_second: u32,
}

impl Default for Retries {
    fn default() -> Self {
        const ATTEMPTS: NonZeroU32 = NonZeroU32::new(3).unwrap();
        Self { attempts: ATTEMPTS, budget_percent: 20, reserve_per_second: 10 }
    }
}

/// When an upstream that keeps failing is left alone. A model's only upstream never is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ejection {
    /// Failures in a row after which it is left alone. Default 5, 0 to 1,000; 0: never.
    pub failures: u32,
    /// For how long, the first time; doubled each further time. Default 10 s, 1 ms to 1 h.
    pub base: Duration,
    /// For how long at most; not less than [`Ejection::base`]. Default 5 min, 1 ms to 1 h.
    pub max: Duration,
}

impl Default for Ejection {
    fn default() -> Self {
        Self { failures: 5, base: Duration::from_secs(10), max: Duration::from_secs(5 * 60) }
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
    let ejection = Ejection {
        failures: walk.read(s, "failures", whole(0, 1000)).unwrap_or(default.failures),
        base: walk.read(s, "base", span(SHORTEST, LONGEST)).unwrap_or(default.base),
        max: walk.read(s, "max", span(SHORTEST, LONGEST)).unwrap_or(default.max),
    };
    if ejection.base > ejection.max && walk.errors.len() == errors {
        let (base, max) = (shown_duration(ejection.base), shown_duration(ejection.max));
        let problem = format!("{max} is shorter than the first ejection, {base} (base); raise it");
        walk.error(&join(&path, "max"), section.line, problem);
    }
    walk.finish(section);
    ejection
}
