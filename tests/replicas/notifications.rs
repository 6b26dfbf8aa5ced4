//! Commit notifications between two replicas in one process.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use petstream::shared::{CommitNotifications, NotificationMeter, ReplicaId};
use test_support::becomes;
use test_support::servers::redis::Redis;
use tokio::sync::watch;

use crate::client::open;

#[derive(Default)]
struct Counts {
    sent: AtomicU32,
    received: AtomicU32,
    delays: AtomicU32,
    wakes: AtomicU32,
}

impl NotificationMeter for Counts {
    fn sent(&self) {
        self.sent.fetch_add(1, Ordering::Relaxed);
    }

    fn received(&self) {
        self.received.fetch_add(1, Ordering::Relaxed);
    }

    fn invalid(&self) {}

    fn delay(&self, _: Duration) {
        self.delays.fetch_add(1, Ordering::Relaxed);
    }
}

async fn grows(count: &AtomicU32, beyond: u32) {
    becomes(&true, async || {
        tokio::time::sleep(Duration::from_millis(1)).await;
        count.load(Ordering::Relaxed) > beyond
    })
    .await;
}

#[tokio::test]
async fn commits_in_quick_succession_are_published_and_read_50_times_a_second() {
    let server = Redis::start().await;
    let client = open(&server.url()).await.unwrap();
    let [writer, reader] = [Arc::new(Counts::default()), Arc::new(Counts::default())];
    let part = |counts: &Arc<Counts>| {
        CommitNotifications::new(client.redis.clone(), ReplicaId::random(), Arc::<Counts>::clone(counts))
    };
    let of_writer = part(&writer);
    let (commits, receiver) = watch::channel(0_u64);
    tokio::spawn(of_writer.clone().publish(receiver));
    tokio::spawn(of_writer.receive(|| {}));
    let counts = Arc::clone(&reader);
    tokio::spawn(part(&reader).receive(move || {
        counts.wakes.fetch_add(1, Ordering::Relaxed);
    }));
    // Each wakes once when it is connected.
    grows(&reader.wakes, 0).await;

    let began = Instant::now();
    let mut number = 0;
    while began.elapsed() < Duration::from_millis(500) {
        number += 1;
        commits.send_replace(number);
        tokio::task::yield_now().await;
    }
    let most = u32::try_from(began.elapsed().as_millis() / 20).unwrap() + 3;
    let counts = [&writer.sent, &reader.received, &reader.wakes].map(|count| count.load(Ordering::Relaxed));
    assert!(number > 1_000, "{number} commits");
    assert!(counts.iter().all(|count| (2..=most).contains(count)), "{counts:?}, at most {most}");
    grows(&writer.delays, 0).await;
}

#[tokio::test]
async fn a_wake_up_because_of_another_replica_is_not_passed_on() {
    let server = Redis::start().await;
    let client = open(&server.url()).await.unwrap();
    let counts = Arc::new(Counts::default());
    let part = CommitNotifications::new(client.redis.clone(), ReplicaId::random(), Arc::<Counts>::clone(&counts));
    let (commits, receiver) = watch::channel(0_u64);
    tokio::spawn(part.publish(receiver));
    for _ in 0..3 {
        commits.send_modify(|_| {});
        // The task has one thread with this test: it sees each change.
        tokio::task::yield_now().await;
    }
    commits.send_replace(7);
    grows(&counts.sent, 0).await;
    assert_eq!(counts.sent.load(Ordering::Relaxed), 1);
}
