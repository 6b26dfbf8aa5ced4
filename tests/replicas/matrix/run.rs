//! Three servers with their engines and clients, and the faults that hit them.

use std::time::{Duration, Instant};

use serde_json::json;

use super::fault::{COMPLETIONS, EVENTS, Fault, share};
use super::{Engine, REPLICAS, Row};
use crate::load::{KEY, Load, Upstreams, outages, says};
use crate::replicas::{Replicas, Setup, create_pet_once};
use crate::writers::{Written, create};
use test_support::fault_proxy::{self, FaultProxy, Side};
use test_support::http::Request;
use test_support::servers::postgres::Cluster;
use test_support::servers::redis::Redis;
use test_support::{becomes, soon};

/// Answers of limited callers in a fault: a second and more.
const ANSWERS: usize = 100;
/// Changes during a fault.
const CHANGES: usize = 20;

/// The servers, what they share, and their clients.
pub(super) struct Run {
    cluster: Cluster,
    redis: Option<Redis>,
    /// One for each server, in front of Redis.
    proxies: Vec<FaultProxy>,
    replicas: Replicas,
    load: Load,
    /// Pets of probes.
    probed: Vec<Written>,
}

impl Run {
    pub(super) async fn start(engine: Engine) -> Self {
        let cluster = Cluster::start(&[]).await;
        let url = cluster.create_database("shop").await;
        let upstreams = Upstreams::start().await;
        let (mut redis, mut proxies, mut setups) = (None, Vec::new(), vec![Setup::default(); REPLICAS]);
        if engine == Engine::PostgresAndRedis {
            let server = Redis::start().await;
            for setup in &mut setups {
                let proxy = FaultProxy::start(server.address).await;
                *setup = Setup::with_redis(&server.url_at(proxy.address));
                proxies.push(proxy);
            }
            redis = Some(server);
        }
        let replicas = Replicas::start_each(&upstreams.yaml(), &url, setups).await.with_key(KEY);
        let load = Load::start(upstreams, replicas.balancer.address);
        let mut run = Self { cluster, redis, proxies, replicas, load, probed: Vec::new() };
        run.settle().await;
        run.probe(&[0, 1, 2]).await;
        run.load.answers();
        run.load.over();
        run
    }

    /// Waits until limits are shared by all servers, and used up.
    async fn settle(&self) {
        if self.redis.is_some() {
            self.load.settle(&self.replicas, &[0, 1, 2]).await;
        }
    }

    /// Waits until a server says that it does without these engines.
    async fn degraded(&self, number: usize, engines: &[&str]) {
        let degraded =
            async || self.replicas.ask(number, &Request::new("GET", "/readyz")).await.json()["degraded"].clone();
        becomes(&json!(engines), degraded).await;
    }

    /// Changes something on each of these servers. Returns how long it took until all were acknowledged, and how long at
    /// most an event took to the next one.
    async fn probe(&mut self, servers: &[usize]) -> (Duration, Duration) {
        let (began, mut writes, mut events) = (Instant::now(), Duration::ZERO, Duration::ZERO);
        for (place, &from) in servers.iter().enumerate() {
            let to = servers[(place + 1) % servers.len()];
            let description = format!("probe {}", self.probed.len());
            let request = create_pet_once(&description).bearer(KEY);
            let address = self.replicas.program(from).address;
            let until_written = soon("a probe", create(description.clone(), &request, address));
            if place == 0 {
                // The first may have to wait for Postgres.
                self.probed.push(until_written.await);
                writes = began.elapsed();
                continue;
            }
            let (_, mut stream) = self.replicas.stream(to, "/api/events/pets", None).await;
            let sent = Instant::now();
            self.probed.push(until_written.await);
            writes = writes.max(sent.elapsed());
            while stream.message().await.data["resource"]["description"] != description.as_str() {}
            events = events.max(sent.elapsed());
        }
        (writes, events)
    }

    /// Lets one fault happen, and waits until everything is as before.
    pub(super) async fn suffer(&mut self, fault: Fault, target: usize) -> Row {
        let mut before = outages(&self.replicas, &[0, 1, 2]).await;
        if matches!(fault, Fault::ReplicaKill | Fault::ReplicaRestart) {
            // Another process will count.
            before[target] = 0;
        }
        let during = self.inject(fault, target).await;
        let after = self.probe(&[0, 1, 2]).await;
        self.settle().await;
        self.load.writers.progress(CHANGES).await;
        let answers = self.load.answers();
        assert!(answers.lost == 0 || fault.is_of_replica(), "{fault:?}: {answers:?}");
        // On a busy machine, Redis may not answer in time without a fault of its own.
        let outages = outages(&self.replicas, &[0, 1, 2]).await;
        let others = outages.iter().zip(before).filter(|(after, before)| *after > before).count();
        let others = if fault.most_over() > 0.0 { 0 } else { others };
        let over = self.load.over();
        Row {
            fault,
            over: self.redis.is_some().then_some(over),
            most_over: fault.most_over() + others as f64 * share(),
            writes: during.0.max(after.0),
            events: during.1.max(after.1),
            completions: answers.longest,
        }
    }

    /// Lets a fault happen and end. Returns what probes at the servers that it does not hit have measured meanwhile.
    async fn inject(&mut self, fault: Fault, target: usize) -> (Duration, Duration) {
        let others: Vec<usize> = (0..REPLICAS).filter(|number| *number != target).collect();
        let mut during = (Duration::ZERO, Duration::ZERO);
        match fault {
            Fault::PostgresRestart => {
                self.cluster.shut_down().await;
                self.all_degraded("postgres").await;
                self.cluster.launch().await;
            }
            Fault::PostgresKill => {
                self.cluster.kill().await;
                self.cluster.launch().await;
            }
            Fault::PostgresStall => {
                self.cluster.pause();
                self.load.open.answered(ANSWERS).await;
                self.cluster.resume();
            }
            Fault::NotificationsLost => {
                self.lose_notifications().await;
                during = self.probe(&[0, 1, 2]).await;
            }
            Fault::ReplicaKill => {
                self.replicas.kill(target).await;
                during = self.probe(&others).await;
                self.load.writers.progress(CHANGES).await;
                self.replicas.launch(target).await;
            }
            Fault::ReplicaPause => {
                self.replicas.leave_out(target);
                self.replicas.program(target).signal("STOP").await;
                during = self.probe(&others).await;
                self.load.writers.progress(CHANGES).await;
                self.replicas.program(target).signal("CONT").await;
                self.replicas.balance();
            }
            Fault::ReplicaRestart => {
                self.replicas.terminate(target).await;
                during = self.probe(&others).await;
                self.replicas.launch(target).await;
            }
            _ => during = self.inject_into_redis(fault, target).await,
        }
        during
    }

    async fn inject_into_redis(&mut self, fault: Fault, target: usize) -> (Duration, Duration) {
        let mut redis = self.redis.take().expect("faults of Redis are drawn with it only");
        match fault {
            Fault::RedisRestart => redis.restart().await,
            Fault::RedisRestartEmpty => redis.kill().await,
            Fault::RedisFlush => assert_eq!(redis.command(&["FLUSHALL"]).await, "OK"),
            Fault::RedisScriptFlush => assert_eq!(redis.command(&["SCRIPT", "FLUSH"]).await, "OK"),
            Fault::RedisStall => redis.pause(),
            Fault::RedisFull => redis.refuse_writes(true).await,
            Fault::RedisReadOnly => read_only(&redis, true).await,
            Fault::RedisOneWay => {
                for proxy in &self.proxies {
                    proxy.set(fault_proxy::Fault::StallTo(Side::Client)).await;
                }
            }
            _ => {
                self.proxies[target].set(fault_proxy::Fault::Refuse).await;
                self.proxies[target].reset();
            }
        }
        match fault {
            Fault::RedisRestartEmpty | Fault::RedisStall | Fault::RedisOneWay => self.all_degraded("redis").await,
            Fault::RedisCutOff => self.degraded(target, &["redis"]).await,
            Fault::RedisFull | Fault::RedisReadOnly => {
                for number in 0..REPLICAS {
                    says(&self.replicas, number, r#"petstream_limits_mode{mode="outage"} 1"#).await;
                }
            }
            _ => {}
        }
        let during = self.probe(&[0, 1, 2]).await;
        self.load.limited.answered(ANSWERS).await;
        match fault {
            Fault::RedisRestartEmpty => redis.launch().await,
            Fault::RedisStall => redis.resume(),
            Fault::RedisFull => redis.refuse_writes(false).await,
            Fault::RedisReadOnly => read_only(&redis, false).await,
            Fault::RedisOneWay | Fault::RedisCutOff => {
                for proxy in &self.proxies {
                    proxy.set(fault_proxy::Fault::None).await;
                }
            }
            _ => {}
        }
        self.redis = Some(redis);
        during
    }

    async fn all_degraded(&self, engine: &str) {
        for number in 0..REPLICAS {
            self.degraded(number, &[engine]).await;
        }
    }

    /// Closes all connections for notifications.
    async fn lose_notifications(&self) {
        // Each replica has one, or gets it soon after an earlier fault.
        if let Some(redis) = &self.redis {
            let subscribed = format!("petstream:commits\n{REPLICAS}");
            becomes(&subscribed, async || redis.command(&["PUBSUB", "NUMSUB", "petstream:commits"]).await).await;
            assert_eq!(redis.command(&["CLIENT", "KILL", "TYPE", "pubsub"]).await, REPLICAS.to_string());
        } else {
            let listeners = "FROM pg_stat_activity WHERE query LIKE 'LISTEN%'";
            self.cluster.becomes(&REPLICAS.to_string(), &format!("SELECT count(*) {listeners}")).await;
            let close = format!("SELECT count(pg_terminate_backend(pid)) {listeners}");
            assert_eq!(self.cluster.psql(&close).await, REPLICAS.to_string());
        }
    }

    /// Checks what was measured.
    pub(super) fn check(&self, row: &Row) {
        let fault = row.fault;
        // One is what has come back between a request and its arrival at the upstream.
        assert!(row.over.is_none_or(|over| over <= row.most_over + 1.0), "{fault:?}: {:?}", row.over);
        assert!(row.writes <= fault.longest_wait(), "{fault:?}: {:?}", row.writes);
        assert!(row.events <= EVENTS, "{fault:?}: {:?}", row.events);
        assert!(fault.is_of_replica() || row.completions <= COMPLETIONS, "{fault:?}: {:?}", row.completions);
    }

    /// Ends the clients, and checks what they and the servers have seen. Returns a summary.
    pub(super) async fn end(self) -> String {
        let (summary, _) = self.load.end(&self.replicas, self.probed).await;
        self.replicas.stop().await;
        summary
    }
}

/// Makes it a replica of a server that is not there, or a primary again.
async fn read_only(redis: &Redis, is_read_only: bool) {
    let primary = if is_read_only { ["127.0.0.1", "1"] } else { ["NO", "ONE"] };
    assert_eq!(redis.command(&["REPLICAOF", primary[0], primary[1]]).await, "OK");
}
