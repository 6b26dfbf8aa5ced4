//! Time for limits: the machine's, or one that a test moves.

use governor::clock::{Clock as GovernorClock, FakeRelativeClock};
use governor::nanos::Nanos;

use crate::time::clock;

/// Monotonic time. Governor's own clock is blind to tokio's, and a test must be able to move both.
#[derive(Clone, Debug)]
pub struct Clock(Source);

#[derive(Clone, Debug)]
enum Source {
    Real,
    Fake(FakeRelativeClock),
}

impl Clock {
    /// The machine's monotonic clock.
    #[must_use]
    pub const fn real() -> Self {
        Self(Source::Real)
    }

    /// A clock that stands still until the other half moves it.
    #[must_use]
    pub fn fake() -> (Self, FakeRelativeClock) {
        let fake = FakeRelativeClock::default();
        (Self(Source::Fake(fake.clone())), fake)
    }

    /// Nanoseconds since some moment before the first call.
    pub(super) fn nanos(&self) -> u64 {
        self.now().as_u64()
    }
}

impl GovernorClock for Clock {
    type Instant = Nanos;

    fn now(&self) -> Nanos {
        match &self.0 {
            Source::Real => Nanos::from(clock::nanos()),
            Source::Fake(fake) => fake.now(),
        }
    }
}
