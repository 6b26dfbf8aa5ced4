//! `futures_util::task::AtomicWaker`: a wake wakes the last registered waker. A registration after a wake sees all
//! that happened before the wake.

use std::task::Waker;

use loom::sync::Mutex;

/// A model of the waker.
#[derive(Default)]
pub(crate) struct AtomicWaker(Mutex<Option<Waker>>);

impl AtomicWaker {
    pub(crate) fn register(&self, waker: &Waker) {
        *self.0.lock().unwrap() = Some(waker.clone());
    }

    pub(crate) fn wake(&self) {
        let waker = self.0.lock().unwrap().take();
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}
