//! Waiting for conditions, with one generous bound for all tests.

use std::fmt::Debug;
use std::time::Duration;

/// Longest wait for a condition. Generous: reaching it is a failure, and no test measures with it.
const DEADLINE: Duration = Duration::from_secs(30);

/// Waits for `event`. Panics with `what` after [`DEADLINE`].
#[track_caller]
pub fn soon<F: Future>(what: &str, event: F) -> impl Future<Output = F::Output> {
    let caller = std::panic::Location::caller();
    async move {
        match tokio::time::timeout(DEADLINE, event).await {
            Ok(output) => output,
            Err(_) => panic!("waited {DEADLINE:?} in vain for {what} (asked at {caller})"),
        }
    }
}

/// Repeats `ask` until it returns `expected`. For state that the server updates asynchronously. Panics after
/// [`DEADLINE`].
#[track_caller]
pub fn becomes<T: PartialEq + Debug>(expected: &T, ask: impl AsyncFn() -> T) -> impl Future<Output = ()> {
    let what = format!("{expected:?}");
    let caller = std::panic::Location::caller();
    async move {
        let mut last = None;
        let asking = async {
            while last.as_ref() != Some(expected) {
                last = Some(ask().await);
            }
        };
        if tokio::time::timeout(DEADLINE, asking).await.is_err() {
            panic!("waited {DEADLINE:?} in vain for {what}, last was {last:?} (asked at {caller})");
        }
    }
}
