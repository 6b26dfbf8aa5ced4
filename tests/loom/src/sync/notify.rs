//! `tokio::sync::Notify`: `notify_one` wakes one waiting future or leaves one permit, `notify_waiters` completes every
//! future that was made before, polled or not, and leaves nothing.

use std::collections::VecDeque;
use std::future::Future;
use std::ops::Deref;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use loom::sync::Mutex;

/// A model of `Notify`.
#[derive(Debug, Default)]
pub struct Notify(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    permit: bool,
    /// How often all waiting futures were notified.
    rounds: u64,
    /// The number of the next future that waits.
    next: u64,
    /// The polled futures that wait, in order.
    waiting: VecDeque<(u64, Waker)>,
}

/// A future of [`Notify::notified`] or [`Notify::notified_owned`].
#[derive(Debug)]
pub struct Notified<N: Deref<Target = Notify>> {
    notify: N,
    /// `rounds` when it was made.
    rounds: u64,
    waits: Waits,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Waits {
    NotYet,
    As(u64),
    Over,
}

/// As tokio's.
pub type OwnedNotified = Notified<Arc<Notify>>;

impl Notify {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    pub(crate) fn notify_one(&self) {
        let first = {
            let mut state = self.0.lock().unwrap();
            let first = state.waiting.pop_front();
            state.permit |= first.is_none();
            first
        };
        if let Some((_, waker)) = first {
            waker.wake();
        }
    }

    pub(crate) fn notify_waiters(&self) {
        let all = {
            let mut state = self.0.lock().unwrap();
            state.rounds += 1;
            std::mem::take(&mut state.waiting)
        };
        all.into_iter().for_each(|(_, waker)| waker.wake());
    }

    pub(crate) fn notified(&self) -> Notified<&Self> {
        Notified { rounds: self.rounds(), notify: self, waits: Waits::NotYet }
    }

    pub(crate) fn notified_owned(self: Arc<Self>) -> OwnedNotified {
        Notified { rounds: self.rounds(), notify: self, waits: Waits::NotYet }
    }

    fn rounds(&self) -> u64 {
        self.0.lock().unwrap().rounds
    }
}

impl<N: Deref<Target = Notify> + Unpin> Future for Notified<N> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        let mut state = this.notify.0.lock().unwrap();
        let over = match this.waits {
            Waits::Over => true,
            Waits::NotYet => state.rounds != this.rounds || std::mem::take(&mut state.permit),
            // `notify` has removed it already.
            Waits::As(number) => match state.waiting.iter_mut().find(|(other, _)| *other == number) {
                Some((_, waker)) => {
                    waker.clone_from(cx.waker());
                    return Poll::Pending;
                }
                None => true,
            },
        };
        if over {
            this.waits = Waits::Over;
            return Poll::Ready(());
        }
        let number = state.next;
        state.next += 1;
        state.waiting.push_back((number, cx.waker().clone()));
        this.waits = Waits::As(number);
        Poll::Pending
    }
}

impl<N: Deref<Target = Notify>> Drop for Notified<N> {
    fn drop(&mut self) {
        let Waits::As(number) = self.waits else { return };
        let mut state = self.notify.0.lock().unwrap();
        let before = state.waiting.len();
        state.waiting.retain(|(other, _)| *other != number);
        let notified = state.waiting.len() == before;
        let by_one = notified && state.rounds == self.rounds;
        drop(state);
        if by_one {
            // A notification that it did not consume goes to the next future.
            self.notify.notify_one();
        }
    }
}
