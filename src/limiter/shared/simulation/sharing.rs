//! Without faults: nothing is admitted beyond a limit, and little is left unused.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::{Instant, sleep};

use super::world::{Ideal, Seed, World, limits, take};
use crate::config::{OnFailure, RateLimits};
use crate::limiter::{Cause, LimitOwner};

const NONE: RateLimits = RateLimits { requests_per_minute: None, tokens_per_minute: None, concurrent_streams: None };

#[tokio::test(start_paused = true)]
async fn three_times_the_limit_at_once_from_idle_is_admitted_once() {
    for limit in [1, 2, 3, 10, 100, 600, 6_000] {
        let world = World::new(3, NONE, OnFailure::Share).await;
        let own = limits(limit, 0, 0);
        let ideal = Ideal::full(u64::from(limit));
        let all = world.replicas.iter().flat_map(|replica| (0..limit).map(move |_| replica.request("a", own)));
        let began = Instant::now();
        let admitted = join_all(all.map(async |request| request.await.map(|_| ideal.spend(1)).is_ok())).await;
        let admitted = admitted.iter().filter(|admitted| **admitted).count();
        let regained = began.elapsed().as_secs_f64() / 60.0 * f64::from(limit);
        assert_eq!(ideal.over(), 0, "of {limit}");
        assert!(admitted as f64 <= f64::from(limit) + regained, "{admitted} of {limit}");
        assert!(admitted as f64 >= f64::from(limit) * 7.0 / 8.0, "{admitted} of {limit}");
    }
}

#[tokio::test(start_paused = true)]
async fn whatever_the_traffic_no_request_is_admitted_beyond_the_limits() {
    for seed in 0..8 {
        let mut draw = Seed(seed);
        let (own, total) = (20 + draw.below(2_000), 20 + draw.below(3_000));
        let replicas = 1 + draw.below(5) as usize;
        let world = World::new(replicas, limits(total as u32, 0, 0), OnFailure::Share).await;
        let keys: Arc<[Ideal]> = (0..3).map(|_| Ideal::full(own)).collect();
        let all = Arc::new(Ideal::full(total));
        let traffic = world.replicas.iter().enumerate().map(|(index, replica)| {
            let (replica, keys, all) = (replica.clone(), Arc::clone(&keys), Arc::clone(&all));
            let mut draw = Seed(seed * 1_000 + index as u64);
            async move {
                let end = Instant::now() + Duration::from_secs(150);
                while Instant::now() < end {
                    // Idle, steady, or a burst.
                    let (count, pause) = match draw.below(20) {
                        0 => (draw.below(400), draw.below(4_000)),
                        1 => (1, draw.below(10_000)),
                        _ => (1 + draw.below(3), draw.below(60)),
                    };
                    for _ in 0..count {
                        let key = draw.below(3) as usize;
                        if replica.request(&format!("key {key}"), limits(own as u32, 0, 0)).await.is_ok() {
                            keys[key].spend(1);
                            all.spend(1);
                        }
                    }
                    sleep(Duration::from_millis(pause)).await;
                }
            }
        });
        join_all(traffic.map(tokio::spawn)).await.into_iter().for_each(|end| end.unwrap());
        assert_eq!(all.over(), 0, "seed {seed}: all {total} a minute on {replicas} replicas");
        keys.iter().for_each(|key| assert_eq!(key.over(), 0, "seed {seed}: {own} a minute on {replicas} replicas"));
    }
}

#[tokio::test(start_paused = true)]
async fn a_limit_is_used_up_to_an_eighth_wherever_the_requests_come() {
    for (limit, busy) in [(600, 1), (600, 3), (60, 1), (60_000, 3)] {
        let world = World::new(3, NONE, OnFailure::Share).await;
        let own = limits(limit, 0, 0);
        let ideal = Ideal::full(u64::from(limit));
        // Each replica has had requests, and holds a piece.
        for replica in &world.replicas {
            for _ in 0..limit / 20 {
                replica.request("a", own).await.unwrap();
                ideal.spend(1);
            }
        }
        let began = Instant::now();
        while began.elapsed() < Duration::from_secs(90) {
            for replica in world.replicas.iter().take(busy) {
                while replica.request("a", own).await.is_ok() {
                    ideal.spend(1);
                }
            }
            sleep(Duration::from_millis(10)).await;
        }
        let possible = f64::from(limit) * (1.0 + began.elapsed().as_secs_f64() / 60.0);
        assert_eq!(ideal.over(), 0, "of {limit}");
        let unused = possible - ideal.admitted() as f64;
        assert!(unused <= f64::from(limit) / 8.0 + 1.0, "{unused} of {limit} are unused, {busy} busy");
    }
}

#[tokio::test(start_paused = true)]
async fn calls_are_few_at_a_thousand_requests_a_second() {
    let world = World::new(3, limits(240_000, 60_000_000, 30_000), OnFailure::Share).await;
    let own = limits(120_000, 30_000_000, 10_000);
    let before = world.server.calls();
    for ms in 0..30_000 {
        let replica = &world.replicas[ms % 3];
        let admission = replica.request("a", own).await.unwrap();
        let allotment = take(&admission, true, 100).await.unwrap();
        drop(allotment.permit);
        allotment.reservation.settle(80);
        sleep(Duration::from_millis(1)).await;
    }
    let calls = world.server.calls() - before;
    assert!(calls <= 30_000 / 20, "{calls} exchanges for 30,000 requests");
}

#[tokio::test(start_paused = true)]
async fn refusals_cost_no_calls() {
    let world = World::new(3, NONE, OnFailure::Share).await;
    let own = limits(60, 0, 0);
    while world.replicas[0].request("a", own).await.is_ok() {}
    let before = world.server.calls();
    for ms in 0..10_000 {
        let refused = world.replicas[ms % 3].request("a", own).await;
        if let Err(limited) = refused {
            assert_eq!(limited.owner, LimitOwner::Key);
            assert!(limited.retry_after.unwrap() <= Duration::from_secs(1), "{limited:?}");
        }
        sleep(Duration::from_millis(1)).await;
    }
    // Three replicas, ten seconds: one exchange for each second and for each of the ten requests that come back.
    let calls = world.server.calls() - before;
    assert!(calls <= 80, "{calls} exchanges for 10,000 refusals");
}

#[tokio::test(start_paused = true)]
async fn headers_tell_what_all_replicas_have_left() {
    let world = World::new(2, NONE, OnFailure::Share).await;
    let own = limits(100, 1_000, 0);
    for _ in 0..40 {
        world.replicas[0].request("a", own).await.unwrap();
    }
    let left = world.replicas[1].request("a", own).await.unwrap().requests().unwrap();
    assert_eq!(left.limit, 100);
    assert!((54..=59).contains(&left.remaining), "{left:?}: 41 are used, and at most 5 are held by the other");
}

#[tokio::test(start_paused = true)]
async fn tokens_hold_for_all_replicas_and_unused_estimates_come_back() {
    for seed in 0..5 {
        let mut draw = Seed(seed);
        let limit = 2_000 + draw.below(50_000);
        let world = World::new(3, NONE, OnFailure::Share).await;
        let own = limits(0, limit, 0);
        let ideal = Ideal::full(limit);
        let mut beyond = 0;
        for _ in 0..3_000 {
            let replica = &world.replicas[draw.below(3) as usize];
            let admission = replica.request("a", own).await.unwrap();
            let estimate = 1 + draw.below(400);
            if let Ok(allotment) = take(&admission, false, estimate).await {
                sleep(Duration::from_millis(draw.below(40))).await;
                let used = draw.below(estimate + 1);
                ideal.spend(used);
                allotment.reservation.settle(used);
                beyond += used.saturating_sub(estimate);
            }
            sleep(Duration::from_millis(draw.below(30))).await;
        }
        assert_eq!((ideal.over(), beyond), (0, 0), "seed {seed}, {limit} a minute");
        // From then on nothing is used: everything comes back within the minute, and the seconds of what lies idle.
        sleep(Duration::from_secs(64)).await;
        let admission = world.replicas[0].request("a", own).await.unwrap();
        assert!(take(&admission, false, limit).await.is_ok(), "seed {seed}: all of {limit} is there again");
    }
}

#[tokio::test(start_paused = true)]
async fn tokens_beyond_the_estimate_are_paid_by_all_replicas() {
    let world = World::new(2, NONE, OnFailure::Share).await;
    let own = limits(0, 600, 0);
    let admission = world.replicas[0].request("a", own).await.unwrap();
    take(&admission, false, 100).await.unwrap().reservation.settle(900);
    sleep(Duration::from_millis(1_100)).await;
    let other = world.replicas[1].request("a", own).await.unwrap();
    let limited = take(&other, false, 1).await.err().unwrap();
    assert!(limited.retry_after.unwrap() > Duration::from_secs(25), "{limited:?}");
    sleep(Duration::from_secs(32)).await;
    assert!(take(&other, false, 1).await.is_ok());
    assert_eq!(take(&other, false, 601).await.err().unwrap().retry_after, None, "it never fits");
}

#[tokio::test(start_paused = true)]
async fn other_limits_take_effect_and_what_is_used_stays_used() {
    let world = World::new(2, limits(1_000, 0, 0), OnFailure::Share).await;
    for _ in 0..50 {
        world.replicas[0].request("a", limits(100, 0, 0)).await.unwrap();
    }
    for replica in &world.replicas {
        let mut admitted = 0;
        while replica.request("a", limits(60, 0, 0)).await.is_ok() {
            admitted += 1;
        }
        assert!(admitted <= 11, "{admitted} more of 60, of which 50 are used");
    }
    let total = world.replicas[1].limiter.with_total(limits(5, 0, 0));
    let refused = match total.request(&"b".into(), NONE) {
        Err(crate::limiter::Blocked::Pending(pending)) => pending.await.err(),
        Err(crate::limiter::Blocked::Limited(limited)) => Some(limited),
        Ok(_) => None,
    };
    assert_eq!(refused.unwrap().owner, LimitOwner::Total);
}

#[tokio::test(start_paused = true)]
async fn requests_that_would_need_more_exchanges_than_can_wait_are_refused() {
    let world = World::new(1, NONE, OnFailure::Share).await;
    let names: Vec<_> = (0..4_200).map(|key| format!("key {key}")).collect();
    let all = names.iter().map(|name| world.replicas[0].request(name, limits(60, 0, 0)));
    let refused: Vec<_> = join_all(all).await.into_iter().filter_map(Result::err).collect();
    // The causes of 429 and 503.
    assert!(refused.iter().all(|limited| limited.cause == Cause::Unavailable && limited.retry_after.is_some()));
    assert_eq!(refused.len(), 4_200 - 4_096);
    assert!(world.replicas[0].request("key 4199", limits(60, 0, 0)).await.is_ok(), "a moment later");
}

#[tokio::test(start_paused = true)]
async fn keys_that_are_idle_cost_no_calls_and_their_state_goes() {
    let world = World::new(1, NONE, OnFailure::Share).await;
    let replica = &world.replicas[0];
    for block in 0..200 {
        let names: Vec<_> = (0..100).map(|key| format!("{block} {key}")).collect();
        let all = names.iter().map(|name| replica.request(name, limits(60, 0, 0)));
        assert!(join_all(all).await.iter().all(Result::is_ok));
    }
    assert_eq!(replica.limiter.keys(), 20_000);
    sleep(Duration::from_secs(5)).await;
    let before = world.server.calls();
    sleep(Duration::from_secs(10)).await;
    let calls = world.server.calls() - before;
    assert!(calls <= 100, "{calls} exchanges in ten idle seconds");
    // A minute later nothing is used, and the state of all goes.
    sleep(Duration::from_secs(70)).await;
    for key in 0..25_000 {
        let id = format!("new {key}");
        drop(replica.limiter.request(&id.as_str().into(), NONE));
    }
    assert!(replica.limiter.keys() < 40_000, "{}", replica.limiter.keys());
}
