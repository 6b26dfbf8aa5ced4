//! A standby that lacks the last commits becomes the primary.

use std::collections::HashMap;

use crate::replicas::{OPEN, Replicas, create_pet_once};
use crate::writers::Writers;
use test_support::event_stream::{Message, Stream};
use test_support::fault_proxy::{Fault, FaultProxy};
use test_support::servers::postgres::Cluster;
use test_support::{becomes, soon};

const COUNT: usize = 3;

/// Reads a stream up to the reset that begins another epoch; returns the events before it. A replica that reads the log
/// before a command has begun the new epoch resets its subscribers twice: the log is shorter, then it is another one.
async fn until_new_epoch(stream: &mut Stream, epoch: &str) -> Vec<Message> {
    let mut before = Vec::new();
    let reading = async {
        loop {
            let message = stream.message().await;
            if message.event != "stream-reset" {
                before.push(message);
            } else if epoch_of(&message.last_id) != epoch {
                break;
            }
        }
    };
    soon("a new epoch", reading).await;
    before
}

/// The name of the log in an id.
fn epoch_of(id: &str) -> &str {
    id.split_once('.').unwrap_or_else(|| panic!("not an id: {id:?}")).0
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failover_that_lost_commits_resets_every_subscriber_and_numbers_nothing_twice() {
    let mut primary = Cluster::start(&[]).await;
    primary.create_database("shop").await;
    let proxy = FaultProxy::start(primary.address).await;
    let replicas = Replicas::start(COUNT, OPEN, &primary.url_at(proxy.address, "shop")).await;
    let writers = Writers::start("w", 4, replicas.balancer.address);
    writers.progress(20).await;
    let standby = primary.standby().await;
    let mut streams = Vec::new();
    for number in 0..COUNT {
        streams.push(replicas.stream(number, "/api/events", Some("earliest")).await.1);
    }
    standby.cut_off().await;
    // Committed, sent to subscribers, and lost.
    writers.progress(20).await;
    writers.stop().await;
    let before = replicas.log(0).await;
    let last = before.last().unwrap().0.clone();
    let epoch = epoch_of(&last);
    soon("the subscribers", async {
        for stream in &mut streams {
            while stream.message().await.last_id != last {}
        }
    })
    .await;

    proxy.set(Fault::Refuse).await;
    proxy.reset();
    primary.kill().await;
    standby.promote().await;
    proxy.redirect(standby.address);
    proxy.set(Fault::None).await;
    becomes(&201, async || replicas.ask(0, &create_pet_once("after")).await.status).await;
    let mut seen: HashMap<String, String> = before.into_iter().map(|(id, data)| (id, data.to_string())).collect();
    for stream in &mut streams {
        assert_eq!(until_new_epoch(stream, epoch).await, [], "nothing of the old log");
    }
    for number in 0..COUNT {
        let create = create_pet_once(&format!("after {number}"));
        becomes(&201, async || replicas.ask(number, &create).await.status).await;
    }
    for number in 0..COUNT {
        for (id, data) in replicas.log(number).await {
            assert_ne!(epoch_of(&id), epoch, "another log has another name");
            let data = data.to_string();
            let same = seen.insert(id.clone(), data.clone());
            assert!(same.is_none_or(|same| same == data), "{id} is two events");
        }
    }
    soon("the events of the new primary", async {
        for stream in &mut streams {
            while stream.message().await.data["resource"]["description"] != "after 2" {}
        }
    })
    .await;
    replicas.stop().await;
}
