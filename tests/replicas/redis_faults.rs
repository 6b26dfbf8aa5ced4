//! The client of Redis behind a proxy with faults: refused, stalled in one direction or both, slow, cut.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use petstream::shared::redis::{CALL_TIMEOUT, RedisError};
use petstream::shared::{CommitNotifications, NotificationMeter, ReplicaId};
use redis::cmd;
use test_support::becomes;
use test_support::fault_proxy::{Fault, FaultProxy, Side};
use test_support::servers::redis::Redis;

use crate::client::open;

/// What a call may take beside its timeout on a busy machine: less than anything else that could be waited for.
const SLACK: Duration = Duration::from_millis(250);

#[tokio::test]
async fn no_call_waits_beyond_its_time_whatever_becomes_of_the_network() {
    let server = Redis::start().await;
    let proxy = FaultProxy::start(server.address).await;
    let client = open(&server.url_at(proxy.address)).await.unwrap();
    for fault in [
        Fault::Refuse,
        Fault::Stall,
        Fault::StallTo(Side::Server),
        Fault::StallTo(Side::Client),
        Fault::Delay(2 * CALL_TIMEOUT),
        Fault::CutAfter(Side::Client, 1),
        Fault::CutAfter(Side::Server, 1),
    ] {
        client.is(true).await;
        proxy.set(fault).await;
        if fault == Fault::Refuse {
            proxy.reset();
        }
        let mut failures = 0;
        while client.redis.is_up() {
            let (text, began) = (format!("call {failures}"), Instant::now());
            match client.redis.call::<String>(cmd("ECHO").arg(&text)).await {
                Ok(answer) => assert_eq!(answer, text, "{fault:?}: the answer to another call"),
                Err(RedisError::Answered(error)) => panic!("{fault:?}: {error}"),
                Err(_) => failures += 1,
            }
            assert!(began.elapsed() < CALL_TIMEOUT + SLACK, "{fault:?}: {:?}", began.elapsed());
        }
        assert!(failures <= 3, "{fault:?}: {failures} calls waited");
        client.is(false).await;
        proxy.set(Fault::None).await;
    }
    client.is(true).await;
    assert_eq!(client.increment("n").await, Ok(1));
}

struct Ignored;

impl NotificationMeter for Ignored {
    fn sent(&self) {}

    fn received(&self) {}

    fn invalid(&self) {}

    fn delay(&self, _: Duration) {}
}

#[tokio::test]
async fn notifications_are_received_again_after_a_connection_that_only_seemed_open() {
    let server = Redis::start().await;
    let proxy = FaultProxy::start(server.address).await;
    let client = open(&server.url_at(proxy.address)).await.unwrap();
    let wakes = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&wakes);
    let part = CommitNotifications::new(client.redis.clone(), ReplicaId::random(), Arc::new(Ignored));
    tokio::spawn(part.receive(move || {
        counted.fetch_add(1, Ordering::Relaxed);
    }));
    let subscribers = async |count: u32| {
        let expected = format!("petstream:commits\n{count}");
        becomes(&expected, async || server.command(&["PUBSUB", "NUMSUB", "petstream:commits"]).await).await;
    };
    let woken = async |from: u32| {
        becomes(&true, async || {
            tokio::time::sleep(Duration::from_millis(5)).await;
            wakes.load(Ordering::Relaxed) > from
        })
        .await;
    };
    subscribers(1).await;
    woken(0).await;
    for fault in [Fault::StallTo(Side::Client), Fault::StallTo(Side::Server), Fault::Stall] {
        let (before, accepted) = (wakes.load(Ordering::Relaxed), proxy.accepted());
        proxy.set(fault).await;
        // Its checks are not answered, so it connects again; the client, which makes no calls, does not.
        becomes(&true, async || {
            tokio::time::sleep(Duration::from_millis(5)).await;
            proxy.accepted() > accepted
        })
        .await;
        proxy.set(Fault::None).await;
        // A new connection wakes, since messages may have been missed.
        woken(before).await;
        let before = wakes.load(Ordering::Relaxed);
        subscribers(1).await;
        server.command(&["PUBLISH", "petstream:commits", "0123456789abcdef 1"]).await;
        woken(before).await;
    }
}
