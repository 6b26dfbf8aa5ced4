//! The end of the drain: running streams are told at once, and cheaply watched until then.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Waker};

use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

/// One stream's ear for the end of the drain.
pub(super) struct Cut {
    token: CancellationToken,
    wait: Pin<Box<WaitForCancellationFutureOwned>>,
    /// Whom the end will wake. Registering takes a lock that all streams share, so it is done once and not at every
    /// token: a stream is nearly always polled by the same task.
    registered: Option<Waker>,
}

impl Cut {
    pub(super) fn new(token: &CancellationToken) -> Self {
        Self { token: token.clone(), wait: Box::pin(token.clone().cancelled_owned()), registered: None }
    }

    /// Whether it is over; if not, the task is woken when it is.
    pub(super) fn poll_is_over(&mut self, cx: &mut Context<'_>) -> bool {
        let registered = self.registered.as_ref().is_some_and(|waker| waker.will_wake(cx.waker()));
        if !registered {
            self.registered = Some(cx.waker().clone());
            if self.wait.as_mut().poll(cx).is_ready() {
                return true;
            }
        }
        self.token.is_cancelled()
    }
}
