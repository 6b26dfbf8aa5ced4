//! The asynchronous runtime of commands other than `serve`.

use super::failure::{Failure, fault};

/// Runs a command to its end.
pub(super) fn block_on<T>(command: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(fault)?.block_on(command)
}
