//! Commit notifications: from the ring to the subscribers of every runtime.
//!
//! The ring, the notifiers, the ephemeral channel and the subscription are petstream's. The state that they share and
//! its log are small models: here a commit is an event that enters the ring.

use std::pin::pin;
use std::sync::Arc;

use loom::thread;

use crate::check;
use crate::sync::block_on;
use crate::wire::event_frame::EphemeralFrame;

#[allow(dead_code, reason = "the parts of the file that no model needs")]
#[path = "../../../src/events/ephemeral.rs"]
mod ephemeral;
#[path = "../../../src/events/notifiers.rs"]
mod notifiers;
#[allow(dead_code, reason = "the parts of the file that no model needs")]
#[path = "../../../src/events/resume.rs"]
mod resume;
#[allow(dead_code, reason = "the parts of the file that no model needs")]
#[path = "../../../src/events/ring.rs"]
mod ring;
#[allow(dead_code, reason = "the parts of the file that no model needs")]
#[path = "../../../src/events/subscription.rs"]
mod subscription;

use hub_state::HubState;
use subscription::SubscriptionEvent;

/// As petstream's, as far as subscriptions use it.
mod hub_state {
    use std::str::FromStr;
    use std::sync::Arc;
    use std::sync::atomic::Ordering;

    use loom::sync::RwLockReadGuard;

    use super::ephemeral::EphemeralChannel;
    use super::notifiers::RuntimeNotifiers;
    use super::ring::Ring;
    use super::subscription::Subscription;
    use crate::bound::Grant;
    use crate::event::{Epoch, Topic, Topics};
    use crate::store::StoreError;
    use crate::store::event_log::{LogPage, LogPosition};
    use crate::sync::{AtomicBool, RwLock};
    use crate::wire::event_frame::EncodedEvent;

    pub(super) struct HubState {
        pub(super) log: Log,
        ring: RwLock<Ring>,
        pub(super) notifiers: RuntimeNotifiers,
        pub(super) closing: AtomicBool,
        pub(super) log_readers: LogReaders,
        pub(super) ephemeral: Arc<EphemeralChannel>,
    }

    /// A log that is never read: the ring has every event.
    pub(super) struct Log;

    impl Log {
        pub(super) async fn read(&self, _: Topics, after: u64, _: u32, _: usize) -> Result<LogPage, StoreError> {
            panic!("event {after} is in the ring")
        }
    }

    /// A semaphore that always has a permit.
    pub(super) struct LogReaders;

    impl LogReaders {
        pub(super) async fn acquire(&self) {}
    }

    pub(super) fn encode(_: &Epoch, event: &EncodedEvent) -> EncodedEvent {
        EncodedEvent { seq: event.seq, topic: event.topic }
    }

    fn epoch() -> Epoch {
        Epoch::from_str("e").unwrap()
    }

    impl HubState {
        pub(super) fn new() -> Arc<Self> {
            Arc::new(Self {
                log: Log,
                ring: RwLock::new(Ring::new(epoch(), 0, 0)),
                notifiers: RuntimeNotifiers::default(),
                closing: AtomicBool::new(false),
                log_readers: LogReaders,
                ephemeral: Arc::default(),
            })
        }

        pub(super) fn ring(&self) -> RwLockReadGuard<'_, Ring> {
            self.ring.read().unwrap()
        }

        pub(super) async fn refresh(&self) -> Result<(), StoreError> {
            Ok(())
        }

        /// As petstream's `refresh` with the events that it has read from the log.
        pub(super) fn commit(&self, seq: u64) {
            let event = Arc::new(EncodedEvent { seq, topic: Topic::Pets });
            let changed = {
                let mut ring = self.ring.write().unwrap();
                ring.follow(&LogPosition { epoch: epoch(), head: seq, pruned: 0 }, vec![event])
            };
            if changed {
                self.notifiers.notify();
            }
        }

        /// As petstream's `run` when the server stops.
        pub(super) fn close(&self) {
            self.closing.store(true, Ordering::Release);
            self.notifiers.notify();
        }

        pub(super) fn subscribe(self: &Arc<Self>) -> Subscription {
            let epoch = self.ring().epoch();
            Subscription::new(Arc::clone(self), Topics::ALL, epoch, 0, Grant)
        }
    }
}

/// Reads up to event `last`, on a runtime of this thread; every event must be read once and in order.
fn read_to(state: &Arc<HubState>, last: u64) {
    block_on(async {
        let mut subscription = pin!(state.subscribe());
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

/// Two commits while a subscriber of another runtime subscribes, reads and waits.
pub fn a_subscriber_gets_every_commit() {
    check(5, || {
        let state = HubState::new();
        let reading = {
            let state = Arc::clone(&state);
            thread::spawn(move || read_to(&state, 2))
        };
        state.commit(1);
        state.commit(2);
        reading.join().unwrap();
    });
}

/// A commit while the first subscribers of two runtimes subscribe.
pub fn subscribers_of_every_runtime_get_a_commit() {
    check(5, || {
        let state = HubState::new();
        let reading = [(); 2].map(|()| {
            let state = Arc::clone(&state);
            thread::spawn(move || read_to(&state, 1))
        });
        state.commit(1);
        reading.into_iter().for_each(|reading| reading.join().unwrap());
    });
}

/// A second subscriber of a runtime uses the notification of the first.
pub fn subscribers_of_one_runtime_share_its_notification() {
    check(5, || {
        let state = HubState::new();
        let reading = {
            let state = Arc::clone(&state);
            thread::spawn(move || {
                block_on(async {
                    let (mut first, mut second) = (pin!(state.subscribe()), pin!(state.subscribe()));
                    assert!(matches!(first.next(8).await, Ok(SubscriptionEvent::Events(events)) if events.len() == 1));
                    assert!(matches!(second.next(8).await, Ok(SubscriptionEvent::Events(events)) if events.len() == 1));
                });
            })
        };
        state.commit(1);
        reading.join().unwrap();
    });
}

/// Closing is yielded once, and an event that was committed before is still read.
pub fn closing_is_yielded_once_and_loses_nothing() {
    check(5, || {
        let state = HubState::new();
        let reading = {
            let state = Arc::clone(&state);
            thread::spawn(move || {
                block_on(async {
                    let mut subscription = pin!(state.subscribe());
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
        state.commit(1);
        state.close();
        reading.join().unwrap();
    });
}

/// Ephemeral events sent while a subscriber waits wake it, and it gets the newest.
pub fn the_newest_ephemeral_event_is_read() {
    check(5, || {
        let state = HubState::new();
        let mut subscription = pin!(state.subscribe().with_ephemeral());
        let sending = {
            let state = Arc::clone(&state);
            thread::spawn(move || {
                state.ephemeral.send(EphemeralFrame(1));
                state.ephemeral.send(EphemeralFrame(2));
            })
        };
        block_on(async {
            let mut last = 0;
            while last < 2 {
                match subscription.next(8).await {
                    Ok(SubscriptionEvent::Ephemeral(EphemeralFrame(number))) => {
                        assert!(number > last, "{number} after {last}");
                        last = number;
                    }
                    other => panic!("{other:?}"),
                }
            }
        });
        sending.join().unwrap();
    });
}
