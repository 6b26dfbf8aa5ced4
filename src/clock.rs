//! The time, looked at once for everything that is done in one go.
//!
//! A request asks some thirty times for the time: limits, deadlines, durations, dates. Between two waits nothing takes long,
//! so that the answer is nearly always the same; and each look takes as long as a hundred instructions.

use std::cell::Cell;

use jiff::Timestamp;
use tokio::time::Instant;

thread_local! {
    static STILL: Cell<Option<Look>> = const { Cell::new(None) };
}

/// What was seen when it was looked.
#[derive(Clone, Copy)]
struct Look {
    now: Instant,
    /// None while nobody has asked for it.
    timestamp: Option<Timestamp>,
}

impl Look {
    fn new() -> Self {
        Self { now: Instant::now(), timestamp: None }
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
            let (seen, stamp) = (now(), timestamp());
            assert!(seen > before && moves_on(seen, stamp));
            assert_eq!((now(), timestamp()), (seen, stamp));
            still(|| assert!(now() > seen));
            assert_eq!(now(), seen);
            look();
            assert!(now() > seen && timestamp() > stamp);
        });
        let panicked = catch_unwind(AssertUnwindSafe(|| still(|| panic!("of the test"))));
        let since = now();
        assert!(panicked.is_err() && moves_on(since, timestamp()) && now() > since);
    }
}
