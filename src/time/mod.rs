//! Timers, timeouts, the deadline of a response, and the shutdown signal.
//!
//! Time is explicit: what polls takes `now` as an argument or reads the clock itself where it begins something, and
//! timeouts that share a timer do so through a [`TaskTimer`] that is passed to them. The clock is tokio's, which tests
//! can pause.

mod jitter;
mod lazy_timer;
mod response_deadline;
mod shutdown;
mod task_timer;
mod timeout;

pub use jitter::jitter;
pub use response_deadline::ResponseDeadline;
pub use shutdown::{Shutdown, ShutdownSignal, ShutdownWatcher};
pub use task_timer::TaskTimer;
pub(crate) use timeout::timeout_at;
