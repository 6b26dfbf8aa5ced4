//! Counts the work of a scan, for tests of how it grows with the input.

use std::cell::Cell;

thread_local! {
    static STEPS: Cell<usize> = const { Cell::new(0) };
}

/// Adds steps to this thread's count: bytes that were read.
pub(in crate::wire) fn add(steps: usize) {
    STEPS.set(STEPS.get() + steps);
}

/// Runs `work`; returns its steps and its result.
pub(in crate::wire) fn of<T>(work: impl FnOnce() -> T) -> (usize, T) {
    let before = STEPS.get();
    let result = work();
    (STEPS.get() - before, result)
}
