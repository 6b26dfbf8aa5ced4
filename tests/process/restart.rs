//! A restart with a thousand subscribers: they disconnect spread over a window, reconnect spread over another, and
//! miss no event.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use petstream::store::Store;
use petstream::store::event_log::{EventLog, NewEvent};
use petstream::wire::event::EventKind;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::light_subscriber::{Reader, Visit};
use test_support::program::{Folder, quiet_port};
use test_support::soon;

const CROWD: usize = 1_000;
const WINDOW: Duration = Duration::from_secs(3);
const RETRY: Duration = Duration::from_secs(2);
/// Allowance for a busy machine.
const SLACK: Duration = Duration::from_secs(1);
/// Most reconnections in a tenth of the window, in which a tenth of them is expected.
const SHARE: usize = CROWD * 3 / 10;

/// The events that one subscriber received.
struct Lived {
    before: Visit,
    after: Visit,
    /// When it had to reconnect, by the `retry` that it received.
    returned: Instant,
}

/// Reads from `cursor` until the stream ends, reconnects after `retry`, and reads until event `last`.
async fn live(server: SocketAddr, cursor: String, greeted: watch::Sender<usize>, last: u64) -> Lived {
    let mut reader = Reader::open(server, &cursor).await.expect("a server");
    reader.read(|visit| visit.resumed.is_some()).await;
    greeted.send_modify(|count| *count += 1);
    reader.read(|_| false).await;
    let before = reader.visit;
    tokio::time::sleep(before.retry).await;
    let returned = Instant::now();
    // As a browser: without a server, it waits as long again.
    let mut reader = loop {
        match Reader::open(server, &before.cursor).await {
            Some(reader) => break reader,
            None => tokio::time::sleep(before.retry).await,
        }
    };
    reader.read(|visit| visit.events.last() == Some(&last)).await;
    Lived { before, after: reader.visit, returned }
}

/// The most times within a tenth of the window.
fn busiest(mut times: Vec<Instant>) -> usize {
    times.sort_unstable();
    let within = |from: &Instant| times.iter().filter(|at| *at >= from && **at < *from + WINDOW / 10).count();
    times.iter().map(within).max().unwrap_or(0)
}

fn event(version: u64) -> NewEvent {
    NewEvent { kind: EventKind::PetUpdate, id: "x".into(), version, resource: None, old: None, new: None }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_subscribers_reconnect_spread_out_and_miss_no_event() {
    let files = rlimit::increase_nofile_limit(2 * CROWD as u64).unwrap();
    assert!(files > CROWD as u64 + 100, "{files} open files are too few for this test (ulimit -n)");
    let folder = Folder::with("auth: none\nevents: {shutdown_window: 3s, retry: 2s}\n");
    let address = quiet_port();
    let program = folder.start_on(address).await;
    let store = Store::open(&folder.database()).await.unwrap();
    let log = EventLog::new(store.clone());
    let cursor = log.position().await.unwrap().cursor().to_string();
    let (greeted, mut count) = watch::channel(0);
    let mut crowd = JoinSet::new();
    for _ in 0..CROWD {
        crowd.spawn(live(address, cursor.clone(), greeted.clone(), 3));
    }
    soon("all to be greeted", count.wait_for(|count| *count == CROWD)).await.unwrap();

    // One event while they disconnect, one while none is connected, one while they reconnect.
    let stopped = Instant::now();
    program.signal("TERM").await;
    log.append_alone(&[event(1)]).await.unwrap();
    assert_eq!(program.ended().await.0.code(), Some(0));
    assert!(stopped.elapsed() < WINDOW + SLACK, "{:?}", stopped.elapsed());
    log.append_alone(&[event(2)]).await.unwrap();
    let program = folder.start_on(address).await;
    log.append_alone(&[event(3)]).await.unwrap();
    let lived = soon("all to come back", crowd.join_all()).await;

    let retries: HashSet<_> = lived.iter().map(|one| one.before.retry).collect();
    assert!(retries.len() > CROWD / 2, "only {} different times to come back", retries.len());
    for one in &lived {
        let Lived { before, after, returned } = one;
        assert!(before.farewell, "it ended without a word: {before:?}");
        let ended = before.ended.expect("an end") - stopped;
        assert!(ended <= WINDOW + SLACK, "left after {ended:?}");
        let returned = *returned - stopped;
        assert!(returned + SLACK >= WINDOW + RETRY, "back after {returned:?}, when others have not left");
        assert!(returned <= 2 * WINDOW + RETRY + SLACK, "back after {returned:?}");
        assert_eq!((before.resumed, after.resumed), (Some(true), Some(true)));
        assert_eq!([&before.events[..], &after.events].concat(), [1, 2, 3], "{before:?} {after:?}");
        assert_eq!([&before.before[..], &after.before].concat(), [0, 1, 2], "{before:?} {after:?}");
    }
    let ends = busiest(lived.iter().map(|one| one.before.ended.unwrap()).collect());
    let returns = busiest(lived.iter().map(|one| one.returned).collect());
    assert!(ends <= SHARE && returns <= SHARE, "{ends} ends and {returns} returns in one tenth of the window");
    eprintln!("of {CROWD}, at most {ends} left and {returns} came back within {:?}", WINDOW / 10);
    store.close().await;
    program.stop().await;
}
