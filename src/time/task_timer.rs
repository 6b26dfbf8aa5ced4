//! One timer for everything that a task waits for.

use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use tokio::time::Instant;

use super::lazy_timer::LazyTimer;

/// One timer for all timeouts of a task; clones are the same timer.
///
/// A tokio timer for each timeout costs more than most of the operations that it bounds, and timeouts rarely expire.
/// So a connection has one `TaskTimer` and passes it to the futures that it polls.
///
/// All users must be polled by the same task: only the last waker is woken, and its task has to poll all users.
/// Futures that are polled with other wakers (`FuturesUnordered`, spawned tasks) need a `TaskTimer` of their own.
#[derive(Clone, Debug, Default)]
// std Mutex: never held across .await; only one task takes it, so it is never contended
pub struct TaskTimer(Arc<Mutex<Option<LazyTimer>>>);

impl TaskTimer {
    /// Ready with the current time once `at` has come. Until then the task is woken at that time, or earlier if other
    /// users wait for less; a user that still waits must then poll again. `now` is the time at which the caller's poll
    /// began.
    pub fn poll_at(&self, cx: &mut Context<'_>, at: Instant, mut now: Instant) -> Poll<Instant> {
        let mut timer = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        while now < at {
            let timer = timer.get_or_insert_with(|| LazyTimer::new(at));
            timer.set_by(at);
            ready!(timer.poll(cx, now));
            // It has expired, perhaps for an earlier time that another user had set.
            now = Instant::now();
        }
        Poll::Ready(now)
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
                let now = Instant::now();
                for (due, ms) in due.iter_mut().zip([first, second]) {
                    if due.is_none()
                        && let Poll::Ready(now) = timer.clone().poll_at(cx, in_ms(ms), now)
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
}
