//! A cursor that pulls.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, ready};

use pin_project_lite::pin_project;

use super::ephemeral::Reader;
use super::ring::Read;
use super::{Reason, Reset, Shared, encode};
use crate::bound::Grant;
use crate::store::StoreError;
use crate::sync::{Notify, OwnedNotified};
use crate::wire::event::{Cursor, Epoch, Topics};
use crate::wire::event_frame::{Encoded, EphemeralFrame};

/// Events of other topics after which a reader hears how far it is, though there is nothing for it.
const MAX_SKIPPED: u64 = 1024;

/// What a subscriber hears.
#[derive(Debug)]
pub enum SubscriptionEvent {
    /// The next events of its topics. None at all: many of other topics have passed.
    Events(Vec<Arc<Encoded>>),
    /// Events may have been missed. The stream goes on from the reset's cursor.
    Reset(Reset),
    /// Something told in passing, which has no place among the events.
    EphemeralFrame(EphemeralFrame),
    /// The server is about to stop. Said once; what happens meanwhile still comes.
    Closing,
}

type Paging = Pin<Box<dyn Future<Output = Result<Page, StoreError>> + Send>>;

/// What a look into the log gives.
enum Page {
    /// The next events; everything up to `to` has been looked through.
    Events { events: Vec<Arc<Encoded>>, to: u64 },
    /// The log has forgotten what would have come next.
    Overtaken(Reset),
    /// The log is another one now, and the ring knows it.
    Restarted,
}

pin_project! {
    /// Somebody who listens. Dropping it ends the subscription.
    pub struct Subscription {
        shared: Arc<Shared>,
        topics: Topics,
        epoch: Arc<Epoch>,
        // Everything up to this number has been handed out or is of other topics.
        seq: u64,
        // Where it was when something was last handed out.
        heard: u64,
        paging: Option<Paging>,
        // Boxed: most have none.
        passing: Option<Pin<Box<Reader>>>,
        closing: bool,
        listening: bool,
        // Of the runtime that it was made on, which is the one that runs it.
        bell: Arc<Notify>,
        #[pin]
        news: OwnedNotified,
        place: Grant,
    }
}

impl Subscription {
    pub(super) fn new(shared: Arc<Shared>, topics: Topics, epoch: Arc<Epoch>, seq: u64, place: Grant) -> Self {
        let bell = shared.news.here();
        let news = Arc::clone(&bell).notified_owned();
        Self {
            shared,
            topics,
            epoch,
            seq,
            heard: seq,
            paging: None,
            passing: None,
            closing: false,
            listening: true,
            news,
            bell,
            place,
        }
    }

    /// The same, which also hears what is told in passing from now on.
    #[must_use]
    pub fn with_passing(self) -> Self {
        Self { passing: Some(Box::pin(self.shared.board.reader())), ..self }
    }

    /// What it is about.
    #[must_use]
    pub const fn topics(&self) -> Topics {
        self.topics
    }

    /// How far it is: everything up to here has been handed out or is of other topics.
    #[must_use]
    pub fn cursor(&self) -> Cursor {
        Cursor { epoch: self.epoch.as_ref().clone(), seq: self.seq }
    }

    /// The number of [`Subscription::cursor`].
    #[must_use]
    pub const fn seq(&self) -> u64 {
        self.seq
    }

    /// What comes next, with at most `most` events (at least 1); waits until there is something.
    ///
    /// # Errors
    /// When the log can't be read. The subscription is where it was, and may be asked again.
    pub fn poll_next(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        most: usize,
    ) -> Poll<Result<SubscriptionEvent, StoreError>> {
        loop {
            let mut this = self.as_mut().project();
            // Before looking, so that whatever happens after the look wakes us.
            if !*this.listening {
                this.news.set(Arc::clone(this.bell).notified_owned());
                *this.listening = true;
            }
            if !*this.closing && this.shared.closing.load(Ordering::Acquire) {
                *this.closing = true;
                return Poll::Ready(Ok(SubscriptionEvent::Closing));
            }
            // First: it comes seldom, and who reads events without end must hear it too.
            if let Some(reader) = this.passing
                && let Poll::Ready(passing) = reader.as_mut().poll_next(cx)
            {
                return Poll::Ready(Ok(SubscriptionEvent::EphemeralFrame(passing)));
            }
            if let Some(news) = ready!(self.as_mut().poll_ready(cx, most))? {
                return Poll::Ready(Ok(news));
            }
            let this = self.as_mut().project();
            ready!(this.news.poll(cx));
            *this.listening = false;
        }
    }

    /// What is there already, with at most `most` events (at least 1); none when it has read everything. Waits only for
    /// the database.
    ///
    /// # Errors
    /// As [`Subscription::poll_next`].
    pub fn poll_ready(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        most: usize,
    ) -> Poll<Result<Option<SubscriptionEvent>, StoreError>> {
        let this = self.project();
        let most = most.max(1);
        loop {
            if let Some(paging) = this.paging {
                let page = ready!(paging.as_mut().poll(cx));
                *this.paging = None;
                match page? {
                    Page::Events { events, to } => {
                        *this.seq = to;
                        if worth_telling(&events, to, this.heard) {
                            return Poll::Ready(Ok(Some(SubscriptionEvent::Events(events))));
                        }
                    }
                    Page::Overtaken(reset) => {
                        (*this.seq, *this.heard) = (reset.cursor.seq, reset.cursor.seq);
                        return Poll::Ready(Ok(Some(SubscriptionEvent::Reset(reset))));
                    }
                    Page::Restarted => {}
                }
            }
            let read = this.shared.ring().read(this.epoch, *this.seq, *this.topics, most);
            match read {
                Read::Events { events, to } => {
                    *this.seq = to;
                    if worth_telling(&events, to, this.heard) {
                        return Poll::Ready(Ok(Some(SubscriptionEvent::Events(events))));
                    }
                }
                Read::UpToDate => return Poll::Ready(Ok(None)),
                Read::Behind => {
                    let most = u32::try_from(most).unwrap_or(u32::MAX);
                    let (shared, epoch) = (Arc::clone(this.shared), Arc::clone(this.epoch));
                    *this.paging = Some(Box::pin(page(shared, epoch, *this.topics, *this.seq, most)));
                }
                Read::Restarted(epoch, reset) => {
                    *this.epoch = epoch;
                    (*this.seq, *this.heard) = (reset.cursor.seq, reset.cursor.seq);
                    return Poll::Ready(Ok(Some(SubscriptionEvent::Reset(reset))));
                }
            }
        }
    }

    /// As [`Subscription::poll_next`], to be awaited. May be dropped at any time without losing anything.
    ///
    /// # Errors
    /// As [`Subscription::poll_next`].
    pub async fn next(self: &mut Pin<&mut Self>, most: usize) -> Result<SubscriptionEvent, StoreError> {
        poll_fn(|cx| self.as_mut().poll_next(cx, most)).await
    }

    /// As [`Subscription::poll_ready`], to be awaited.
    ///
    /// # Errors
    /// As [`Subscription::poll_next`].
    pub async fn ready(self: &mut Pin<&mut Self>, most: usize) -> Result<Option<SubscriptionEvent>, StoreError> {
        poll_fn(|cx| self.as_mut().poll_ready(cx, most)).await
    }
}

fn worth_telling(events: &[Arc<Encoded>], to: u64, heard: &mut u64) -> bool {
    let worth = !events.is_empty() || to.saturating_sub(*heard) >= MAX_SKIPPED;
    if worth {
        *heard = to;
    }
    worth
}

/// The next events of `topics` after `after`, from the log.
async fn page(
    shared: Arc<Shared>,
    epoch: Arc<Epoch>,
    topics: Topics,
    after: u64,
    most: u32,
) -> Result<Page, StoreError> {
    // Nobody closes the semaphore; if somebody did, there would be no queue to stand in.
    let _turn = shared.paging.acquire().await;
    let (at, events) = shared.log.read(topics, after, most).await?;
    if at.epoch != *epoch {
        shared.catch_up().await?;
        return Ok(Page::Restarted);
    }
    if at.pruned > after {
        let cursor = Cursor { epoch: at.epoch.clone(), seq: at.head };
        return Ok(Page::Overtaken(Reset { reason: Reason::TooOld, oldest: at.pruned + 1, cursor }));
    }
    let whole = events.len() < most as usize;
    let to = events.last().filter(|_| !whole).map_or(at.head, |last| last.seq);
    let events = events.iter().map(|event| Arc::new(encode(&epoch, event))).collect();
    Ok(Page::Events { events, to })
}
