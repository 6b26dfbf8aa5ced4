//! Time for limits: the machine's, or one that a test moves.

use std::time::Duration;

use governor::clock::{Clock as GovernorClock, FakeRelativeClock};
use governor::nanos::Nanos;
use tokio::time::Instant;

use crate::clock;

/// Monotonic time. Governor's own clock is blind to tokio's, and a test must be able to move both.
#[derive(Clone, Debug)]
pub struct Clock(Source);

#[derive(Clone, Debug)]
enum Source {
    Real(Instant),
    Fake(FakeRelativeClock),
}

impl Clock {
    /// The machine's monotonic clock.
    #[must_use]
    pub fn real() -> Self {
        Self(Source::Real(Instant::now()))
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
            Source::Real(start) => {
                // One second ahead, so that arithmetic into the past stays positive.
                let elapsed = clock::now() - *start + Duration::from_secs(1);
                Nanos::from(u64::try_from(elapsed.as_nanos()).unwrap_or(u64::MAX))
            }
            Source::Fake(fake) => fake.now(),
        }
    }
}
