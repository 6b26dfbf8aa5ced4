//! Limits of three replicas in one process, each with a connection of its own to a real Redis.

use std::num::{NonZeroU32, NonZeroU64};
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use petstream::config::{OnFailure, RateLimits};
use petstream::limiter::{Admission, Blocked, Clock, Limiter, Mode, RateLimited, SharedLimits, StreamPermit};
use petstream::shared::ReplicaId;
use petstream::telemetry::metrics::Metrics;
use test_support::servers::redis::Redis;
use test_support::{becomes, soon};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::client::{Client, open};

const NONE: RateLimits = RateLimits { requests_per_minute: None, tokens_per_minute: None, concurrent_streams: None };

struct Replica {
    limiter: Limiter,
    limits: SharedLimits,
    task: JoinHandle<()>,
    _client: Client,
}

impl Replica {
    async fn start(server: &Redis, on_failure: OnFailure) -> Self {
        let client = open(&server.url()).await.unwrap();
        let (clock, metrics) = (Clock::real(), Metrics::new());
        let (limits, task) =
            SharedLimits::open(client.redis.clone(), &ReplicaId::random(), on_failure, clock.clone(), metrics.leases());
        let task = tokio::spawn(task.run(CancellationToken::new()));
        limits.set_replicas(3);
        soon("shared limits", limits.ready()).await;
        Self { limiter: Limiter::shared(NONE, clock, limits.clone()), limits, task, _client: client }
    }

    async fn request(&self, key: &str, limits: RateLimits) -> Result<Admission, RateLimited> {
        match self.limiter.request(&key.into(), limits) {
            Ok(admission) => Ok(admission),
            Err(Blocked::Limited(limited)) => Err(limited),
            Err(Blocked::Pending(admission)) => admission.await,
        }
    }

    async fn stream(&self, own: RateLimits) -> Option<StreamPermit> {
        let admission = self.request("a", own).await.ok()?;
        match admission.take(true, 0) {
            Ok(allotment) => allotment.permit,
            Err(Blocked::Limited(_)) => None,
            Err(Blocked::Pending(allotment)) => allotment.await.ok()?.permit,
        }
    }

    async fn is(&self, mode: &'static str) {
        becomes(&mode, async || match self.limits.mode() {
            Mode::Shared => "shared",
            Mode::Recovery(_) => "recovery",
            Mode::Outage(_) => "outage",
        })
        .await;
    }
}

async fn three(server: &Redis) -> [Replica; 3] {
    let start = || Replica::start(server, OnFailure::Share);
    let (one, two, three) = tokio::join!(start(), start(), start());
    [one, two, three]
}

fn limits(requests: u32, tokens: u64, streams: u32) -> RateLimits {
    RateLimits {
        requests_per_minute: NonZeroU32::new(requests),
        tokens_per_minute: NonZeroU64::new(tokens),
        concurrent_streams: NonZeroU32::new(streams),
    }
}

/// Three times the limit at once, on all replicas. What is admitted is the limit; what comes back meanwhile, and the share
/// of a replica that got no answer in time, may be added to it.
async fn burst(replicas: &[Replica; 3], key: &str, limit: u32) {
    let outages = || replicas.each_ref().map(|replica| replica.limits.outages());
    let (began, before) = (Instant::now(), outages());
    let all = replicas.iter().flat_map(|replica| (0..limit).map(move |_| replica.request(key, limits(limit, 0, 0))));
    let admitted = join_all(all).await.iter().filter(|answer| answer.is_ok()).count();
    let regained = (began.elapsed().as_secs_f64() / 60.0 * f64::from(limit)).ceil() as usize;
    let alone = outages().iter().zip(before).filter(|(after, before)| *after != before).count();
    let (limit, share) = (limit as usize, (limit as usize / 3).max(1));
    let most = limit + regained + alone * share;
    assert!(admitted <= most, "{admitted} of {limit}, {regained} came back, {alone} had no answer");
    let least = if alone == 0 { limit - limit / 8 } else { share };
    assert!(admitted >= least, "{admitted} of {limit}, {alone} had no answer");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_times_the_limit_at_once_is_admitted_once() {
    let server = Redis::start().await;
    let replicas = three(&server).await;
    for limit in [1, 10, 300] {
        burst(&replicas, &format!("key {limit}"), limit).await;
    }
    // A server that has forgotten the script is sent it again.
    assert_eq!(server.command(&["SCRIPT", "FLUSH"]).await, "OK");
    burst(&replicas, "after the flush", 200).await;
    let keys = server.command(&["KEYS", "petstream:limit:1:{key:*"]).await;
    assert!(keys.contains("petstream:limit:1:{key:key 300}:requests"), "{keys}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn data_that_was_lost_is_reported_before_anything_is_granted() {
    let server = Redis::start().await;
    let replicas = three(&server).await;
    let own = limits(2_400, 0, 0);
    while replicas[0].request("a", own).await.is_ok() {}
    let began = Instant::now();
    server.command(&["FLUSHALL"]).await;
    let mut admitted = 0;
    for _ in 0..60 {
        for replica in &replicas {
            while replica.request("a", own).await.is_ok() {
                admitted += 1;
            }
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    for replica in &replicas {
        replica.is("shared").await;
    }
    // What came back, an eighth, and a second of the rate. Each of the other two admitted its own third of what it knew.
    let regained = (began.elapsed().as_secs_f64() * 40.0).ceil() as usize;
    assert!(admitted <= regained + 300 + 40 + 2 * 800, "{admitted}, {regained} came back");
    let left = replicas[1].request("a", own).await.map_or(0, |admission| admission.requests().unwrap().remaining);
    assert!(left <= 2_400 / 8, "{left}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_that_hangs_or_is_gone_is_not_waited_for() {
    let mut server = Redis::start().await;
    let replicas = three(&server).await;
    let own = limits(300, 0, 0);
    for replica in &replicas {
        replica.request("a", own).await.unwrap();
    }
    for hangs in [true, false] {
        if hangs {
            server.pause();
        } else {
            server.kill().await;
        }
        let mut slow = 0;
        for key in 0..300 {
            let began = Instant::now();
            let _ = replicas[key % 3].request(&key.to_string(), own).await;
            let waited = began.elapsed();
            assert!(waited < Duration::from_millis(500), "{waited:?}");
            slow += usize::from(waited > Duration::from_millis(20));
        }
        // The first request of each replica, and in a busy test others that have no thread.
        assert!(slow <= 30, "{slow} of 300 requests waited");
        for replica in &replicas {
            replica.is("outage").await;
        }
        if hangs {
            server.resume();
        } else {
            server.launch().await;
        }
        for replica in &replicas {
            replica.is("shared").await;
        }
    }
}

#[tokio::test]
async fn a_request_without_an_answer_in_time_is_decided_as_in_an_outage() {
    let server = Redis::start().await;
    let client = open(&server.url()).await.unwrap();
    for (on_failure, is_admitted) in [(OnFailure::Share, true), (OnFailure::Allow, true), (OnFailure::Refuse, false)] {
        let (clock, metrics) = (Clock::real(), Metrics::new());
        let (limits, task) =
            SharedLimits::open(client.redis.clone(), &ReplicaId::random(), on_failure, clock.clone(), metrics.leases());
        let mut task = std::pin::pin!(task.run(CancellationToken::new()));
        tokio::select! {
            () = &mut task => panic!("it has ended"),
            () = soon("shared limits", limits.ready()) => {}
        }
        // The task gets no processor from here on, and does not notice by itself that there is no answer.
        let limiter = Limiter::shared(NONE, clock, limits.clone());
        let own = RateLimits { requests_per_minute: NonZeroU32::new(3), ..NONE };
        let Err(Blocked::Pending(admission)) = limiter.request(&"a".into(), own) else { panic!("Redis has to tell") };
        assert_eq!(admission.await.is_ok(), is_admitted, "{on_failure:?}");
        assert_eq!((limits.outages(), limits.mode()), (1, Mode::Outage(1)));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_permits_of_a_replica_that_was_killed_are_free_within_six_seconds() {
    let server = Redis::start().await;
    let [killed, one, other] = three(&server).await;
    let own = limits(0, 0, 8);
    let mut permits = Vec::new();
    while let Some(permit) = killed.stream(own).await {
        permits.push(permit);
    }
    assert_eq!(permits.len(), 8);
    assert!(one.stream(own).await.is_none());
    killed.task.abort();
    let began = Instant::now();
    let mut streams = Vec::new();
    while streams.len() < 8 {
        streams.extend(one.stream(own).await);
        assert!(began.elapsed() < Duration::from_secs(6), "{} of 8 are free", streams.len());
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    assert!(other.stream(own).await.is_none());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn exchanges_are_few_at_a_thousand_requests_a_second() {
    let server = Redis::start().await;
    let replicas = three(&server).await;
    let own = limits(240_000, 0, 0);
    let before = calls(&server).await;
    let replicas = Arc::new(replicas);
    let traffic = (0..3).map(|index| {
        let replicas = Arc::clone(&replicas);
        tokio::spawn(async move {
            for _ in 0..1_000 {
                assert!(replicas[index].request("a", own).await.is_ok());
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        })
    });
    join_all(traffic).await.into_iter().for_each(|end| end.unwrap());
    let calls = calls(&server).await - before;
    assert!(calls <= 150, "{calls} scripts for 3,000 requests");
}

async fn calls(server: &Redis) -> u64 {
    let info = server.command(&["INFO", "commandstats"]).await;
    let line = info.split("cmdstat_evalsha:calls=").nth(1).unwrap_or("0,");
    line.split(',').next().unwrap().parse().unwrap()
}
