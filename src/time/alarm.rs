//! An alarm that is looked at with every token, and costs next to nothing until it rings.

use std::future::Future;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};

use tokio::time::{Instant, Sleep};

/// Rings at a moment, for hand-written polls. It may ring too early, which costs one look at what is due; it never rings
/// too late.
#[derive(Debug)]
pub struct LazyTimer {
    sleep: Pin<Box<Sleep>>,
    /// Whom it will wake. Registering takes more than looking at the clock, so it is done once and not at every token: a
    /// stream is nearly always polled by the same task.
    registered: Option<Waker>,
}

impl LazyTimer {
    /// Rings at `moment`.
    #[must_use]
    pub fn at(moment: Instant) -> Self {
        Self { sleep: Box::pin(tokio::time::sleep_until(moment)), registered: None }
    }

    /// Makes it ring at `moment` at the latest: moved only where it would ring later, or has rung.
    pub fn set_by(&mut self, moment: Instant) {
        if self.sleep.deadline() > moment || self.sleep.is_elapsed() {
            self.sleep.as_mut().reset(moment);
            self.registered = None;
        }
    }

    /// Ready once it rings, `now`; until then the task is woken when it does.
    pub fn poll(&mut self, cx: &mut Context<'_>, now: Instant) -> Poll<()> {
        let registered = self.registered.as_ref().is_some_and(|waker| waker.will_wake(cx.waker()));
        if registered && now < self.sleep.deadline() {
            return Poll::Pending;
        }
        // Unconstrained: a task that has used up its turn would be put off without being registered.
        let rung = pin!(tokio::task::unconstrained(self.sleep.as_mut())).poll(cx);
        self.registered = rung.is_pending().then(|| cx.waker().clone());
        rung
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
    async fn it_wakes_whoever_looked_last_and_is_moved_to_what_comes_first() {
        let (first, second) = (Arc::<Count>::default(), Arc::<Count>::default());
        let wakers = [Waker::from(Arc::clone(&first)), Waker::from(Arc::clone(&second))];
        let [mut one, mut other] = [0, 1].map(|index: usize| Context::from_waker(&wakers[index]));
        let woken = || [&first, &second].map(|count| count.0.load(Ordering::Relaxed));
        let start = Instant::now();
        let in_ms = |ms| start + Duration::from_millis(ms);
        let mut alarm = LazyTimer::at(in_ms(100));
        assert!(alarm.poll(&mut one, start).is_pending() && alarm.poll(&mut one, start).is_pending());
        assert!(alarm.poll(&mut other, start).is_pending());
        alarm.set_by(in_ms(200));
        tokio::time::sleep_until(in_ms(101)).await;
        assert_eq!(woken(), [0, 1]);
        assert!(alarm.poll(&mut other, Instant::now()).is_ready());
        // It has rung: any moment is set.
        alarm.set_by(in_ms(300));
        assert!(alarm.poll(&mut one, Instant::now()).is_pending());
        alarm.set_by(in_ms(150));
        assert!(alarm.poll(&mut one, Instant::now()).is_pending());
        tokio::time::sleep_until(in_ms(151)).await;
        assert!(woken()[0] > 0);
        assert!(alarm.poll(&mut one, Instant::now()).is_ready());
    }

    #[tokio::test(start_paused = true)]
    async fn it_rings_also_for_a_task_whose_turn_was_used_up() {
        let mut alarm = LazyTimer::at(Instant::now() + Duration::from_millis(10));
        let mut fresh = true;
        let task = tokio::spawn(std::future::poll_fn(move |cx| {
            // Nothing is left of the first turn.
            if std::mem::take(&mut fresh) {
                while let Poll::Ready(turn) = tokio::task::coop::poll_proceed(cx) {
                    turn.made_progress();
                }
            }
            alarm.poll(cx, Instant::now())
        }));
        task.await.unwrap();
    }
}
