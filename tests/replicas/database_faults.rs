//! A Postgres that restarts, hangs or refuses connections, and a PgBouncer in front of it.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::replicas::{Replicas, create_pet};
use crate::writers::{Writers, assert_agree, tally};
use test_support::config::one_model;
use test_support::fault_proxy::{Fault, FaultProxy};
use test_support::frames::{answer, request};
use test_support::http::{Request, Whole};
use test_support::servers::pgbouncer::PgBouncer;
use test_support::servers::postgres::Cluster;
use test_support::upstream::{Script, Upstream};
use test_support::{becomes, usage_records};

/// Longest time for an answer while the database hangs.
pub(crate) const BOUND: Duration = Duration::from_secs(15);

/// An upstream that answers every completion.
pub(crate) async fn upstream() -> Upstream {
    let upstream = Upstream::start([]).await;
    upstream.answer_otherwise(Script::json(200, &answer("hello")));
    upstream
}

/// A configuration with keys in the database only, and the model `m` of `upstream`.
pub(crate) fn with_keys(upstream: &Upstream) -> String {
    one_model(upstream, "").replace("auth: none\n", "auth: keys\nevents: {heartbeat: 1s, retry: 100ms}\n")
}

pub(crate) fn chat(key: &str) -> Request {
    Request::chat(&request(&json!({}))).bearer(key)
}

/// Whether the metrics of a replica say that its database can be used.
async fn is_up(replicas: &Replicas, number: usize, key: &str) -> bool {
    let metrics = replicas.ask(number, &Request::new("GET", "/metrics").bearer(key)).await;
    metrics.text().lines().any(|line| line == "petstream_database_up 1")
}

#[track_caller]
pub(crate) fn assert_unavailable(answer: &Whole) {
    assert_eq!(answer.status, 503, "{}", answer.text());
    assert_eq!(answer.header("content-type"), Some("application/problem+json"));
    assert!(answer.header("retry-after").is_some(), "{}", answer.text());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn completions_go_on_while_postgres_is_away_and_everything_afterwards() {
    let (mut cluster, upstream) = (Cluster::start(&[]).await, upstream().await);
    let url = cluster.create_database("shop").await;
    let replicas = Replicas::start(2, &with_keys(&upstream), &url).await;
    let create = ["keys", "create", "--name", "alice", "--scopes", "chat,store:write,stats"];
    let key = replicas.run(&create).await.trim_end().to_owned();
    for number in 0..2 {
        becomes(&200, async || replicas.ask(number, &chat(&key)).await.status).await;
        assert!(is_up(&replicas, number, &key).await);
    }
    cluster.shut_down().await;
    for number in 0..2 {
        assert_unavailable(&replicas.ask(number, &create_pet("away").bearer(&key)).await);
        for _ in 0..5 {
            assert_eq!(replicas.ask(number, &chat(&key)).await.status, 200, "the key is cached");
        }
        let probe = replicas.ask(number, &Request::new("GET", "/readyz")).await;
        assert_eq!((probe.status, &probe.json()["degraded"]), (200, &json!(["postgres"])), "{}", probe.text());
        assert!(!is_up(&replicas, number, &key).await);
    }
    cluster.launch().await;
    for number in 0..2 {
        becomes(&201, async || replicas.ask(number, &create_pet("back").bearer(&key)).await.status).await;
        becomes(&json!(null), async || {
            replicas.ask(number, &Request::new("GET", "/readyz")).await.json()["degraded"].clone()
        })
        .await;
    }
    let completed = upstream.requests().len();
    becomes(&completed, async || usage_records::read(&url).await.len()).await;
    replicas.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn restarts_and_kills_of_postgres_lose_no_acknowledged_write() {
    let (mut cluster, began) = (Cluster::start(&[]).await, Instant::now());
    let url = cluster.create_database("shop").await;
    let replicas = Replicas::start(3, crate::replicas::OPEN, &url).await;
    let writers = Writers::start("w", 6, replicas.balancer.address);
    for round in 0..4 {
        writers.progress(25).await;
        if round % 2 == 0 {
            cluster.restart().await;
        } else {
            cluster.kill().await;
            cluster.launch().await;
        }
    }
    writers.progress(25).await;
    let written = writers.stop().await;
    eprintln!("3 servers, 4 restarts of Postgres, {}", tally(&written, began));
    let log = replicas.log(0).await;
    assert_agree(&written, &log);
    assert_eq!(replicas.log(2).await, log);
    replicas.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_postgres_that_hangs_holds_no_completion_and_no_request_for_ever() {
    let (cluster, upstream) = (Cluster::start(&[]).await, upstream().await);
    let url = cluster.create_database("shop").await;
    let replicas = Replicas::start(1, &one_model(&upstream, ""), &url).await;
    assert_eq!(replicas.ask(0, &create_pet("before")).await.status, 201);
    cluster.pause();
    let began = Instant::now();
    for _ in 0..5 {
        assert_eq!(replicas.ask(0, &chat("none")).await.status, 200);
    }
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
    let began = Instant::now();
    assert_unavailable(&replicas.ask(0, &create_pet("hangs")).await);
    assert!(began.elapsed() < BOUND, "{:?}", began.elapsed());
    cluster.resume();
    becomes(&201, async || replicas.ask(0, &create_pet("after")).await.status).await;
    replicas.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_network_that_swallows_everything_is_noticed() {
    let (cluster, upstream) = (Cluster::start(&[]).await, upstream().await);
    cluster.create_database("shop").await;
    let proxy = FaultProxy::start(cluster.address).await;
    let replicas = Replicas::start(1, &one_model(&upstream, ""), &cluster.url_at(proxy.address, "shop")).await;
    for fault in [Fault::Stall, Fault::Refuse] {
        proxy.set(fault).await;
        if fault == Fault::Refuse {
            proxy.reset();
        }
        let began = Instant::now();
        assert_unavailable(&replicas.ask(0, &create_pet("lost")).await);
        assert!(began.elapsed() < BOUND, "{fault:?}: {:?}", began.elapsed());
        assert_eq!(replicas.ask(0, &chat("none")).await.status, 200);
        proxy.set(Fault::None).await;
        becomes(&201, async || replicas.ask(0, &create_pet("found")).await.status).await;
    }
    replicas.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_pgbouncer_in_transaction_mode_nothing_is_different() {
    let cluster = Cluster::start(&[]).await;
    let direct = cluster.create_database("shop").await;
    let mut bouncer = PgBouncer::start(&cluster, 4).await;
    let pooled = bouncer.url(&cluster, "shop");
    let yaml = format!("{}database: {{url: '{pooled}', direct_url: '{direct}'}}\n", crate::replicas::OPEN);
    let replicas = Replicas::start_configured(2, &yaml).await;
    let (_, mut stream) = replicas.stream(1, "/api/events/pets", None).await;
    let writers = Writers::start("w", 4, replicas.balancer.address);
    writers.progress(40).await;
    bouncer.restart().await;
    writers.progress(40).await;
    let written = writers.stop().await;
    let seen = stream.messages(written.len()).await;
    assert!(seen.windows(2).all(|pair| pair[1].prev() == pair[0].seq()), "none is missing");
    assert_agree(&written, &replicas.log(0).await);
    replicas.stop().await;
}
