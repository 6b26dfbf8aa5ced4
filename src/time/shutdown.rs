//! The shutdown of the server: its phases in order, and ways to wait for one.
//!
//! Depends on nothing but the primitives of `crate::sync`. A signal that is raised stays raised, and whatever was
//! written before it was raised is visible to a thread that sees it raised.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Waker};

use crate::sync::{AtomicBool, CancellationToken, WaitForCancellationFutureOwned};

/// The signals of a shutdown, in the order in which they are raised. Clones share them.
///
/// 1. `leaving` is raised by the process at SIGTERM. The server is not ready any more, and still accepts connections.
/// 2. `stop` is raised by the server, `drain.delay` later. The listeners close, and idle connections soon after; tasks that
///    only prepare for later requests end; event streams and polls end within `events.shutdown_window`.
/// 3. `skip_drain` is raised by the process at a second signal: running requests are not waited for any longer.
/// 4. `abort` is raised by the server, `drain.for` after `stop`, or at `skip_drain`. Completions end with an
///    error frame, event streams and polls end; connections that are left one second later are closed.
/// 5. `disconnected` is raised by the server after its last connection. Background tasks end; the usage writer ends
///    when its queue is empty.
/// 6. `flushed` is raised by the server when the usage records are written or given up. The metrics listener closes,
///    and then the database.
///
/// `skip_drain` also ends the delay. It and `abort` are not raised if all requests end by themselves in time.
#[derive(Clone, Debug, Default)]
pub struct Shutdown {
    /// Not ready any more.
    pub leaving: ShutdownSignal,
    /// Accept no more; finish what runs.
    pub stop: ShutdownSignal,
    /// Do not wait for the drain deadline.
    pub skip_drain: ShutdownSignal,
    /// End running requests.
    pub abort: ShutdownSignal,
    /// No connection is left.
    pub disconnected: ShutdownSignal,
    /// No usage record is left to write.
    pub flushed: ShutdownSignal,
}

/// One signal of a [`Shutdown`]: raised once, for all clones.
#[derive(Clone, Debug, Default)]
pub struct ShutdownSignal(Arc<State>);

#[derive(Debug, Default)]
struct State {
    /// Set before the token is cancelled. Reading it takes no lock; reading the token takes one that all clones share.
    raised: AtomicBool,
    token: CancellationToken,
}

impl ShutdownSignal {
    /// Raises it and wakes all that wait.
    pub fn raise(&self) {
        self.0.raised.store(true, Ordering::Release);
        self.0.token.cancel();
    }

    /// Whether it was raised: one atomic load. Does not arrange for a wake-up.
    #[must_use]
    pub fn is_raised(&self) -> bool {
        self.0.raised.load(Ordering::Acquire)
    }

    /// The token that is cancelled when it is raised, for tasks that only wait.
    #[must_use]
    pub fn token(&self) -> &CancellationToken {
        &self.0.token
    }

    /// A watcher for one task with a hand-written poll.
    #[must_use]
    pub fn watch(&self) -> ShutdownWatcher {
        let raised = Box::pin(self.0.token.clone().cancelled_owned());
        ShutdownWatcher { signal: self.clone(), raised, registered: None }
    }
}

/// Waits for a [`ShutdownSignal`] in a hand-written poll.
#[derive(Debug)]
pub struct ShutdownWatcher {
    signal: ShutdownSignal,
    raised: Pin<Box<WaitForCancellationFutureOwned>>,
    /// The waker that was registered last. Registering takes the token's lock, so it is repeated only for another task.
    registered: Option<Waker>,
}

impl ShutdownWatcher {
    /// Whether the signal was raised; if not, the task is woken when it is.
    pub fn poll_raised(&mut self, cx: &mut Context<'_>) -> bool {
        if self.signal.is_raised() {
            return true;
        }
        if self.registered.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
            return false;
        }
        self.registered = Some(cx.waker().clone());
        self.raised.as_mut().poll(cx).is_ready()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_raised_signal_wakes_its_watchers_and_is_seen_by_later_ones() {
        let signal = ShutdownSignal::default();
        let mut watcher = signal.watch();
        let waiting = tokio::spawn(std::future::poll_fn(move |cx| {
            if watcher.poll_raised(cx) { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
        }));
        tokio::task::yield_now().await;
        assert!(!signal.is_raised() && !waiting.is_finished());
        signal.raise();
        waiting.await.unwrap();
        let mut late = signal.watch();
        assert!(late.poll_raised(&mut Context::from_waker(Waker::noop())));
    }
}
