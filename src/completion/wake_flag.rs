//! Whether there is any reason to look again.
//!
//! A body is asked again for each token that it gave, and whenever its client's socket stirs. Looking at the upstream's
//! connection, the clock and the alarm each time would cost as much as passing the token on.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Wake, Waker};

use crate::sync::{AtomicBool, AtomicWaker};

/// What a stream waits with: it wakes the task that serves the client, and remembers that it did.
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
        // Read and written in one step: a plain store would hide an earlier wake of another source from whoever sees only
        // this one, and with it what that source had written.
        self.woken.swap(true, Ordering::Release);
        self.task.wake();
    }
}

impl WakeFlag {
    pub(super) fn new() -> Self {
        let shared = Arc::new(Shared::default());
        Self { waker: Waker::from(Arc::clone(&shared)), shared }
    }

    /// Whether something has happened since the last time, to whatever was polled with [`WakeFlag::waker`]. If not, the task is
    /// woken when it does.
    pub(super) fn was_woken(&self, cx: &Context<'_>) -> bool {
        // In this order: what happens in between is either seen now or wakes the task.
        self.shared.task.register(cx.waker());
        self.shared.woken.swap(false, Ordering::AcqRel)
    }

    /// What everything that the stream waits for is to be polled with.
    pub(super) const fn waker(&self) -> &Waker {
        &self.waker
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_happens_is_heard_once_and_wakes_whoever_asked_last() {
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
