//! `tokio_util::sync::CancellationToken`: cancelled once, for all clones; every future that waits for it is woken.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use loom::sync::Mutex;

/// A model of the token.
#[derive(Clone, Debug, Default)]
pub struct CancellationToken(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    cancelled: bool,
    /// A waker slot per future.
    waiting: Vec<Option<Waker>>,
}

/// The future of a token.
#[derive(Debug)]
pub struct WaitForCancellationFutureOwned {
    token: CancellationToken,
    place: usize,
}

impl CancellationToken {
    pub(crate) fn cancel(&self) {
        let woken = {
            let mut state = self.0.lock().unwrap();
            state.cancelled = true;
            std::mem::take(&mut state.waiting)
        };
        woken.into_iter().flatten().for_each(Waker::wake);
    }

    pub(crate) fn cancelled_owned(self) -> WaitForCancellationFutureOwned {
        let place = {
            let mut state = self.0.lock().unwrap();
            state.waiting.push(None);
            state.waiting.len() - 1
        };
        WaitForCancellationFutureOwned { token: self, place }
    }
}

impl Future for WaitForCancellationFutureOwned {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut state = self.token.0.lock().unwrap();
        if state.cancelled {
            return Poll::Ready(());
        }
        state.waiting[self.place] = Some(cx.waker().clone());
        Poll::Pending
    }
}
