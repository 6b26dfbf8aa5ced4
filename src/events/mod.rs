//! Live events: from the log to everybody who listens.
//!
//! One task ([`EventHub::run`]) reads the log as it grows, encodes each event once, and puts it into a ring that all
//! subscribers share. A [`Subscription`] is a cursor that pulls: no task, no queue, nothing that grows with what it has
//! not read. What it asks for is in the ring, or, when it lags behind, in the log; the ring holds an unbroken piece of
//! the log up to its head, so that there is neither a gap nor a repetition where one ends and the other begins, and lag
//! is never loss. Only the log forgets: who is overtaken by that hears a [`Reset`].
//!
//! What is of the moment only, and never logged, stands on a board (`passing`) that those look at who have asked for it.
//!
//! A doorbell says that the log may have grown. It may come from anywhere; without one, the log is looked at once a
//! second, which is how the commits of other processes are seen.

mod ephemeral;
mod notifiers;
mod retention;
mod ring;
mod subscription;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use tokio::sync::{Mutex, Semaphore, watch};
use tokio_util::sync::CancellationToken;

use self::ephemeral::EphemeralChannel;
use self::notifiers::RuntimeNotifiers;
use self::ring::Ring;
use crate::bound::{Bound, Exceeded};
use crate::store::StoreError;
use crate::store::event_log::{EventLog, LoggedEvent};
use crate::wire::event::{Cursor, Epoch, Topics};
use crate::wire::event_frame::{Encoded, EphemeralFrame, Parts};

pub use retention::retain;
pub use subscription::{Subscription, SubscriptionEvent};

/// Events that the ring is filled with at the start, so that those who come back after a restart don't all go to the
/// database.
const PRELOAD: u64 = 1024;
/// Events read from the log at once on their way into the ring.
const PAGE: u32 = 256;
/// Time between two looks at the log when no doorbell rings.
const POLL: Duration = Duration::from_secs(1);
/// Subscribers that read the log at the same time. Others wait for their turn: the database's few connections are for
/// everybody.
const READERS: usize = 2;

/// Where subscribers come; cheap to clone.
#[derive(Clone)]
pub struct EventHub {
    shared: Arc<Shared>,
}

struct Shared {
    log: EventLog,
    // std RwLock: never held across .await
    ring: RwLock<Ring>,
    /// Wakes everybody: the ring has grown, or it is closing time.
    news: RuntimeNotifiers,
    closing: AtomicBool,
    /// When the last look at the log began that filled the ring. One at a time does.
    looked: Mutex<Option<Instant>>,
    paging: Semaphore,
    /// Of subscribers, one each.
    places: Bound,
    board: Arc<EphemeralChannel>,
}

/// Where a subscriber wants to begin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Since {
    /// With what happens next.
    Now,
    /// With the oldest event that is kept.
    Earliest,
    /// Behind this event.
    After(Cursor),
    /// Behind an event whose cursor can't be read.
    Unreadable,
}

/// Where a subscription begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Start {
    /// What it continues from: the next event is one behind this.
    pub from: Cursor,
    /// The last event of the log.
    pub head: u64,
    /// Whether it continues from where it was asked to.
    pub resumed: bool,
    /// Why not, if it was asked to.
    pub reset: Option<Reset>,
}

/// Events may have been missed: the subscriber has to read anew what it knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reset {
    /// Why.
    pub reason: Reason,
    /// The oldest event that is kept, or the next one if none is.
    pub oldest: u64,
    /// What the stream continues from.
    pub cursor: Cursor,
}

/// Why a stream can't continue from a cursor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// It is no cursor.
    Unknown,
    /// It is of another log, or of this one before it was restored.
    OtherEpoch,
    /// The events behind it are no longer kept.
    TooOld,
    /// There is no such event yet.
    BeyondHead,
}

impl Reason {
    /// The word on the wire.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unknown => "unknown-cursor",
            Self::OtherEpoch => "other-epoch",
            Self::TooOld => "too-old",
            Self::BeyondHead => "beyond-head",
        }
    }
}

/// Why there is no subscription.
#[derive(Debug)]
pub enum Refused {
    /// There are as many subscribers as there may be, or as many of one key.
    Full(Exceeded),
    /// The log can't be read.
    Store(StoreError),
}

impl From<StoreError> for Refused {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl EventHub {
    /// A hub over `log`, with `places` for subscribers.
    ///
    /// # Errors
    /// Whatever the database says.
    pub async fn open(log: EventLog, places: Bound) -> Result<Self, StoreError> {
        let at = log.position().await?;
        let base = at.pruned.max(at.head.saturating_sub(PRELOAD));
        let shared = Shared {
            log,
            ring: RwLock::new(Ring::new(at.epoch, base, at.pruned)),
            news: RuntimeNotifiers::default(),
            closing: AtomicBool::new(false),
            looked: Mutex::default(),
            paging: Semaphore::new(READERS),
            places,
            board: Arc::default(),
        };
        let hub = Self { shared: Arc::new(shared) };
        hub.refresh().await?;
        Ok(hub)
    }

    /// Follows the log for as long as it is polled. When `stop` is cancelled, tells every subscriber that it is closing
    /// time, and goes on: what is still committed then reaches those who have not left.
    ///
    /// Looks whenever `doorbell` changes, and once a second besides. A failing database is logged once; the hub goes on
    /// trying.
    pub async fn run(self, mut doorbell: watch::Receiver<u64>, stop: CancellationToken) {
        let (mut failing, mut has_bell) = (false, true);
        loop {
            let closing = self.shared.closing.load(Ordering::Relaxed);
            tokio::select! {
                () = stop.cancelled(), if !closing => {
                    self.shared.closing.store(true, Ordering::Release);
                    self.shared.news.ring();
                    continue;
                }
                rung = doorbell.changed(), if has_bell => has_bell = rung.is_ok(),
                () = tokio::time::sleep(POLL) => {}
            }
            let looked = self.refresh().await;
            if let Err(error) = &looked
                && !failing
            {
                tracing::error!(%error, "the log of events can't be read");
            }
            failing = looked.is_err();
        }
    }

    /// Looks at the log now. Afterwards the ring holds every event that was committed before the call.
    ///
    /// # Errors
    /// Whatever the database says.
    pub async fn refresh(&self) -> Result<(), StoreError> {
        self.shared.catch_up().await
    }

    /// Begins a subscription to `topics` for the key of this id.
    ///
    /// # Errors
    /// [`Refused`]
    pub async fn subscribe(
        &self,
        key: &Arc<str>,
        topics: Topics,
        since: Since,
    ) -> Result<(Start, Subscription), Refused> {
        let place = self.shared.places.take(key, 1).map_err(Refused::Full)?;
        let known = self.shared.ring().accept(&since);
        let (start, epoch) = match known {
            Some(start) => start,
            // What the ring does not know may be in the log: an old event, or one of a moment ago.
            None => {
                self.refresh().await?;
                self.shared.ring().judge(&since)
            }
        };
        let subscription = Subscription::new(Arc::clone(&self.shared), topics, epoch, start.from.seq, place);
        Ok((start, subscription))
    }

    /// How many subscribers there are.
    #[must_use]
    pub fn subscribers(&self) -> usize {
        usize::try_from(self.shared.places.taken()).unwrap_or(usize::MAX)
    }

    /// Tells something in passing to every subscription that is [`Subscription::with_passing`]. Nobody is waited for, and
    /// nothing is kept but the last.
    pub fn tell(&self, passing: EphemeralFrame) {
        self.shared.board.put(passing);
    }

    /// Whether there is anybody to tell something in passing.
    #[must_use]
    pub fn is_listened_to(&self) -> bool {
        self.shared.board.is_read()
    }
}

impl Shared {
    fn ring(&self) -> std::sync::RwLockReadGuard<'_, Ring> {
        self.ring.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Brings the ring to the head of the log. Callers at the same time share a look.
    async fn catch_up(&self) -> Result<(), StoreError> {
        let called = Instant::now();
        let mut looked = self.looked.lock().await;
        if looked.is_some_and(|began| began > called) {
            return Ok(());
        }
        let began = Instant::now();
        loop {
            let head = self.ring().head();
            let (at, events) = self.log.read(Topics::ALL, head, PAGE).await?;
            let encoded: Vec<_> = events.iter().map(|event| Arc::new(encode(&at.epoch, event))).collect();
            let changed = self.ring.write().unwrap_or_else(PoisonError::into_inner).follow(&at, encoded);
            if changed {
                self.news.ring();
            }
            if self.ring().head() >= at.head {
                // Only now: if this future is dropped while it looks, those who wait must look themselves.
                *looked = Some(began);
                return Ok(());
            }
        }
    }
}

fn encode(epoch: &Epoch, event: &LoggedEvent) -> Encoded {
    let LoggedEvent { seq, kind, id, version, at, prev, body } = event;
    Encoded::new(epoch, *seq, &Parts { kind: *kind, id, version: *version, at: *at, prev: *prev, body })
}

#[cfg(test)]
mod tests;
