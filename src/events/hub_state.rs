//! The state that the hub and its subscriptions share.

use std::sync::atomic::AtomicBool;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};
use std::time::Instant;

use tokio::sync::{Mutex, Semaphore};

use super::ephemeral::EphemeralChannel;
use super::notifiers::RuntimeNotifiers;
use super::ring::Ring;
use crate::store::StoreError;
use crate::store::event_log::{EventLog, LogPage, LogPosition, LoggedEvent};
use crate::wire::event::{Epoch, Topics};
use crate::wire::event_frame::{EncodedEvent, EventParts};

/// Events that the ring is filled with at the start, so that clients that reconnect after a restart don't all read the
/// database.
const PRELOAD: u64 = 1024;
/// Events read from the log at once on their way into the ring.
const PAGE: u32 = 256;
/// Bytes of these events after which one read ends.
const PAGE_BYTES: usize = 1 << 20;
/// Subscribers that read the log at the same time; others wait. The few connections of the database serve all requests.
const MAX_LOG_READERS: usize = 2;

pub(super) struct HubState {
    pub(super) log: EventLog,
    // std RwLock: never held across .await
    ring: RwLock<Ring>,
    /// Wakes all subscribers: the ring has grown, or the server stops.
    pub(super) notifiers: RuntimeNotifiers,
    /// Whether the server stops.
    pub(super) closing: AtomicBool,
    /// When the last refresh of the ring began. Refreshes run one at a time.
    last_refresh: Mutex<Option<Instant>>,
    pub(super) log_readers: Semaphore,
    pub(super) ephemeral: Arc<EphemeralChannel>,
}

impl HubState {
    pub(super) fn new(log: EventLog, at: LogPosition) -> Self {
        let base = at.pruned.max(at.head.saturating_sub(PRELOAD));
        Self {
            log,
            ring: RwLock::new(Ring::new(at.epoch, base, at.pruned)),
            notifiers: RuntimeNotifiers::default(),
            closing: AtomicBool::new(false),
            last_refresh: Mutex::default(),
            log_readers: Semaphore::new(MAX_LOG_READERS),
            ephemeral: Arc::default(),
        }
    }

    pub(super) fn ring(&self) -> RwLockReadGuard<'_, Ring> {
        self.ring.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads the log into the ring: afterwards the ring holds every event that was committed before the call.
    /// Concurrent callers share one refresh.
    pub(super) async fn refresh(&self) -> Result<(), StoreError> {
        let called = Instant::now();
        let mut last_refresh = self.last_refresh.lock().await;
        if last_refresh.is_some_and(|began| began > called) {
            return Ok(());
        }
        let began = Instant::now();
        loop {
            let head = self.ring().head();
            let LogPage { at, events, .. } = self.log.read(Topics::ALL, head, PAGE, PAGE_BYTES).await?;
            let encoded: Vec<_> = events.iter().map(|event| Arc::new(encode(&at.epoch, event))).collect();
            let changed = self.ring.write().unwrap_or_else(PoisonError::into_inner).follow(&at, encoded);
            if changed {
                self.notifiers.notify();
            }
            if self.ring().head() >= at.head {
                // Set at the end: if this future is dropped before, the waiting callers refresh by themselves.
                *last_refresh = Some(began);
                return Ok(());
            }
        }
    }
}

pub(super) fn encode(epoch: &Epoch, event: &LoggedEvent) -> EncodedEvent {
    let LoggedEvent { seq, kind, id, version, at, prev, body } = event;
    EncodedEvent::new(epoch, *seq, &EventParts { kind: *kind, id, version: *version, at: *at, prev: *prev, body })
}
