//! Streams at once: never more than the limit on all replicas together.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::super::model_backend::Fault;
use super::world::{Seed, World, limits, take};
use crate::config::{OnFailure, RateLimits};
use crate::limiter::{Cause, StreamPermit};

const NONE: RateLimits = RateLimits { requests_per_minute: None, tokens_per_minute: None, concurrent_streams: None };

/// A stream of a key on a replica; none: refused.
async fn open(world: &World, replica: usize, own: RateLimits) -> Option<StreamPermit> {
    let admission = world.replicas[replica].request("a", own).await.ok()?;
    take(&admission, true, 0).await.ok()?.permit
}

#[tokio::test(start_paused = true)]
async fn no_more_streams_run_at_once_than_the_limit() {
    for seed in 0..6 {
        let mut draw = Seed(seed);
        let limit = 1 + draw.below(80);
        let world = World::new(3, NONE, OnFailure::Share).await;
        let own = limits(0, 0, limit as u32);
        let mut streams: Vec<StreamPermit> = Vec::new();
        let mut most = 0;
        for _ in 0..3_000 {
            if draw.below(5) < 3 {
                streams.extend(open(&world, draw.below(3) as usize, own).await);
            } else if !streams.is_empty() {
                streams.swap_remove(draw.below(streams.len() as u64) as usize);
            }
            assert!(streams.len() as u64 <= limit, "seed {seed}: {} of {limit}", streams.len());
            most = most.max(streams.len() as u64);
            sleep(Duration::from_millis(draw.below(50))).await;
        }
        assert!(most >= limit - limit / 8, "seed {seed}: {most} of {limit} were ever used");
        // All are free again.
        streams.clear();
        sleep(Duration::from_secs(4)).await;
        for _ in 0..limit {
            streams.extend(open(&world, 1, own).await);
        }
        assert_eq!(streams.len() as u64, limit, "seed {seed}");
    }
}

#[tokio::test(start_paused = true)]
async fn streams_of_more_keys_than_are_reported_in_a_second_stay_counted() {
    let world = World::new(2, NONE, OnFailure::Share).await;
    let own = limits(0, 0, 1);
    let mut streams = Vec::new();
    for key in 0..12_000 {
        let admission = world.replicas[0].request(&format!("key {key}"), own).await.unwrap();
        let allotment = take(&admission, true, 0).await;
        streams.push(allotment.unwrap_or_else(|limited| panic!("key {key}: {limited:?}")));
        if key % 1_000 == 0 {
            sleep(Duration::from_millis(1)).await;
        }
    }
    let (before, began) = (world.server.calls(), Instant::now());
    sleep(Duration::from_secs(20)).await;
    let calls = world.server.calls() - before;
    let most = 5_000 * (began.elapsed().as_secs() as usize + 1);
    assert!(calls <= most, "{calls} exchanges in 20 seconds");
    for key in (0..12_000).step_by(97) {
        let admission = world.replicas[1].request(&format!("key {key}"), own).await.unwrap();
        assert!(take(&admission, true, 0).await.is_err(), "key {key}");
    }
}

#[tokio::test(start_paused = true)]
async fn one_stream_after_the_other_is_admitted_on_any_replica() {
    let world = World::new(3, NONE, OnFailure::Share).await;
    let own = limits(0, 0, 1);
    for round in 0..60 {
        let permit = open(&world, round % 3, own).await;
        assert!(permit.is_some(), "round {round}");
        assert!(open(&world, (round + 1) % 3, own).await.is_none(), "round {round}: a second at the same time");
        sleep(Duration::from_millis(30)).await;
        drop(permit);
        // The next exchange.
        sleep(Duration::from_millis(5)).await;
    }
}

/// A stream needs a permit of its key and one of the total. While both are scarce, a request that gets one of them and
/// waits for the other must not lose the first.
#[tokio::test(start_paused = true)]
async fn streams_of_many_clients_are_admitted_or_refused_and_never_left_unknown() {
    for seed in 0..4 {
        let world = Arc::new(World::new(3, limits(0, 0, 13), OnFailure::Share).await);
        let clients = (0..16).map(|client| {
            let (world, mut draw) = (Arc::clone(&world), Seed(seed * 100 + client));
            tokio::spawn(async move {
                let mut admitted = 0;
                for _ in 0..200 {
                    let key = ["a", "b"][draw.below(2) as usize];
                    let replica = &world.replicas[draw.below(3) as usize];
                    let admission = replica.request(key, limits(0, 0, 8)).await.unwrap();
                    match take(&admission, true, 0).await {
                        Ok(_stream) => {
                            admitted += 1;
                            sleep(Duration::from_millis(draw.below(80))).await;
                        }
                        Err(limited) => {
                            assert_eq!(limited.cause, Cause::UsedUp, "seed {seed}");
                            sleep(Duration::from_millis(draw.below(20))).await;
                        }
                    }
                }
                admitted
            })
        });
        let mut admitted = 0;
        for client in clients.collect::<Vec<_>>() {
            admitted += client.await.unwrap();
        }
        // One process with these limits admits 1,822 to 1,997.
        assert!(admitted > 1_370, "seed {seed}: {admitted} of 3200");
    }
}

#[tokio::test(start_paused = true)]
async fn streams_that_run_long_stay_counted() {
    let world = World::new(2, NONE, OnFailure::Share).await;
    let own = limits(0, 0, 2);
    let _both = (open(&world, 0, own).await.unwrap(), open(&world, 0, own).await.unwrap());
    for _ in 0..120 {
        sleep(Duration::from_millis(500)).await;
        assert!(open(&world, 1, own).await.is_none());
    }
}

#[tokio::test(start_paused = true)]
async fn the_permits_of_a_killed_replica_are_free_within_six_seconds() {
    let world = World::new(3, NONE, OnFailure::Share).await;
    let own = limits(0, 0, 40);
    let mut lost = Vec::new();
    while let Some(permit) = open(&world, 0, own).await {
        lost.push(permit);
    }
    assert_eq!(lost.len(), 40);
    sleep(Duration::from_millis(2_345)).await;
    world.replicas[0].kill();
    let killed = Instant::now();
    let mut streams = Vec::new();
    while streams.len() < 40 {
        while let Some(permit) = open(&world, 1, own).await {
            streams.push(permit);
        }
        assert!(killed.elapsed() < Duration::from_secs(6), "{} of 40 are free", streams.len());
        sleep(Duration::from_millis(25)).await;
    }
    assert!(killed.elapsed() > Duration::from_secs(3), "it was known to live until then");
    assert!(open(&world, 2, own).await.is_none());
}

#[tokio::test(start_paused = true)]
async fn without_redis_each_replica_admits_its_share_of_streams_and_reports_them_afterwards() {
    let world = World::new(3, NONE, OnFailure::Share).await;
    let own = limits(0, 0, 9);
    drop(open(&world, 0, own).await);
    world.fault(Fault::Gone);
    sleep(Duration::from_secs(6)).await;
    let mut streams = Vec::new();
    for replica in 0..3 {
        while let Some(permit) = open(&world, replica, own).await {
            streams.push(permit);
        }
        assert_eq!(streams.len(), 3 * (replica + 1));
    }
    world.fault(Fault::None);
    sleep(Duration::from_secs(2)).await;
    assert!(open(&world, 0, own).await.is_none(), "all nine are counted");
    streams.truncate(8);
    sleep(Duration::from_millis(1_100)).await;
    assert!(open(&world, 1, own).await.is_some());
}
