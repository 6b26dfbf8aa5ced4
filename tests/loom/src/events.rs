//! Commit notifications: from the ring to the subscribers of every runtime.
//!
//! The ring, the notifiers, the ephemeral channel and the subscription are petstream's. The state around them and its log are small ones:
//! here a commit is an event that goes into the ring.

use std::pin::pin;
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use loom::sync::RwLockReadGuard;
use loom::thread;

use crate::bound::Grant;
use crate::check;
use crate::event::{Cursor, Epoch, Topic, Topics};
use crate::store::event_log::LogPosition;
use crate::store::StoreError;
use crate::sync::{AtomicBool, RwLock, block_on};
use crate::wire::event_frame::{Encoded, EphemeralFrame};

#[path = "../../../src/events/notifiers.rs"]
mod notifiers;
#[allow(dead_code, reason = "the parts of the file that no model needs")]
#[path = "../../../src/events/ephemeral.rs"]
mod ephemeral;
#[allow(dead_code, reason = "the parts of the file that no model needs")]
#[path = "../../../src/events/ring.rs"]
mod ring;
#[allow(dead_code, reason = "the parts of the file that no model needs")]
#[path = "../../../src/events/subscription.rs"]
mod subscription;

use notifiers::RuntimeNotifiers;
use ephemeral::EphemeralChannel;
use ring::Ring;
use subscription::{SubscriptionEvent, Subscription};

/// As petstream's; only the ring looks at it.
#[allow(dead_code, reason = "as petstream's")]
enum Since {
    Now,
    Earliest,
    After(Cursor),
    Unreadable,
}

/// As petstream's.
#[allow(dead_code, reason = "as petstream's")]
struct Start {
    from: Cursor,
    head: u64,
    resumed: bool,
    reset: Option<Reset>,
}

/// As petstream's.
#[allow(dead_code, reason = "as petstream's")]
#[derive(Debug)]
pub struct Reset {
    reason: Reason,
    oldest: u64,
    cursor: Cursor,
}

/// As petstream's.
#[allow(dead_code, reason = "as petstream's")]
#[derive(Debug)]
enum Reason {
    Unknown,
    OtherEpoch,
    TooOld,
    BeyondHead,
}

/// As petstream's, as far as subscriptions use it.
struct Shared {
    log: Log,
    ring: RwLock<Ring>,
    news: RuntimeNotifiers,
    closing: AtomicBool,
    paging: Turns,
    board: Arc<EphemeralChannel>,
}

/// The log that nobody has to read: the ring has every event.
struct Log;

impl Log {
    async fn read(&self, _: Topics, after: u64, _: u32) -> Result<(LogPosition, Vec<Encoded>), StoreError> {
        panic!("event {after} is in the ring")
    }
}

/// Turns at the log.
struct Turns;

impl Turns {
    async fn acquire(&self) {}
}

fn encode(_: &Epoch, event: &Encoded) -> Encoded {
    Encoded { seq: event.seq, topic: event.topic }
}

fn epoch() -> Epoch {
    Epoch::from_str("e").unwrap()
}

impl Shared {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            log: Log,
            ring: RwLock::new(Ring::new(epoch(), 0, 0)),
            news: RuntimeNotifiers::default(),
            closing: AtomicBool::new(false),
            paging: Turns,
            board: Arc::default(),
        })
    }

    fn ring(&self) -> RwLockReadGuard<'_, Ring> {
        self.ring.read().unwrap()
    }

    async fn catch_up(&self) -> Result<(), StoreError> {
        Ok(())
    }

    /// What petstream's `catch_up` does with what it has read of the log.
    fn commit(&self, seq: u64) {
        let event = Arc::new(Encoded { seq, topic: Topic::Pets });
        let changed = {
            let mut ring = self.ring.write().unwrap();
            ring.follow(&LogPosition { epoch: epoch(), head: seq, pruned: 0 }, vec![event])
        };
        if changed {
            self.news.ring();
        }
    }

    /// What petstream's `run` does at closing time.
    fn close(&self) {
        self.closing.store(true, Ordering::Release);
        self.news.ring();
    }

    fn subscribe(self: &Arc<Self>) -> Subscription {
        let epoch = self.ring().epoch();
        Subscription::new(Arc::clone(self), Topics::ALL, epoch, 0, Grant)
    }
}

/// Reads until event `last`, on a runtime of this thread; every event must come once and in order.
fn read_to(shared: &Arc<Shared>, last: u64) {
    block_on(async {
        let mut subscription = pin!(shared.subscribe());
        let mut seen = 0;
        while seen < last {
            match subscription.next(8).await {
                Ok(SubscriptionEvent::Events(events)) => {
                    for event in events {
                        assert_eq!(event.seq, seen + 1);
                        seen = event.seq;
                    }
                }
                other => panic!("{other:?}"),
            }
        }
    });
}

/// Two commits, while a subscriber of another runtime comes, reads and waits.
pub fn a_subscriber_gets_every_commit() {
    check(5, || {
        let shared = Shared::new();
        let reading = {
            let shared = Arc::clone(&shared);
            thread::spawn(move || read_to(&shared, 2))
        };
        shared.commit(1);
        shared.commit(2);
        reading.join().unwrap();
    });
}

/// A commit, while subscribers of two runtimes come for the first time.
pub fn subscribers_of_every_runtime_get_a_commit() {
    check(5, || {
        let shared = Shared::new();
        let reading = [(); 2].map(|()| {
            let shared = Arc::clone(&shared);
            thread::spawn(move || read_to(&shared, 1))
        });
        shared.commit(1);
        reading.into_iter().for_each(|reading| reading.join().unwrap());
    });
}

/// A second subscriber on a runtime that has one: it uses the bell that is there.
pub fn subscribers_of_one_runtime_share_its_bell() {
    check(5, || {
        let shared = Shared::new();
        let reading = {
            let shared = Arc::clone(&shared);
            thread::spawn(move || {
                block_on(async {
                    let (mut first, mut second) = (pin!(shared.subscribe()), pin!(shared.subscribe()));
                    assert!(matches!(first.next(8).await, Ok(SubscriptionEvent::Events(events)) if events.len() == 1));
                    assert!(matches!(second.next(8).await, Ok(SubscriptionEvent::Events(events)) if events.len() == 1));
                });
            })
        };
        shared.commit(1);
        reading.join().unwrap();
    });
}

/// Closing time is told once, and what was committed before it comes all the same.
pub fn closing_time_is_heard_and_loses_nothing() {
    check(5, || {
        let shared = Shared::new();
        let reading = {
            let shared = Arc::clone(&shared);
            thread::spawn(move || {
                block_on(async {
                    let mut subscription = pin!(shared.subscribe());
                    let (mut closing, mut events) = (0, 0);
                    while closing == 0 || events == 0 {
                        match subscription.next(8).await {
                            Ok(SubscriptionEvent::Closing) => closing += 1,
                            Ok(SubscriptionEvent::Events(more)) => events += more.len(),
                            other => panic!("{other:?}"),
                        }
                    }
                    assert_eq!((closing, events), (1, 1));
                });
            })
        };
        shared.commit(1);
        shared.close();
        reading.join().unwrap();
    });
}

/// What is told in passing while a subscriber waits: it gets the newest, and is woken for it.
pub fn the_newest_on_the_board_is_read() {
    check(5, || {
        let shared = Shared::new();
        let mut subscription = pin!(shared.subscribe().with_passing());
        let telling = {
            let shared = Arc::clone(&shared);
            thread::spawn(move || {
                shared.board.put(EphemeralFrame(1));
                shared.board.put(EphemeralFrame(2));
            })
        };
        block_on(async {
            let mut last = 0;
            while last < 2 {
                match subscription.next(8).await {
                    Ok(SubscriptionEvent::EphemeralFrame(EphemeralFrame(number))) => {
                        assert!(number > last, "{number} after {last}");
                        last = number;
                    }
                    other => panic!("{other:?}"),
                }
            }
        });
        telling.join().unwrap();
    });
}
