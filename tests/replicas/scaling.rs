//! Servers that are added, removed and replaced under load.

use sqlx::{Connection as _, PgConnection};

use crate::load::{KEY, Load, Upstreams, outages};
use crate::replicas::{Replicas, Setup};
use crate::start::LATER;
use test_support::servers::postgres::{Cluster, Database};
use test_support::servers::redis::Redis;

/// Changes between two steps.
const CHANGES: usize = 25;

async fn start(count: usize, database: &str, redis: &Redis) -> (Replicas, Load) {
    let upstreams = Upstreams::start().await;
    let setups = vec![Setup::with_redis(&redis.url()); count];
    let replicas = Replicas::start_each(&upstreams.yaml(), database, setups).await.with_key(KEY);
    let load = Load::start(upstreams, replicas.balancer.address);
    (replicas, load)
}

/// Checks that since the last call no request was lost, and none admitted beyond the limit, while these servers run.
/// Where Redis does not answer in time on a busy machine, a server may admit its share: the limit divided by `known`, the
/// number of servers that it knows.
async fn assert_undisturbed(load: &mut Load, replicas: &Replicas, known: usize) {
    let numbers = replicas.numbers();
    load.settle(replicas, &numbers).await;
    load.writers.progress(CHANGES).await;
    let answers = load.answers();
    assert_eq!(answers.lost, 0, "{answers:?}");
    // A share and, between the request and its arrival at the upstream, one that has come back.
    let alone = outages(replicas, &numbers).await.iter().sum::<u64>();
    let most = 1.0 + alone as f64 * f64::from(crate::load::LIMIT) / known as f64;
    let over = load.over();
    assert!(over <= most, "{over} beyond the limit, at most {most}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn servers_that_are_added_and_removed_under_load_lose_nothing_and_share_the_limits() {
    let (database, redis) = (Database::create().await, Redis::start().await);
    let (mut replicas, mut load) = start(1, &database.url, &redis).await;
    assert_undisturbed(&mut load, &replicas, 1).await;
    for known in [1, 2] {
        replicas.add().await;
        assert_undisturbed(&mut load, &replicas, known).await;
    }
    replicas.terminate(0).await;
    assert_undisturbed(&mut load, &replicas, 2).await;
    let (_, written) = load.end(&replicas, Vec::new()).await;
    assert!(written.iter().all(|pet| (pet.lost, pet.refused) == (0, 0)), "requests were disturbed: {written:?}");
    replicas.stop().await;
}

/// The later version is this one with a schema that was extended: what its first server does to the database of the
/// others. The servers are replaced one after the other, which is an upgrade and a rollback: this version starts on the
/// later schema beside servers that have started on the earlier one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_later_schema_rolls_over_servers_under_load_and_back() {
    let (cluster, redis) = (Cluster::start(&[]).await, Redis::start().await);
    let url = cluster.create_database("shop").await;
    let (mut replicas, mut load) = start(3, &url, &redis).await;
    assert_undisturbed(&mut load, &replicas, 3).await;
    let mut later = PgConnection::connect(&url).await.unwrap();
    for sql in LATER {
        sqlx::query(sql).execute(&mut later).await.unwrap();
    }
    later.close().await.unwrap();
    for number in 0..3 {
        replicas.terminate(number).await;
        load.writers.progress(CHANGES).await;
        replicas.launch(number).await;
        assert_undisturbed(&mut load, &replicas, 2).await;
    }
    let (_, written) = load.end(&replicas, Vec::new()).await;
    assert!(written.iter().all(|pet| pet.lost == 0), "requests were lost: {written:?}");
    replicas.stop().await;
}
