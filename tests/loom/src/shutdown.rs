//! The signals of a shutdown.

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

use shipped::ShutdownSignal;

/// Two waiting threads and a clone: all see the signal, and all writes before it.
pub fn every_watcher_is_woken_and_sees_what_was_written_before() {
    check(5, || {
        let (signal, reason) = (ShutdownSignal::default(), Arc::new(AtomicUsize::new(0)));
        let watchers = [(); 2].map(|()| {
            let (mut watcher, reason) = (signal.watch(), Arc::clone(&reason));
            thread::spawn(move || {
                block_on(poll_fn(|cx| if watcher.poll_raised(cx) { Poll::Ready(()) } else { Poll::Pending }));
                assert_eq!(reason.load(Relaxed), 1, "woken by a signal whose reason can't be seen");
            })
        });
        let clone = signal.clone();
        reason.store(1, Relaxed);
        signal.raise();
        assert!(clone.is_raised() && signal.is_raised());
        for watcher in watchers {
            watcher.join().unwrap();
        }
    });
}

/// A thread that reads the signal without waiting sees all writes before it.
pub fn a_raised_signal_shows_what_was_written_before() {
    check(5, || {
        let (signal, reason) = (ShutdownSignal::default(), Arc::new(AtomicUsize::new(0)));
        let (clone, seen) = (signal.clone(), Arc::clone(&reason));
        let reading = thread::spawn(move || {
            if clone.is_raised() {
                assert_eq!(seen.load(Relaxed), 1, "a signal is seen before its reason");
            }
        });
        reason.store(1, Relaxed);
        signal.raise();
        reading.join().unwrap();
    });
}

/// A stream moves to another task: that task is woken.
pub fn the_task_that_polled_last_is_woken() {
    check(5, || {
        let signal = ShutdownSignal::default();
        let mut watcher = signal.watch();
        assert!(!watcher.poll_raised(&mut Context::from_waker(Waker::noop())));
        let raising = thread::spawn(move || signal.raise());
        block_on(poll_fn(|cx| if watcher.poll_raised(cx) { Poll::Ready(()) } else { Poll::Pending }));
        raising.join().unwrap();
    });
}
