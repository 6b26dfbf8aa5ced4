//! A per-stream wake flag.
//!
//! The connection polls the body of a response after every token and every event of its socket. If neither the
//! upstream nor a timer has woken the stream since, it returns `Pending` without polling them: that would cost as much
//! as passing a token on.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Wake, Waker};

use crate::sync::{AtomicBool, AtomicWaker};

/// A waker for the upstream and the timers of a stream. It wakes the task that polls the stream, and sets a flag.
pub(super) struct WakeFlag {
    shared: Arc<Shared>,
    waker: Waker,
}

#[derive(Default)]
struct Shared {
    woken: AtomicBool,
    task: AtomicWaker,
}

impl Wake for Shared {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        // A swap instead of a store: a store would start a new release sequence, and a thread that reads only this
        // wake would not synchronize with an earlier waker.
        self.woken.swap(true, Ordering::Release);
        self.task.wake();
    }
}

impl WakeFlag {
    pub(super) fn new() -> Self {
        let shared = Arc::new(Shared::default());
        Self { waker: Waker::from(Arc::clone(&shared)), shared }
    }

    /// Whether [`WakeFlag::waker`] was woken since the last call; if not, the task is woken when it is.
    pub(super) fn was_woken(&self, cx: &Context<'_>) -> bool {
        // In this order: a wake in between is either seen now or wakes the task.
        self.shared.task.register(cx.waker());
        self.shared.woken.swap(false, Ordering::AcqRel)
    }

    /// The waker to poll everything with that the stream waits for.
    pub(super) const fn waker(&self) -> &Waker {
        &self.waker
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wake_is_seen_once_and_wakes_the_task_that_polled_last() {
        let (flag, task) = (WakeFlag::new(), WakeFlag::new());
        let mut cx = Context::from_waker(task.waker());
        assert!(!flag.was_woken(&cx) && !task.shared.woken.load(Ordering::Relaxed));
        flag.waker().wake_by_ref();
        assert!(task.shared.woken.load(Ordering::Relaxed));
        assert!(flag.was_woken(&cx) && !flag.was_woken(&cx));
        let other = WakeFlag::new();
        cx = Context::from_waker(other.waker());
        assert!(!flag.was_woken(&cx));
        flag.waker().wake_by_ref();
        assert!(other.shared.woken.load(Ordering::Relaxed) && flag.was_woken(&cx));
    }
}
