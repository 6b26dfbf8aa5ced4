//! Waiting for something that is nearly always there, or soon will be.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use super::LazyTimer;
use super::host::polls_again;
use crate::time::clock;

/// What `work` comes to within `time`; none: it took longer. The time begins when there is something to wait for, and only
/// then somebody is asked to look after it: the [host](super::hosted) of the task, or an alarm.
pub async fn timeout<F: Future>(time: Duration, mut work: Pin<&mut F>) -> Option<F::Output> {
    let (mut due, mut alarm) = (None, None);
    poll_fn(|cx| {
        if let Poll::Ready(done) = work.as_mut().poll(cx) {
            return Poll::Ready(Some(done));
        }
        let now = clock::now();
        let due = *due.get_or_insert_with(|| now.checked_add(time).unwrap_or(now + FAR));
        if due <= now {
            return Poll::Ready(None);
        }
        if polls_again(cx, due) {
            return Poll::Pending;
        }
        alarm.get_or_insert_with(|| LazyTimer::at(due)).poll(cx, now).map(|()| None)
    })
    .await
}

/// As good as never: what is added to a time must not go beyond what it can hold.
const FAR: Duration = Duration::from_secs(30 * 365 * 24 * 60 * 60);

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};
    use std::pin::pin;
    use std::task::Context;

    use futures_util::StreamExt;
    use futures_util::stream::FuturesUnordered;
    use tokio::time::{Instant, sleep};

    use super::*;
    use crate::time::hosted;

    #[tokio::test(start_paused = true)]
    async fn what_comes_in_time_is_given_and_what_does_not_is_not_waited_for() {
        let ms = Duration::from_millis;
        let start = Instant::now();
        assert_eq!(timeout(Duration::ZERO, pin!(ready(1))).await, Some(1));
        assert_eq!(timeout(Duration::ZERO, pin!(pending::<()>())).await, None);
        assert_eq!(timeout(ms(100), pin!(sleep(ms(50)))).await, Some(()));
        assert_eq!(start.elapsed(), ms(50));
        assert_eq!(timeout(ms(100), pin!(pending::<()>())).await, None);
        assert!(start.elapsed() >= ms(150) && start.elapsed() < ms(200), "{:?}", start.elapsed());
        assert_eq!(timeout(Duration::MAX, pin!(sleep(ms(50)))).await, Some(()));
    }

    /// As a connection does: with one alarm for all that is waited for.
    async fn host<F: Future>(mut work: Pin<&mut F>) -> (F::Output, usize) {
        let (mut alarm, mut asked) = (LazyTimer::at(Instant::now() + FAR), 0);
        let polled = |cx: &mut Context<'_>| loop {
            let (polled, due) = hosted(cx, |cx| work.as_mut().poll(cx));
            if let Poll::Ready(done) = polled {
                return Poll::Ready((done, asked));
            }
            let Some(due) = due else { return Poll::Pending };
            asked += 1;
            alarm.set_by(due);
            if alarm.poll(cx, Instant::now()).is_pending() {
                return Poll::Pending;
            }
        };
        poll_fn(polled).await
    }

    #[tokio::test(start_paused = true)]
    async fn a_host_is_told_of_what_ends_first_and_nothing_else_rings() {
        let ms = Duration::from_millis;
        let start = Instant::now();
        let never = || async { timeout(ms(100), pin!(pending::<()>())).await };
        let nested = async { (timeout(ms(300), pin!(never())).await, timeout(ms(50), pin!(never())).await) };
        let (done, asked) = host(pin!(nested)).await;
        assert_eq!(done, (Some(None), None));
        assert!(asked > 0 && start.elapsed() >= ms(150) && start.elapsed() < ms(170), "{:?}", start.elapsed());
        assert!(!polls_again(&Context::from_waker(std::task::Waker::noop()), start), "there is no host any more");
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_polled_only_when_it_was_woken_itself_has_an_alarm_of_its_own() {
        let some: FuturesUnordered<_> =
            (1..4).map(|n| async move { timeout(Duration::from_millis(n), pin!(pending::<()>())).await }).collect();
        let (all, asked) = host(pin!(some.collect::<Vec<_>>())).await;
        assert_eq!((all, asked), (vec![None; 3], 0));
    }
}
