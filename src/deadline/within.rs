//! Waiting for something that is nearly always there, or soon will be.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use super::Alarm;
use crate::clock;

/// What `work` comes to within `time`; none: it took longer. A timer is made only if there is something to wait for.
pub async fn within<F: Future>(time: Duration, mut work: Pin<&mut F>) -> Option<F::Output> {
    let mut alarm = None;
    poll_fn(|cx| {
        if let Poll::Ready(done) = work.as_mut().poll(cx) {
            return Poll::Ready(Some(done));
        }
        let now = clock::now();
        let alarm = alarm.get_or_insert_with(|| Alarm::at(now.checked_add(time).unwrap_or(now + FAR)));
        alarm.poll(cx, now).map(|()| None)
    })
    .await
}

/// As good as never: what is added to a time must not go beyond what it can hold.
const FAR: Duration = Duration::from_secs(30 * 365 * 24 * 60 * 60);

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};
    use std::pin::pin;

    use tokio::time::{Instant, sleep};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_comes_in_time_is_given_and_what_does_not_is_not_waited_for() {
        let ms = Duration::from_millis;
        let start = Instant::now();
        assert_eq!(within(Duration::ZERO, pin!(ready(1))).await, Some(1));
        assert_eq!(within(ms(100), pin!(sleep(ms(50)))).await, Some(()));
        assert_eq!(start.elapsed(), ms(50));
        assert_eq!(within(ms(100), pin!(pending::<()>())).await, None);
        assert!(start.elapsed() >= ms(150) && start.elapsed() < ms(200), "{:?}", start.elapsed());
        assert_eq!(within(Duration::MAX, pin!(sleep(ms(50)))).await, Some(()));
    }
}
