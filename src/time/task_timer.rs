//! One timer for everything that a task waits for, and one reading of the clock for each of its polls.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::time::Instant;

use super::lazy_timer::LazyTimer;

/// One timer for all timeouts of a task, and the time of its current poll; clones are the same timer.
///
/// A tokio timer for each timeout costs more than most of the operations that it bounds, and timeouts rarely expire.
/// So a connection has one `TaskTimer` and passes it to the futures that it polls. Nor does each of these need the
/// clock: for one poll they all have the same time, which [`TaskTimer::begin_poll`] takes care of.
///
/// All users must be polled by the same task: only the last waker is woken, and its task has to poll all users.
/// Futures that are polled with other wakers (`FuturesUnordered`, spawned tasks) need a `TaskTimer` of their own.
#[derive(Clone, Debug)]
pub struct TaskTimer(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    // std Mutex: never held across .await; only one task takes it, so it is never contended
    timer: Mutex<Option<LazyTimer>>,
    /// The origin of `poll_time`.
    created_at: Instant,
    /// Nanoseconds from `created_at` to the current poll, or one of the two constants below.
    poll_time: AtomicU64,
}

/// No poll is under way.
const NO_POLL: u64 = u64::MAX;
/// A poll is under way, and nothing has needed the time yet.
const UNREAD: u64 = u64::MAX - 1;

/// A poll of the task is under way until this is dropped.
#[must_use = "dropped at once, it ends the poll"]
#[derive(Debug)]
pub struct PollGuard(TaskTimer);

impl Drop for PollGuard {
    fn drop(&mut self) {
        self.0.0.poll_time.store(NO_POLL, Ordering::Relaxed);
    }
}

impl Default for TaskTimer {
    fn default() -> Self {
        let shared = Shared { timer: Mutex::default(), created_at: Instant::now(), poll_time: AtomicU64::new(NO_POLL) };
        Self(Arc::new(shared))
    }
}

impl TaskTimer {
    /// Begins a poll of the task: until the guard is dropped, [`TaskTimer::now`] reads the clock only once.
    pub fn begin_poll(&self) -> PollGuard {
        self.0.poll_time.store(UNREAD, Ordering::Relaxed);
        PollGuard(self.clone())
    }

    /// The current time; during a poll, the time at which it was needed first. A poll is short: what takes longer than
    /// a millisecond runs on other threads.
    #[must_use]
    pub fn now(&self) -> Instant {
        let shared = &*self.0;
        match shared.poll_time.load(Ordering::Relaxed) {
            NO_POLL => Instant::now(),
            UNREAD => self.read_clock(),
            nanos => shared.created_at + Duration::from_nanos(nanos),
        }
    }

    /// Ready with the current time once `at` has come. Until then the task is woken at that time, or earlier if other
    /// users wait for less; a user that still waits must then poll again.
    pub fn poll_at(&self, cx: &mut Context<'_>, at: Instant) -> Poll<Instant> {
        let mut now = self.now();
        if now >= at {
            return Poll::Ready(now);
        }
        let mut timer = self.0.timer.lock().unwrap_or_else(PoisonError::into_inner);
        while now < at {
            let timer = timer.get_or_insert_with(|| LazyTimer::new(at));
            timer.set_by(at);
            ready!(timer.poll(cx, now));
            // It has expired, perhaps for an earlier time that another user had set.
            now = self.read_clock();
        }
        Poll::Ready(now)
    }

    /// Reads the clock; the result is the time of the rest of the current poll.
    fn read_clock(&self) -> Instant {
        let (shared, now) = (&*self.0, Instant::now());
        if shared.poll_time.load(Ordering::Relaxed) != NO_POLL {
            let nanos = u64::try_from((now - shared.created_at).as_nanos()).unwrap_or(UNREAD);
            shared.poll_time.store(nanos, Ordering::Relaxed);
        }
        now
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn each_user_is_ready_at_its_own_time_and_not_before() {
        let timer = TaskTimer::default();
        let start = Instant::now();
        let in_ms = |ms| start + Duration::from_millis(ms);
        for (first, second) in [(20, 10), (30, 40), (50, 45)] {
            let mut due = [None; 2];
            poll_fn(|cx| {
                let _poll = timer.begin_poll();
                for (due, ms) in due.iter_mut().zip([first, second]) {
                    if due.is_none()
                        && let Poll::Ready(now) = timer.clone().poll_at(cx, in_ms(ms))
                    {
                        *due = Some(now);
                    }
                }
                if due.iter().all(Option::is_some) { Poll::Ready(()) } else { Poll::Pending }
            })
            .await;
            for (due, ms) in due.into_iter().zip([first, second]) {
                let late = due.unwrap().duration_since(in_ms(ms));
                assert!(late < Duration::from_millis(2), "{first} {second}: {late:?}");
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_time_stands_still_during_a_poll_and_only_then() {
        let (timer, second) = (TaskTimer::default(), Duration::from_secs(1));
        let poll = timer.begin_poll();
        let now = timer.now();
        tokio::time::advance(second).await;
        assert_eq!(timer.now(), now);
        drop(poll);
        assert_eq!(timer.now(), now + second);
        tokio::time::advance(second).await;
        assert_eq!(timer.now(), now + 2 * second);
        let _poll = timer.begin_poll();
        assert_eq!(timer.now(), now + 2 * second);
    }
}
