//! With faults: what is admitted beyond the limit stays within the documented bound.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::super::mode::Mode;
use super::super::model_backend::Fault;
use super::world::{Ideal, Seed, World, limits, take};
use crate::config::{OnFailure, RateLimits};
use crate::limiter::Cause;

const NONE: RateLimits = RateLimits { requests_per_minute: None, tokens_per_minute: None, concurrent_streams: None };

/// Sends requests to `replicas` for so long, about one each `pause`, and returns how many were admitted.
async fn traffic(world: &World, replicas: &[usize], own: RateLimits, ideal: &Ideal, draw: &mut Seed, ms: u64) -> usize {
    let end = Instant::now() + Duration::from_millis(ms);
    let mut admitted = 0;
    while Instant::now() < end {
        let replica = &world.replicas[replicas[draw.below(replicas.len() as u64) as usize]];
        for _ in 0..draw.below(4) {
            if replica.request("a", own).await.is_ok() {
                ideal.spend(1);
                admitted += 1;
            }
        }
        sleep(Duration::from_millis(1 + draw.below(20))).await;
    }
    admitted
}

#[tokio::test(start_paused = true)]
async fn an_outage_of_redis_admits_no_more_than_the_limit() {
    for seed in 0..8 {
        let mut draw = Seed(seed);
        let limit = 100 + draw.below(3_000);
        let world = World::new(3, NONE, OnFailure::Share).await;
        let (own, ideal) = (limits(limit as u32, 0, 0), Ideal::full(limit));
        let warm_up = draw.below(20_000);
        traffic(&world, &[0, 1, 2], own, &ideal, &mut draw, warm_up).await;
        world.fault([Fault::Gone, Fault::Hangs, Fault::LosesAnswers][draw.below(3) as usize]);
        let outage = 1_000 + draw.below(90_000);
        traffic(&world, &[0, 1, 2], own, &ideal, &mut draw, outage).await;
        world.fault(Fault::None);
        traffic(&world, &[0, 1, 2], own, &ideal, &mut draw, 30_000).await;
        // What the replicas learned last of each other is up to a second old, and they hold an eighth.
        let bound = limit / 8 + limit / 60 + 3;
        assert!(ideal.over() <= bound, "seed {seed}: {} beyond {limit}, bound {bound}", ideal.over());
        assert!(world.replicas.iter().all(|replica| replica.limits.mode() == Mode::Shared));
    }
}

#[tokio::test(start_paused = true)]
async fn a_replica_that_is_cut_off_admits_its_share_only() {
    for seed in 0..8 {
        let mut draw = Seed(seed);
        let limit = 90 + draw.below(3_000);
        let world = World::new(3, NONE, OnFailure::Share).await;
        let (own, ideal) = (limits(limit as u32, 0, 0), Ideal::full(limit));
        traffic(&world, &[0, 1, 2], own, &ideal, &mut draw, 5_000).await;
        world.replicas[0].fault(Fault::Hangs);
        let began = Instant::now();
        let mut alone = 0;
        while began.elapsed() < Duration::from_secs(60) {
            alone += traffic(&world, &[0], own, &ideal, &mut draw, 500).await;
            traffic(&world, &[1, 2], own, &ideal, &mut draw, 500).await;
        }
        // The share of a minute at once, that of the minute, and the piece that it held.
        let share = limit / 3;
        assert!(alone as u64 <= 2 * share + limit / 24 + 2, "seed {seed}: {alone} of {limit}");
        assert!(ideal.over() <= 2 * share + limit / 24 + 3, "seed {seed}: {} beyond {limit}", ideal.over());
    }
}

#[tokio::test(start_paused = true)]
async fn data_that_redis_has_lost_is_reported_again() {
    for seed in 0..12 {
        let mut draw = Seed(seed);
        let limit = 60 + draw.below(6_000);
        let world = World::new(3, NONE, OnFailure::Share).await;
        let (own, ideal) = (limits(limit as u32, 0, 0), Ideal::full(limit));
        // One replica has used most of it a while ago.
        for _ in 0..limit * 3 / 4 {
            if world.replicas[0].request("a", own).await.is_ok() {
                ideal.spend(1);
            }
        }
        let warm_up = draw.below(8_000);
        traffic(&world, &[1, 2], own, &ideal, &mut draw, warm_up).await;
        world.server.flush();
        let all: &[usize] = if draw.below(2) == 0 { &[1, 2] } else { &[0, 1, 2] };
        traffic(&world, all, own, &ideal, &mut draw, 20_000).await;
        let bound = limit / 8 + limit / 60 + 3;
        assert!(ideal.over() <= bound, "seed {seed}: {} beyond {limit}, bound {bound}", ideal.over());
    }
}

#[tokio::test(start_paused = true)]
async fn a_replica_that_has_not_used_a_key_admits_an_eighth_while_lost_data_is_reported() {
    for limit in [8, 100, 2_400] {
        let world = World::new(3, NONE, OnFailure::Share).await;
        let (own, ideal) = (limits(limit as u32, 0, 0), Ideal::full(limit));
        while world.replicas[0].request("a", own).await.is_ok() {
            ideal.spend(1);
        }
        world.server.flush();
        let flushed = Instant::now();
        while flushed.elapsed() < Duration::from_secs(5) {
            for replica in &world.replicas[1..] {
                while replica.request("a", own).await.is_ok() {
                    ideal.spend(1);
                }
            }
            sleep(Duration::from_millis(20)).await;
        }
        let bound = limit / 8 + limit / 60 + 3;
        assert!(ideal.over() <= bound, "{} beyond {limit}, bound {bound}", ideal.over());
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_killed_replica_held_is_not_lost_for_long() {
    let world = World::new(2, NONE, OnFailure::Share).await;
    let (own, ideal) = (limits(800, 0, 0), Ideal::full(800));
    traffic(&world, &[0, 1], own, &ideal, &mut Seed(1), 3_000).await;
    world.replicas[0].kill();
    traffic(&world, &[1], own, &ideal, &mut Seed(2), 90_000).await;
    assert_eq!(ideal.over(), 0);
    sleep(Duration::from_secs(65)).await;
    let mut burst = 0;
    while world.replicas[1].request("a", own).await.is_ok() {
        burst += 1;
    }
    assert!(burst >= 800, "{burst}: the whole limit is there again");
}

#[tokio::test(start_paused = true)]
async fn a_replica_that_was_stopped_has_nothing_when_it_continues() {
    let world = World::new(2, NONE, OnFailure::Share).await;
    let (own, ideal) = (limits(1_600, 0, 0), Ideal::full(1_600));
    traffic(&world, &[0, 1], own, &ideal, &mut Seed(1), 4_000).await;
    // Its task does not run, as that of a process that was stopped; its clock does.
    world.replicas[0].fault(Fault::Hangs);
    world.replicas[0].kill();
    sleep(Duration::from_secs(10)).await;
    while world.replicas[1].request("a", own).await.is_ok() {
        ideal.spend(1);
    }
    assert!(world.replicas[0].request("a", own).await.is_err(), "nothing is spent that ended meanwhile");
    assert_eq!(ideal.over(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_redis_that_hangs_is_waited_for_once() {
    for fault in [Fault::Gone, Fault::Hangs] {
        let world = World::new(1, NONE, OnFailure::Share).await;
        world.fault(fault);
        let began = Instant::now();
        for key in 0..1_000 {
            assert!(world.replicas[0].request(&key.to_string(), limits(5, 0, 0)).await.is_ok());
        }
        assert!(began.elapsed() <= Duration::from_millis(51), "{fault:?}: {:?}", began.elapsed());
        // Five seconds of a request each millisecond: none waits any more.
        for _ in 0..5_000 {
            let began = Instant::now();
            let _ = world.replicas[0].request("a", limits(5, 0, 0)).await;
            assert_eq!(began.elapsed(), Duration::ZERO, "{fault:?}");
            sleep(Duration::from_millis(1)).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn without_redis_the_configuration_decides() {
    for (on_failure, admitted) in [(OnFailure::Share, 4), (OnFailure::Refuse, 0), (OnFailure::Allow, 12)] {
        let world = World::new(3, NONE, on_failure).await;
        world.fault(Fault::Gone);
        sleep(Duration::from_secs(2)).await;
        let own = limits(12, 0, 0);
        let mut count = 0;
        let limited = loop {
            match world.replicas[0].request("a", own).await {
                Ok(_) => count += 1,
                Err(limited) => break limited,
            }
        };
        assert_eq!(count, admitted, "{on_failure:?}");
        let is_unavailable = limited.cause == Cause::Unavailable;
        assert_eq!(is_unavailable, on_failure == OnFailure::Refuse);
        assert!(limited.retry_after.is_some());
        assert!(world.replicas[0].request("b", NONE).await.is_ok(), "without a limit");
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_admitted_without_redis_is_charged_afterwards() {
    let world = World::new(2, NONE, OnFailure::Share).await;
    let own = limits(100, 1_000, 0);
    drop(world.replicas[0].request("a", own).await);
    world.replicas[0].fault(Fault::Gone);
    sleep(Duration::from_secs(70)).await;
    let mut alone = 0;
    while let Ok(admission) = world.replicas[0].request("a", own).await {
        alone += 1;
        if let Ok(allotment) = take(&admission, false, 20).await {
            allotment.reservation.settle(10);
        }
    }
    assert_eq!(alone, 50);
    world.replicas[0].fault(Fault::None);
    sleep(Duration::from_millis(1_500)).await;
    let admission = world.replicas[1].request("a", own).await.unwrap();
    let left = admission.requests().unwrap().remaining;
    assert!((47..=52).contains(&left), "{left} of 100");
    take(&admission, false, 1).await.unwrap();
    let tokens = admission.tokens().unwrap().remaining;
    assert!((480..=540).contains(&tokens), "{tokens} of 1,000: 490 were used, and some have come back");
}
