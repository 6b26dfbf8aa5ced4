//! Attempts over minutes, on a paused clock.

use std::cell::RefCell;

use super::*;
use tokio::time::Instant;

use crate::config::{ModelConfig, UpstreamConfig};
use crate::telemetry::metrics::Metrics;
use crate::upstream::{Deadline, Refusal};

/// A primary and a fallback; `change` changes the rest.
fn route(count: u32, change: impl FnOnce(&mut ModelConfig)) -> Arc<Route> {
    let upstream =
        |priority| UpstreamConfig { priority, ..UpstreamConfig::new("http://127.0.0.1:9/v1".parse().unwrap()) };
    let mut model = ModelConfig::new("m".into(), (0..count).map(upstream).collect());
    change(&mut model);
    Arc::new(Route::new(&model, Metrics::new().model("m")).unwrap())
}

fn status(status: u16) -> Failure {
    let status = http::StatusCode::from_u16(status).unwrap();
    Failure::Refused(Refusal { status, error: None, retry_after: None })
}

/// Sends a request to a route; returns the targets that were tried, each with whether another one could take over.
async fn asks(
    route: &Arc<Route>,
    streamed: bool,
    fails: impl Fn(bool) -> Option<Failure>,
) -> (Result<(), Failure>, Vec<(usize, bool)>) {
    asks_with(TaskTimer::default(), route, streamed, fails).await
}

/// As [`asks`], by the task with this timer.
async fn asks_with(
    timer: TaskTimer,
    route: &Arc<Route>,
    streamed: bool,
    fails: impl Fn(bool) -> Option<Failure>,
) -> (Result<(), Failure>, Vec<(usize, bool)>) {
    let asked = RefCell::new(Vec::new());
    let record = Record::begin("r", timer.clone());
    let primary = Arc::clone(route.target(0));
    let done = first_success(route, None, &record, &timer, streamed, |target, another| {
        let is_primary = Arc::ptr_eq(&target, &primary);
        asked.borrow_mut().push((usize::from(!is_primary), another));
        let failure = fails(is_primary);
        async move { failure.map_or(Ok(()), Err) }
    });
    let done = done.await.map(|((), mut lease)| lease.record_success());
    (done, asked.into_inner())
}

#[tokio::test(start_paused = true)]
async fn each_attempt_gets_whether_another_target_can_take_over() {
    let timeout = || Failure::Timeout(Deadline::FirstToken);
    let both = route(2, |_| {});
    let (done, asked) = asks(&both, true, |_| Some(timeout())).await;
    assert!(matches!(done, Err(Failure::Timeout(Deadline::FirstToken))));
    assert_eq!(asked, [(0, true), (1, false)], "behind the last one there is none: it has longer");
    let (_, asked) = asks(&route(1, |_| {}), true, |_| None).await;
    assert_eq!(asked, [(0, false)]);
    let (_, asked) = asks(&route(2, |model| model.retries.attempts = std::num::NonZeroU32::MIN), true, |_| None).await;
    assert_eq!(asked, [(0, false)], "there is no further attempt");
    let out = route(2, |model| model.ejection.failures = 1);
    out.lease(1, Instant::now()).record_attempt_failure(&Failure::Closed, Instant::now());
    let (_, asked) = asks(&out, true, |_| None).await;
    assert_eq!(asked, [(0, false)], "the other one is out");
}

#[tokio::test(start_paused = true)]
async fn one_time_decides_whether_a_target_is_probed_and_whether_that_is_its_probe() {
    let route = route(2, |model| model.ejection.failures = 1);
    route.lease(0, Instant::now()).record_attempt_failure(&Failure::Closed, Instant::now());
    let back = Instant::now() + ModelConfig::new("m".into(), Vec::new()).ejection.base;
    let (timer, moment) = (TaskTimer::default(), Duration::from_micros(100));
    tokio::time::advance(back - Instant::now() - moment).await;
    // The ejection ends while this poll is under way.
    let poll = timer.begin_poll();
    assert!(timer.now() < back);
    tokio::time::advance(2 * moment).await;
    let (_, asked) = asks_with(timer.clone(), &route, true, |_| None).await;
    assert_eq!(asked[0].0, 1, "it is still ejected");
    drop(poll);
    let probe = route.lease(0, timer.now());
    let (_, asked) = asks_with(timer, &route, true, |_| None).await;
    assert_eq!(asked[0].0, 1, "another request probes it");
    drop(probe);
}

#[tokio::test(start_paused = true)]
async fn a_plain_answer_that_took_too_long_is_not_begun_again() {
    for deadline in [Deadline::FirstToken, Deadline::Idle] {
        let (done, asked) = asks(&route(2, |_| {}), false, |_| Some(Failure::Timeout(deadline))).await;
        assert!(matches!(done, Err(Failure::Timeout(_))));
        assert_eq!(asked.len(), 1);
        let (_, asked) = asks(&route(2, |_| {}), true, |_| Some(Failure::Timeout(deadline))).await;
        assert_eq!(asked.len(), 2);
    }
    let (_, asked) = asks(&route(2, |_| {}), false, |_| Some(Failure::Timeout(Deadline::Connect))).await;
    assert_eq!(asked.len(), 2, "nothing was begun");
}

/// A primary that fails for a minute and then recovers, with a request in each interval of `every`. Returns the time
/// from its recovery to its first answer. Every client gets an answer.
async fn outage(every: Duration, failure: impl Fn() -> Failure) -> Duration {
    const MINUTE: Duration = Duration::from_secs(60);
    let route = route(2, |_| {});
    let start = Instant::now();
    loop {
        let is_out = Instant::now() - start < MINUTE;
        let (done, asked) = asks(&route, true, |primary| (primary && is_out).then(&failure)).await;
        assert!(done.is_ok(), "{done:?}");
        if !is_out && asked[0].0 == 0 {
            return Instant::now() - start - MINUTE;
        }
        tokio::time::advance(every).await;
    }
}

#[tokio::test(start_paused = true)]
async fn half_a_minute_after_an_outage_of_a_minute_the_primary_answers_again() {
    for every in [Duration::from_millis(8), Duration::from_secs(1), Duration::from_secs(7)] {
        for failure in [|| Failure::Unanswered, || status(503), || status(429), || status(401)] {
            let back = outage(every, failure).await;
            assert!(back <= Duration::from_secs(30) + every, "{every:?}: {back:?}");
        }
    }
    // With fewer requests than that, the first one after the outage gets its answer.
    let rarely = Duration::from_secs(25 * 60);
    assert!(outage(rarely, || status(503)).await <= rarely);
}

#[tokio::test(start_paused = true)]
async fn a_thousand_clients_of_a_primary_that_hit_its_rate_limit_get_their_answers() {
    let route = route(2, |_| {});
    let mut at_primary = 0;
    for _ in 0..1_500 {
        let (done, asked) = asks(&route, true, |primary| primary.then(|| status(429))).await;
        assert!(done.is_ok());
        at_primary += usize::from(asked[0].0 == 0);
        tokio::time::advance(Duration::from_micros(1_000_000 / 135)).await;
    }
    assert!(at_primary < 10, "it was asked {at_primary} times in eleven seconds");
}
