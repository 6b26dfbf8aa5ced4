//! Something that happens once and concerns every connection, watched without a lock.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Waker};

use crate::sync::{AtomicBool, CancellationToken, WaitForCancellationFutureOwned};

/// Raised once, for all; clones are the same.
#[derive(Clone, Debug, Default)]
pub struct Signal {
    token: CancellationToken,
    /// Set before the token is cancelled. Looking at the token takes a lock that all its clones share.
    over: Flag,
}

/// Whether a [`Signal`] was raised, for those who look at it whenever they are polled and leave it to somebody else to
/// have them polled. Clones are the same.
#[derive(Clone, Debug, Default)]
pub struct Flag(Arc<AtomicBool>);

impl Flag {
    /// Whether it was raised.
    #[must_use]
    pub fn is_up(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

impl Signal {
    /// Raises it.
    pub fn raise(&self) {
        self.over.0.store(true, Ordering::Release);
        self.token.cancel();
    }

    /// Whether it was raised.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.over.is_up()
    }

    /// For those who only look.
    #[must_use]
    pub fn flag(&self) -> Flag {
        self.over.clone()
    }

    /// For those who only wait.
    #[must_use]
    pub const fn token(&self) -> &CancellationToken {
        &self.token
    }

    /// An ear for one task.
    #[must_use]
    pub fn listen(&self) -> Listener {
        let wait = Box::pin(self.token.clone().cancelled_owned());
        Listener { over: self.over.clone(), wait, registered: None }
    }
}

/// One task's ear for a [`Signal`], for hand-written polls.
#[derive(Debug)]
pub struct Listener {
    over: Flag,
    wait: Pin<Box<WaitForCancellationFutureOwned>>,
    /// Whom it will wake. Registering takes a lock that all share, so it is done once and not at every token: a stream
    /// is nearly always polled by the same task.
    registered: Option<Waker>,
}

impl Listener {
    /// Whether it was raised; if not, the task is woken when it is.
    pub fn poll_is_over(&mut self, cx: &mut Context<'_>) -> bool {
        if self.over.is_up() {
            return true;
        }
        let registered = self.registered.as_ref().is_some_and(|waker| waker.will_wake(cx.waker()));
        if registered {
            return false;
        }
        self.registered = Some(cx.waker().clone());
        self.wait.as_mut().poll(cx).is_ready()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_listener_is_woken_and_a_late_one_knows() {
        let signal = Signal::default();
        let mut listener = signal.listen();
        let ear = tokio::spawn(std::future::poll_fn(move |cx| {
            if listener.poll_is_over(cx) { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
        }));
        tokio::task::yield_now().await;
        assert!(!signal.is_over() && !ear.is_finished());
        signal.raise();
        ear.await.unwrap();
        let mut late = signal.listen();
        assert!(late.poll_is_over(&mut Context::from_waker(Waker::noop())));
    }
}
