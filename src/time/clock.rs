//! The time, looked at once for everything that is done in one go.
//!
//! A request asks some thirty times for the time: limits, deadlines, durations, dates. Between two waits nothing takes long,
//! so that the answer is nearly always the same; and each look takes as long as a hundred instructions.

use std::cell::Cell;
use std::sync::LazyLock;
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

/// What [`nanos`] gives at its first call. Clocks of tests may go before it.
const FIRST: u64 = 1 << 62;

static START: LazyLock<std::time::Instant> = LazyLock::new(std::time::Instant::now);

thread_local! {
    static STILL: Cell<Option<Look>> = const { Cell::new(None) };
}

/// What was seen when it was looked.
#[derive(Clone, Copy)]
struct Look {
    now: Instant,
    /// As a number; none while nobody has asked for it.
    nanos: Option<u64>,
    /// None while nobody has asked for it.
    timestamp: Option<Timestamp>,
}

impl Look {
    fn new() -> Self {
        Self { now: Instant::now(), nanos: None, timestamp: None }
    }
}

/// Puts back what held before, also behind a panic.
struct Before(Option<Look>);

impl Drop for Before {
    fn drop(&mut self) {
        STILL.set(self.0);
    }
}

/// Does `work`, for which the time stands still. For one poll of a task, whose pieces are short.
pub fn still<T>(work: impl FnOnce() -> T) -> T {
    let _before = Before(STILL.replace(Some(Look::new())));
    work()
}

/// Looks again where the time stands still: behind what takes long.
pub fn look() {
    if STILL.get().is_some() {
        STILL.set(Some(Look::new()));
    }
}

/// Now, on the clock that only goes forward.
#[must_use]
pub fn now() -> Instant {
    STILL.get().map_or_else(Instant::now, |look| look.now)
}

/// Now, on the clock that only goes forward: nanoseconds since some moment, the same for the whole process.
#[must_use]
pub fn nanos() -> u64 {
    let count = |now: Instant| match now.into_std().checked_duration_since(*START) {
        Some(after) => FIRST.saturating_add(whole(after)),
        None => FIRST.saturating_sub(whole(*START - now.into_std())),
    };
    match STILL.get() {
        None => count(Instant::now()),
        Some(Look { nanos: Some(nanos), .. }) => nanos,
        Some(look) => {
            let nanos = count(look.now);
            STILL.set(Some(Look { nanos: Some(nanos), ..look }));
            nanos
        }
    }
}

fn whole(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

/// Now, by the calendar.
#[must_use]
pub fn timestamp() -> Timestamp {
    match STILL.get() {
        None => Timestamp::now(),
        Some(Look { timestamp: Some(timestamp), .. }) => timestamp,
        Some(look) => {
            let timestamp = Timestamp::now();
            STILL.set(Some(Look { timestamp: Some(timestamp), ..look }));
            timestamp
        }
    }
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};

    use super::*;

    /// Until the clocks have moved on.
    fn moves_on(since: Instant, stamp: Timestamp) -> bool {
        while Instant::now() == since || Timestamp::now() == stamp {
            std::hint::spin_loop();
        }
        true
    }

    #[test]
    fn the_time_stands_still_and_goes_on_behind_it() {
        let (before, stamp) = (now(), timestamp());
        assert!(moves_on(before, stamp) && now() > before && timestamp() > stamp);
        still(|| {
            let (seen, stamp, count) = (now(), timestamp(), nanos());
            assert!(seen > before && moves_on(seen, stamp));
            assert_eq!((now(), timestamp(), nanos()), (seen, stamp, count));
            still(|| assert!(now() > seen && nanos() > count));
            assert_eq!((now(), nanos()), (seen, count));
            look();
            assert!(now() > seen && timestamp() > stamp);
            assert_eq!(Duration::from_nanos(nanos() - count), now() - seen);
        });
        assert!(nanos() >= FIRST && nanos() < FIRST + whole(Duration::from_secs(3_600)));
        let panicked = catch_unwind(AssertUnwindSafe(|| still(|| panic!("of the test"))));
        let since = now();
        assert!(panicked.is_err() && moves_on(since, timestamp()) && now() > since);
    }
}
