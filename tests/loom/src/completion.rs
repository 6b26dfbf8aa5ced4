//! The wake flag of a stream.

use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::task::Poll;

use loom::sync::atomic::AtomicUsize;
use loom::thread;

use crate::check;
use crate::sync::block_on;

#[path = "../../../src/completion/wake_flag.rs"]
mod wake_flag;

use wake_flag::WakeFlag;

/// Two sources wake one stream. The task is woken for each, `was_woken` reports it, and writes before the wake are
/// visible after it.
pub fn a_wake_is_neither_lost_nor_seen_before_its_cause() {
    check(4, || {
        let flag = WakeFlag::new();
        let sources = [(); 2].map(|()| {
            let (written, waker) = (Arc::new(AtomicUsize::new(0)), flag.waker().clone());
            let to_write = Arc::clone(&written);
            let thread = thread::spawn(move || {
                to_write.store(1, Relaxed);
                waker.wake();
            });
            (written, thread)
        });
        let mut looks = 0;
        // Polls the sources only after a wake, as a stream does.
        block_on(poll_fn(|cx| {
            if flag.was_woken(cx) {
                looks += 1;
                let all = sources.iter().filter(|(written, _)| written.load(Relaxed) == 1).count();
                assert!(all >= 1, "woken, and what woke it can't be seen");
                if all == sources.len() {
                    return Poll::Ready(());
                }
            }
            Poll::Pending
        }));
        assert!(looks <= 2, "woken {looks} times by two wakes");
        for (_, thread) in sources {
            thread.join().unwrap();
        }
    });
}

/// The task that polls a stream may change: the last one is woken.
pub fn the_last_polling_task_is_woken() {
    check(4, || {
        let flag = WakeFlag::new();
        let waker = flag.waker().clone();
        // The first task polls once, then the stream moves on.
        let seen = flag.was_woken(&std::task::Context::from_waker(std::task::Waker::noop()));
        assert!(!seen);
        let thread = thread::spawn(move || waker.wake_by_ref());
        block_on(poll_fn(|cx| if flag.was_woken(cx) { Poll::Ready(()) } else { Poll::Pending }));
        thread.join().unwrap();
    });
}
