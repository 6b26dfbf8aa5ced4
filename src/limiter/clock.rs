//! The clock of the limits: the machine's, or one that a test moves.

use governor::clock::{Clock as GovernorClock, FakeRelativeClock};
use governor::nanos::Nanos;
use tokio::time::Instant;

/// Monotonic time for limits; clones are the same clock. Governor's own can't be paused together with tokio's in tests.
#[derive(Clone, Debug)]
pub struct Clock(Source);

#[derive(Clone, Debug)]
enum Source {
    /// Tokio's clock, from this origin.
    Real(Instant),
    Fake(FakeRelativeClock),
}

impl Clock {
    /// The machine's monotonic clock.
    #[must_use]
    pub fn real() -> Self {
        Self(Source::Real(Instant::now()))
    }

    /// A clock that stands still, and the handle that moves it.
    #[must_use]
    pub fn fake() -> (Self, FakeRelativeClock) {
        let fake = FakeRelativeClock::default();
        (Self(Source::Fake(fake.clone())), fake)
    }

    /// Nanoseconds since this clock was made.
    pub(super) fn nanos(&self) -> u64 {
        self.now().as_u64()
    }
}

impl GovernorClock for Clock {
    type Instant = Nanos;

    fn now(&self) -> Nanos {
        match &self.0 {
            Source::Real(origin) => {
                // 584 years fit.
                Nanos::from(u64::try_from(origin.elapsed().as_nanos()).unwrap_or(u64::MAX))
            }
            Source::Fake(fake) => fake.now(),
        }
    }
}
