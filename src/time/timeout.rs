//! A bound on the time of a future that is nearly always ready at once, or soon.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::Poll;

use tokio::time::Instant;

use super::task_timer::TaskTimer;

/// The output of `work`, or none if it is not ready by `at`. The clock is read and `timer` used only at polls that have
/// to wait; all futures with this timer must be polled by the same task.
pub(crate) async fn timeout_at<F: Future>(timer: &TaskTimer, at: Instant, mut work: Pin<&mut F>) -> Option<F::Output> {
    poll_fn(|cx| match work.as_mut().poll(cx) {
        Poll::Ready(done) => Poll::Ready(Some(done)),
        Poll::Pending => timer.poll_at(cx, at).map(|_| None),
    })
    .await
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};
    use std::pin::pin;
    use std::time::Duration;

    use tokio::time::sleep;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_future_that_is_ready_in_time_gives_its_output_and_a_late_one_none() {
        let timer = &TaskTimer::default();
        let start = Instant::now();
        let in_ms = |ms| start + Duration::from_millis(ms);
        assert_eq!(timeout_at(timer, start, pin!(ready(1))).await, Some(1));
        assert_eq!(timeout_at(timer, start, pin!(pending::<()>())).await, None);
        assert_eq!(timeout_at(timer, in_ms(100), pin!(sleep(Duration::from_millis(50)))).await, Some(()));
        assert_eq!(start.elapsed(), Duration::from_millis(50));
        assert_eq!(timeout_at(timer, in_ms(100), pin!(pending::<()>())).await, None);
        let late = start.elapsed();
        assert!(late >= Duration::from_millis(100) && late < Duration::from_millis(102), "{late:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn nested_timeouts_share_a_timer_and_each_ends_at_its_own_time() {
        let timer = &TaskTimer::default();
        let start = Instant::now();
        let in_ms = |ms| start + Duration::from_millis(ms);
        let never = |ms| async move { timeout_at(timer, in_ms(ms), pin!(pending::<()>())).await };
        let outer_is_later = timeout_at(timer, in_ms(300), pin!(never(100))).await;
        let outer_is_earlier = timeout_at(timer, in_ms(150), pin!(never(200))).await;
        assert_eq!((outer_is_later, outer_is_earlier), (Some(None), None));
        let late = start.elapsed();
        assert!(late >= Duration::from_millis(150) && late < Duration::from_millis(152), "{late:?}");
    }
}
