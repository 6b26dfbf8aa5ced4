//! Waiting for conditions, with one generous bound for all tests.

use std::fmt::Debug;
use std::time::Duration;

/// Longest wait for something that must happen. Generous: reaching it is a failure, never a measure.
const DEADLINE: Duration = Duration::from_secs(30);

/// Waits for `event`, and fails the test with `what` when it does not come in [`DEADLINE`].
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

/// Asks until the answer is `expected`: what one thread of the server lets go of, another sees a moment later.
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
