//! The hub: follows the event log and accepts subscriptions.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::hub_state::HubState;
use super::resume::{Since, Start};
use super::subscription::Subscription;
use crate::bound::{Bound, Exceeded};
use crate::store::StoreError;
use crate::store::event_log::EventLog;
use crate::wire::event::Topics;
use crate::wire::event_frame::EphemeralFrame;

/// Time between two reads of the log without a commit notification.
const POLL_INTERVAL: Duration = Duration::from_secs(1);

/// The hub of live events; cheap to clone.
#[derive(Clone)]
pub struct EventHub {
    state: Arc<HubState>,
    /// The number of subscribers.
    subscribers: Bound,
}

/// Why a subscription was refused.
#[derive(Debug)]
pub enum SubscribeError {
    /// The number of subscribers is at its bound, in all or for this API key.
    Full(Exceeded),
    /// The event log can't be read.
    Store(StoreError),
}

impl From<StoreError> for SubscribeError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl EventHub {
    /// A hub over `log` with at most so many `subscribers`.
    ///
    /// # Errors
    /// [`StoreError`] if the log can't be read.
    pub async fn open(log: EventLog, subscribers: Bound) -> Result<Self, StoreError> {
        let at = log.position().await?;
        let hub = Self { state: Arc::new(HubState::new(log, at)), subscribers };
        hub.refresh().await?;
        Ok(hub)
    }

    /// The same hub with another bound of subscribers; those that it has count.
    #[must_use]
    pub fn with_subscribers(&self, total: u64, share: u64) -> Self {
        Self { state: Arc::clone(&self.state), subscribers: self.subscribers.with_limits(total, share) }
    }

    /// Follows the log while it is polled: reads it whenever `commits` changes, and once a second. When `stop` is
    /// cancelled, every subscriber gets [`Closing`](super::SubscriptionEvent::Closing), and the task continues: events
    /// that are still committed reach the subscribers that remain. An error of the database is logged once until it is
    /// over.
    pub async fn run(self, mut commits: watch::Receiver<u64>, stop: CancellationToken) {
        let (mut is_failing, mut has_commits) = (false, true);
        loop {
            let closing = self.state.closing.load(Ordering::Relaxed);
            tokio::select! {
                () = stop.cancelled(), if !closing => {
                    self.state.closing.store(true, Ordering::Release);
                    self.state.notifiers.notify();
                    continue;
                }
                changed = commits.changed(), if has_commits => has_commits = changed.is_ok(),
                () = tokio::time::sleep(POLL_INTERVAL) => {}
            }
            let refreshed = self.refresh().await;
            if let Err(error) = &refreshed
                && !is_failing
            {
                tracing::error!(%error, "the event log can't be read");
            }
            is_failing = refreshed.is_err();
        }
    }

    /// Reads the log now. Afterwards the ring holds every event that was committed before the call.
    ///
    /// # Errors
    /// [`StoreError`] if the log can't be read.
    pub async fn refresh(&self) -> Result<(), StoreError> {
        self.state.refresh().await
    }

    /// Begins a subscription to `topics` for the API key with this id.
    ///
    /// # Errors
    /// [`SubscribeError`]
    pub async fn subscribe(
        &self,
        key: &Arc<str>,
        topics: Topics,
        since: Since,
    ) -> Result<(Start, Subscription), SubscribeError> {
        let grant = self.subscribers.take(key, 1).map_err(SubscribeError::Full)?;
        let in_ring = self.state.ring().start_within(&since);
        let (start, epoch) = match in_ring {
            Some(start) => start,
            // The log may have an event that the ring does not: an old one, or one of a moment ago.
            None => {
                self.refresh().await?;
                self.state.ring().start_or_reset(&since)
            }
        };
        let subscription = Subscription::new(Arc::clone(&self.state), topics, epoch, start.from.seq, grant);
        Ok((start, subscription))
    }

    /// The number of subscribers.
    #[must_use]
    pub fn subscribers(&self) -> usize {
        usize::try_from(self.subscribers.taken()).unwrap_or(usize::MAX)
    }

    /// Sends an ephemeral event to every subscription [`with_ephemeral`](Subscription::with_ephemeral). Does not wait,
    /// and replaces the one before, which slow subscribers then miss.
    pub fn send_ephemeral(&self, frame: EphemeralFrame) {
        self.state.ephemeral.send(frame);
    }

    /// Whether a subscription receives ephemeral events.
    #[must_use]
    pub fn has_ephemeral_subscribers(&self) -> bool {
        self.state.ephemeral.has_readers()
    }
}
