//! `futures_util::task::AtomicWaker`: the waker registered last is woken, by whoever wakes after the registration. A
//! registration that comes after a wake sees what happened before it.

use std::task::Waker;

use loom::sync::Mutex;

/// See the module.
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
