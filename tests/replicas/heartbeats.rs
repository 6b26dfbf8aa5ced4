//! Heartbeats of many replicas at one Redis.

use petstream::shared::{ReplicaId, Replicas};
use test_support::servers::redis::Redis;
use test_support::{becomes, soon};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::client::{Client, open};

/// A replica that sends heartbeats.
struct Replica {
    name: ReplicaId,
    replicas: Replicas,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Replica {
    fn start(client: &Client, sample: &str) -> Self {
        let (name, stop) = (ReplicaId::random(), CancellationToken::new());
        let replicas = Replicas::new(client.redis.clone(), name.clone());
        // The last value stays when the sender is dropped.
        let (_, sample) = watch::channel(sample.to_owned());
        let task = tokio::spawn(replicas.clone().run(sample, stop.clone()));
        Self { name, replicas, stop, task }
    }

    async fn knows(&self, count: u32) {
        soon("the number of replicas", self.replicas.live_changes().wait_for(|live| *live == count)).await.unwrap();
    }

    async fn names_with_samples(&self) -> Vec<ReplicaId> {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        self.replicas.samples().await.unwrap().iter().map(|sample| sample.replica.clone()).collect()
    }

    async fn stop(self) {
        self.stop.cancel();
        soon("the end of the heartbeats", self.task).await.unwrap();
    }
}

#[tokio::test]
async fn at_most_64_replicas_have_samples_of_at_most_8_kib() {
    let server = Redis::start().await;
    let client = open(&server.url()).await.unwrap();
    let longest = Replica::start(&client, &"x".repeat(8 * 1024));
    let too_long = Replica::start(&client, &"x".repeat(8 * 1024 + 1));
    longest.knows(2).await;
    becomes(&vec![longest.name.clone()], async || longest.names_with_samples().await).await;
    longest.stop().await;
    too_long.stop().await;

    let all: Vec<_> = (0..66).map(|_| Replica::start(&client, "{}")).collect();
    for replica in &all {
        replica.knows(66).await;
    }
    let samples = soon("the samples", all[0].replicas.samples()).await.unwrap();
    assert_eq!(samples.len(), 64);
    assert_eq!(server.command(&["HLEN", "petstream:samples"]).await, "64");
    // A replica that ends gives its place to another one.
    let names: Vec<_> = samples.iter().map(|sample| sample.replica.clone()).collect();
    let (mut ending, staying): (Vec<_>, Vec<_>) =
        all.into_iter().partition(|replica| names[..2].contains(&replica.name));
    ending.pop().unwrap().stop().await;
    ending.pop().unwrap().stop().await;
    let mut expected: Vec<_> = staying.iter().map(|replica| replica.name.clone()).collect();
    expected.sort();
    becomes(&expected, async || staying[0].names_with_samples().await).await;
    staying[0].knows(64).await;
}

#[tokio::test]
async fn entries_of_another_time_are_removed() {
    let server = Redis::start().await;
    let client = open(&server.url()).await.unwrap();
    // Of a Redis whose clock was ahead, and of a replica that was killed long ago.
    for (time, name) in [("9999999999999", "0123456789abcdef"), ("1000000000000", "fedcba9876543210")] {
        server.command(&["ZADD", "petstream:replicas", time, name]).await;
        server.command(&["HSET", "petstream:samples", name, "{}"]).await;
    }
    server.command(&["HSET", "petstream:samples", "no name of a replica", "{}"]).await;
    let replica = Replica::start(&client, "{}");
    becomes(&vec![replica.name.clone()], async || replica.names_with_samples().await).await;
    assert_eq!(server.command(&["ZRANGE", "petstream:replicas", "0", "-1"]).await, replica.name.as_str());
    assert_eq!(replica.replicas.live(), 1);
}

#[tokio::test]
async fn a_redis_that_lost_everything_knows_the_replicas_after_a_second() {
    let mut server = Redis::start().await;
    let client = open(&server.url()).await.unwrap();
    let (one, other) = (Replica::start(&client, "{}"), Replica::start(&client, "{}"));
    one.knows(2).await;
    other.knows(2).await;
    server.restart_empty().await;
    client.is(false).await;
    client.is(true).await;
    assert_eq!(one.replicas.live(), 2, "the last number stays");
    let mut expected = vec![one.name.clone(), other.name.clone()];
    expected.sort();
    becomes(&expected, async || {
        // The client may be down for the moment of a heartbeat.
        let samples = one.replicas.samples().await.unwrap_or_default();
        samples.iter().map(|sample| sample.replica.clone()).collect::<Vec<_>>()
    })
    .await;
}
