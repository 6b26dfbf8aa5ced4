//! The target of a session: by weighted rendezvous hashing, with a bound on its load.
//!
//! Each target has a score for a session, from a hash of both; the target with the highest one is preferred. Nothing is
//! kept, so the choice is the same on every replica and after a restart, and when a target goes, only its own sessions
//! move. The preferred target is passed over while it has more than its share of the requests in flight (Mirrokni,
//! Thorup, Zadimoghaddam: "Consistent hashing with bounded loads", 2016).

use std::num::NonZeroU32;

use xxhash_rust::xxh3::xxh3_64_with_seed;

/// Most requests in flight at a target, in quarters of its weighted share of those of its tier.
const MAX_QUARTERS: u64 = 5;
/// Requests in flight beyond that, so that few requests are not spread.
const SPARE: u64 = 4;

/// A hash of what names the session of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionKey(u64);

/// A target that a session may use.
#[derive(Clone, Copy, Debug)]
pub(super) struct Candidate<'a> {
    pub(super) member: usize,
    pub(super) name: &'a str,
    pub(super) weight: NonZeroU32,
    pub(super) in_flight: u32,
}

impl SessionKey {
    /// The key of the session with this hash.
    #[must_use]
    pub const fn new(hash: u64) -> Self {
        Self(hash)
    }

    /// The preferred member among those that are below their bound. None only if there are none: together the bounds
    /// exceed the requests in flight.
    pub(super) fn choose(self, tier: &[Candidate<'_>]) -> Option<usize> {
        let weights: u64 = tier.iter().map(|target| u64::from(target.weight.get())).sum();
        // This request counts.
        let requests = 1 + tier.iter().map(|target| u64::from(target.in_flight)).sum::<u64>();
        // In flight < 5/4 * requests * weight / weights + spare, without division.
        let has_room = |target: &&Candidate<'_>| {
            let share = MAX_QUARTERS * requests * u64::from(target.weight.get());
            4 * weights * u64::from(target.in_flight) < share + 4 * weights * SPARE
        };
        let scored = tier.iter().filter(has_room).map(|target| (self.score(target), target.member));
        scored.max_by(|(one, _), (other, _)| one.total_cmp(other)).map(|(_, member)| member)
    }

    /// The highest of these scores is each target's as often as its weight says.
    fn score(self, target: &Candidate<'_>) -> f64 {
        let hash = xxh3_64_with_seed(target.name.as_bytes(), self.0);
        // Within 0 and 1, both excluded: of 53 bits all are kept.
        let uniform = ((hash >> 11) as f64 + 0.5) / (1_u64 << 53) as f64;
        -f64::from(target.weight.get()) / uniform.ln()
    }
}

#[cfg(test)]
mod tests;
