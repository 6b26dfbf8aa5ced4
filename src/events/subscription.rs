//! A subscription: a cursor that reads events from the ring, or from the log if it is behind the ring.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, ready};

use pin_project_lite::pin_project;

use super::ephemeral::EphemeralReader;
use super::hub_state::{HubState, encode};
use super::resume::{Reset, ResetReason};
use super::ring::{MAX_READ_BYTES, RingRead};
use crate::bound::Grant;
use crate::store::StoreError;
use crate::store::event_log::LogPage;
use crate::sync::{Notify, OwnedNotified};
use crate::wire::event::{Cursor, Epoch, Topics};
use crate::wire::event_frame::{EncodedEvent, EphemeralFrame};

/// Events of other topics after which a reader gets its new position, although there is no event for it.
const MAX_SKIPPED: u64 = 1024;

/// An item of a subscription.
#[derive(Debug)]
pub enum SubscriptionEvent {
    /// The next events of the topics. An empty list: the position moved past many events of other topics.
    Events(Vec<Arc<EncodedEvent>>),
    /// Events may have been missed. The stream continues after the cursor of the reset.
    Reset(Reset),
    /// An ephemeral event, which has no position among the others.
    Ephemeral(EphemeralFrame),
    /// The server is about to stop. Yielded once; events that are committed meanwhile still follow.
    Closing,
}

type LogRead = Pin<Box<dyn Future<Output = Result<Page, StoreError>> + Send>>;

/// The result of reading the log.
enum Page {
    /// The next events; all events up to `to` were searched.
    Events { events: Vec<Arc<EncodedEvent>>, to: u64 },
    /// The next events were deleted from the log.
    Pruned(Reset),
    /// The log was replaced, and the ring is up to date.
    Replaced,
}

pin_project! {
    /// A subscriber's position in the log. Dropping it ends the subscription.
    pub struct Subscription {
        state: Arc<HubState>,
        topics: Topics,
        epoch: Arc<Epoch>,
        // All events up to this number were yielded or are of other topics.
        seq: u64,
        // The value of `seq` when it was last yielded.
        yielded: u64,
        log_read: Option<LogRead>,
        // Boxed, since most have none.
        ephemeral: Option<Pin<Box<EphemeralReader>>>,
        closing: bool,
        // Whether `notified` is waiting, and not yet completed.
        is_registered: bool,
        // The notification of the runtime that created the subscription and runs it.
        runtime: Arc<Notify>,
        #[pin]
        notified: OwnedNotified,
        grant: Grant,
    }
}

impl Subscription {
    pub(super) fn new(state: Arc<HubState>, topics: Topics, epoch: Arc<Epoch>, seq: u64, grant: Grant) -> Self {
        let runtime = state.notifiers.of_current_runtime();
        let notified = Arc::clone(&runtime).notified_owned();
        Self {
            state,
            topics,
            epoch,
            seq,
            yielded: seq,
            log_read: None,
            ephemeral: None,
            closing: false,
            is_registered: true,
            runtime,
            notified,
            grant,
        }
    }

    /// Also yields ephemeral events that are sent from now on.
    #[must_use]
    pub fn with_ephemeral(self) -> Self {
        Self { ephemeral: Some(Box::pin(self.state.ephemeral.reader())), ..self }
    }

    /// The topics.
    #[must_use]
    pub const fn topics(&self) -> Topics {
        self.topics
    }

    /// The position: all events up to here were yielded or are of other topics.
    #[must_use]
    pub fn cursor(&self) -> Cursor {
        Cursor { epoch: self.epoch.as_ref().clone(), seq: self.seq }
    }

    /// The number of [`Subscription::cursor`].
    #[must_use]
    pub const fn seq(&self) -> u64 {
        self.seq
    }

    /// Yields what comes next, at most `max` events (at least 1). Pending until there is something.
    ///
    /// # Errors
    /// [`StoreError`] if the log can't be read. The position is unchanged, and the subscription may be polled again.
    pub fn poll_next(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        max: usize,
    ) -> Poll<Result<SubscriptionEvent, StoreError>> {
        loop {
            let mut this = self.as_mut().project();
            // Registered before the read, so that whatever happens after the read wakes this task.
            if !*this.is_registered {
                this.notified.set(Arc::clone(this.runtime).notified_owned());
                *this.is_registered = true;
            }
            if !*this.closing && this.state.closing.load(Ordering::Acquire) {
                *this.closing = true;
                return Poll::Ready(Ok(SubscriptionEvent::Closing));
            }
            // Before other events: it is rare, and an endless sequence of events must not keep it back.
            if let Some(reader) = this.ephemeral
                && let Poll::Ready(frame) = reader.as_mut().poll_next(cx)
            {
                return Poll::Ready(Ok(SubscriptionEvent::Ephemeral(frame)));
            }
            if let Some(event) = ready!(self.as_mut().poll_ready(cx, max))? {
                return Poll::Ready(Ok(event));
            }
            let this = self.as_mut().project();
            ready!(this.notified.poll(cx));
            *this.is_registered = false;
        }
    }

    /// Yields what is available now, at most `max` events (at least 1); `None` if all events were read. Pending only
    /// while the database is read.
    ///
    /// # Errors
    /// As [`Subscription::poll_next`].
    pub fn poll_ready(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        max: usize,
    ) -> Poll<Result<Option<SubscriptionEvent>, StoreError>> {
        let this = self.project();
        let max = max.max(1);
        loop {
            if let Some(log_read) = this.log_read {
                let page = ready!(log_read.as_mut().poll(cx));
                *this.log_read = None;
                match page? {
                    Page::Events { events, to } => {
                        *this.seq = to;
                        if should_yield(&events, to, this.yielded) {
                            return Poll::Ready(Ok(Some(SubscriptionEvent::Events(events))));
                        }
                    }
                    Page::Pruned(reset) => {
                        (*this.seq, *this.yielded) = (reset.cursor.seq, reset.cursor.seq);
                        return Poll::Ready(Ok(Some(SubscriptionEvent::Reset(reset))));
                    }
                    Page::Replaced => {}
                }
            }
            let read = this.state.ring().read(this.epoch, *this.seq, *this.topics, max);
            match read {
                RingRead::Events { events, to } => {
                    *this.seq = to;
                    if should_yield(&events, to, this.yielded) {
                        return Poll::Ready(Ok(Some(SubscriptionEvent::Events(events))));
                    }
                }
                RingRead::UpToDate => return Poll::Ready(Ok(None)),
                RingRead::Behind => {
                    let max = u32::try_from(max).unwrap_or(u32::MAX);
                    let (state, epoch) = (Arc::clone(this.state), Arc::clone(this.epoch));
                    *this.log_read = Some(Box::pin(read_log(state, epoch, *this.topics, *this.seq, max)));
                }
                RingRead::Replaced(epoch, reset) => {
                    *this.epoch = epoch;
                    (*this.seq, *this.yielded) = (reset.cursor.seq, reset.cursor.seq);
                    return Poll::Ready(Ok(Some(SubscriptionEvent::Reset(reset))));
                }
            }
        }
    }

    /// As [`Subscription::poll_next`], as a future. Dropping it loses nothing.
    ///
    /// # Errors
    /// As [`Subscription::poll_next`].
    pub async fn next(self: &mut Pin<&mut Self>, max: usize) -> Result<SubscriptionEvent, StoreError> {
        poll_fn(|cx| self.as_mut().poll_next(cx, max)).await
    }

    /// As [`Subscription::poll_ready`], as a future.
    ///
    /// # Errors
    /// As [`Subscription::poll_next`].
    pub async fn ready(self: &mut Pin<&mut Self>, max: usize) -> Result<Option<SubscriptionEvent>, StoreError> {
        poll_fn(|cx| self.as_mut().poll_ready(cx, max)).await
    }
}

/// Whether a reader gets these events, or its new position `to` if there are none.
fn should_yield(events: &[Arc<EncodedEvent>], to: u64, yielded: &mut u64) -> bool {
    let should = !events.is_empty() || to.saturating_sub(*yielded) >= MAX_SKIPPED;
    if should {
        *yielded = to;
    }
    should
}

/// Reads the next events of `topics` after `after` from the log: at most `max`, fewer if they exceed 32 KiB.
async fn read_log(
    state: Arc<HubState>,
    epoch: Arc<Epoch>,
    topics: Topics,
    after: u64,
    max: u32,
) -> Result<Page, StoreError> {
    // The semaphore is never closed, so this does not fail.
    let _permit = state.log_readers.acquire().await;
    let LogPage { at, events: logged, mut to } = state.log.read(topics, after, max, MAX_READ_BYTES).await?;
    if at.epoch != *epoch {
        state.refresh().await?;
        return Ok(Page::Replaced);
    }
    if at.pruned > after {
        let cursor = Cursor { epoch: at.epoch.clone(), seq: at.head };
        return Ok(Page::Pruned(Reset { reason: ResetReason::TooOld, oldest: at.pruned + 1, cursor }));
    }
    let (mut events, mut bytes) = (Vec::with_capacity(logged.len()), 0);
    for event in &logged {
        if bytes >= MAX_READ_BYTES {
            // Encoded, they are longer than their bodies.
            to = event.seq - 1;
            break;
        }
        let event = encode(&epoch, event);
        bytes += event.len();
        events.push(Arc::new(event));
    }
    Ok(Page::Events { events, to })
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::task::Waker;

    use super::*;
    use crate::bound::Bound;
    use crate::events::tests::LogFixture;
    use crate::events::{EventHub, Since};
    use crate::store::event_log::NewEvent;
    use crate::wire::event::EventKind;

    /// A hub whose ring lacks the first 476 of 1,500 events, each with a text of 1,000 bytes.
    async fn hub(fixture: &LogFixture) -> EventHub {
        let resource = Some(serde_json::Value::from("x".repeat(1_000)));
        let event = NewEvent { kind: EventKind::PetUpdate, id: "x".into(), version: 1, resource, old: None, new: None };
        fixture.log.append_alone(&vec![event; 1_500]).await.unwrap();
        EventHub::open(fixture.log.clone(), Bound::new(10, 10)).await.unwrap()
    }

    async fn reader(hub: &EventHub) -> Subscription {
        hub.subscribe(&"key".into(), Topics::ALL, Since::Earliest).await.unwrap().1
    }

    #[tokio::test]
    async fn one_read_of_the_log_ends_after_32_kib_and_one_event() {
        let fixture = LogFixture::new().await;
        let mut subscription = pin!(reader(&hub(&fixture).await).await);
        let (mut seqs, mut reads) = (Vec::new(), 0);
        while let Some(SubscriptionEvent::Events(events)) = subscription.ready(1_000).await.unwrap() {
            let bytes: usize = events.iter().rev().skip(1).map(|event| event.len()).sum();
            assert!(bytes < 32 << 10, "{bytes} bytes and one event");
            seqs.extend(events.iter().map(|event| event.seq));
            reads += 1;
        }
        assert_eq!(seqs, Vec::from_iter(1..=1_500), "nothing is skipped");
        assert!(reads >= 1_500 / 32, "{reads}");
    }

    #[tokio::test]
    async fn two_subscribers_read_the_log_at_the_same_time_and_others_wait() {
        let fixture = LogFixture::new().await;
        let hub = hub(&fixture).await;
        let mut reader = pin!(reader(&hub).await);
        let state = Arc::clone(&reader.state);
        assert_eq!(state.log_readers.available_permits(), 2);
        let two = state.log_readers.acquire_many(2).await.unwrap();
        let mut cx = Context::from_waker(Waker::noop());
        for _ in 0..100 {
            assert!(reader.as_mut().poll_ready(&mut cx, 1).is_pending());
            tokio::task::yield_now().await;
        }
        drop(two);
        let event = reader.ready(1).await.unwrap();
        assert!(matches!(event, Some(SubscriptionEvent::Events(events)) if events[0].seq == 1));
        assert_eq!(state.log_readers.available_permits(), 2, "given back");
    }
}
