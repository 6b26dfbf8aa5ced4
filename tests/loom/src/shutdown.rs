//! The shutdown signal.

use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::task::{Context, Poll, Waker};

use loom::sync::atomic::AtomicUsize;
use loom::thread;

use crate::check;
use crate::sync::block_on;

#[allow(dead_code, reason = "the parts of the file that no model needs")]
#[path = "../../../src/time/shutdown.rs"]
mod shipped;

use shipped::Signal;

/// Two listeners on threads of their own, and somebody who only looks: all notice, and see what came before the signal.
pub fn everybody_who_listens_is_woken_and_sees_what_came_before() {
    check(5, || {
        let (signal, reason) = (Signal::default(), Arc::new(AtomicUsize::new(0)));
        let listeners = [(); 2].map(|()| {
            let (mut listener, reason) = (signal.listen(), Arc::clone(&reason));
            thread::spawn(move || {
                block_on(poll_fn(|cx| if listener.poll_is_over(cx) { Poll::Ready(()) } else { Poll::Pending }));
                assert_eq!(reason.load(Relaxed), 1, "woken by a signal whose reason can't be seen");
            })
        });
        let flag = signal.flag();
        reason.store(1, Relaxed);
        signal.raise();
        assert!(flag.is_up() && signal.is_over());
        for listener in listeners {
            listener.join().unwrap();
        }
    });
}

/// A flag that is up shows what came before it was raised.
pub fn a_flag_that_is_up_shows_what_came_before() {
    check(5, || {
        let (signal, reason) = (Signal::default(), Arc::new(AtomicUsize::new(0)));
        let (flag, seen) = (signal.flag(), Arc::clone(&reason));
        let looking = thread::spawn(move || {
            if flag.is_up() {
                assert_eq!(seen.load(Relaxed), 1, "a flag that is up before its reason");
            }
        });
        reason.store(1, Relaxed);
        signal.raise();
        looking.join().unwrap();
    });
}

/// A stream that is polled by another task than before: that one is woken.
pub fn the_task_that_polled_last_is_woken() {
    check(5, || {
        let signal = Signal::default();
        let mut listener = signal.listen();
        assert!(!listener.poll_is_over(&mut Context::from_waker(Waker::noop())));
        let raising = thread::spawn(move || signal.raise());
        block_on(poll_fn(|cx| if listener.poll_is_over(cx) { Poll::Ready(()) } else { Poll::Pending }));
        raising.join().unwrap();
    });
}
