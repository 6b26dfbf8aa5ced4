//! How much a thread has looked at, for tests of how the work grows with its input.

use std::cell::Cell;

thread_local! {
    static STEPS: Cell<usize> = const { Cell::new(0) };
}

/// Notes so many more steps: bytes that were looked at, or names that were compared.
pub(in crate::wire) fn add(steps: usize) {
    STEPS.set(STEPS.get() + steps);
}

/// The steps that `work` takes.
pub(in crate::wire) fn of<T>(work: impl FnOnce() -> T) -> (usize, T) {
    let before = STEPS.get();
    let done = work();
    (STEPS.get() - before, done)
}
