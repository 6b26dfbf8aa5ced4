//! A timer that is cheap to poll often.

use std::future::Future;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};

use tokio::time::{Instant, Sleep};

/// A timer for hand-written polls that nearly never expires. It may expire too early, which costs one more poll, and
/// never too late.
#[derive(Debug)]
pub(super) struct LazyTimer {
    sleep: Pin<Box<Sleep>>,
    /// The waker that is registered with the runtime's timers. Registering costs more than reading the clock, so it is
    /// done once and not at every token: a stream is nearly always polled by the same task.
    registered: Option<Waker>,
}

impl LazyTimer {
    /// Expires at `at`.
    pub(super) fn new(at: Instant) -> Self {
        Self { sleep: Box::pin(tokio::time::sleep_until(at)), registered: None }
    }

    /// Makes it expire at `at` or earlier: it is moved only if it would expire later, or has expired.
    pub(super) fn set_by(&mut self, at: Instant) {
        if self.sleep.deadline() > at || self.sleep.is_elapsed() {
            self.sleep.as_mut().reset(at);
            self.registered = None;
        }
    }

    /// Ready once it has expired; until then the task that polled last is woken when it does.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>, now: Instant) -> Poll<()> {
        let registered = self.registered.as_ref().is_some_and(|waker| waker.will_wake(cx.waker()));
        if registered && now < self.sleep.deadline() {
            return Poll::Pending;
        }
        // Unconstrained: if the task's cooperative budget is used up, a plain poll would not register the waker.
        let expired = pin!(tokio::task::unconstrained(self.sleep.as_mut())).poll(cx);
        self.registered = expired.is_pending().then(|| cx.waker().clone());
        expired
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::Wake;
    use std::time::Duration;

    use super::*;

    #[derive(Default)]
    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_task_that_polled_last_is_woken_at_the_earliest_time_that_was_set() {
        let (first, second) = (Arc::<Count>::default(), Arc::<Count>::default());
        let wakers = [Waker::from(Arc::clone(&first)), Waker::from(Arc::clone(&second))];
        let [mut one, mut other] = [0, 1].map(|index: usize| Context::from_waker(&wakers[index]));
        let woken = || [&first, &second].map(|count| count.0.load(Ordering::Relaxed));
        let start = Instant::now();
        let in_ms = |ms| start + Duration::from_millis(ms);
        let mut timer = LazyTimer::new(in_ms(100));
        assert!(timer.poll(&mut one, start).is_pending() && timer.poll(&mut one, start).is_pending());
        assert!(timer.poll(&mut other, start).is_pending());
        timer.set_by(in_ms(200));
        tokio::time::sleep_until(in_ms(101)).await;
        assert_eq!(woken(), [0, 1]);
        assert!(timer.poll(&mut other, Instant::now()).is_ready());
        // It has expired: any time is set.
        timer.set_by(in_ms(300));
        assert!(timer.poll(&mut one, Instant::now()).is_pending());
        timer.set_by(in_ms(150));
        assert!(timer.poll(&mut one, Instant::now()).is_pending());
        tokio::time::sleep_until(in_ms(151)).await;
        assert!(woken()[0] > 0);
        assert!(timer.poll(&mut one, Instant::now()).is_ready());
    }

    #[tokio::test(start_paused = true)]
    async fn a_task_whose_cooperative_budget_is_used_up_is_woken_too() {
        let mut timer = LazyTimer::new(Instant::now() + Duration::from_millis(10));
        let mut fresh = true;
        let task = tokio::spawn(std::future::poll_fn(move |cx| {
            // Nothing is left of the budget of the first poll.
            if std::mem::take(&mut fresh) {
                while let Poll::Ready(turn) = tokio::task::coop::poll_proceed(cx) {
                    turn.made_progress();
                }
            }
            timer.poll(cx, Instant::now())
        }));
        task.await.unwrap();
    }
}
