//! Tasks beside the requests: what they are counted with, and the phase of the shutdown that ends each.

use std::future::Future;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::time::{Shutdown, ShutdownSignal};

/// Starts background tasks and waits for their end; clones share them.
#[derive(Clone, Default)]
pub(super) struct BackgroundTasks {
    tasks: TaskTracker,
    /// Ends the tasks.
    pub(super) shutdown: Shutdown,
}

impl BackgroundTasks {
    /// Runs a task that prepares for later requests: dropped when the shutdown begins.
    pub(super) fn spawn_until_stop(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.spawn_until(&self.shutdown.stop, task);
    }

    /// Runs a task that running requests depend on: dropped when the last connection has ended.
    pub(super) fn spawn_until_disconnected(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.spawn_until(&self.shutdown.disconnected, task);
    }

    /// Runs a task that ends at the shutdown signal that it waits for.
    pub(super) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.tasks.spawn(task);
    }

    /// Waits until all tasks have ended.
    pub(super) async fn finished(&self) {
        self.tasks.close();
        self.tasks.wait().await;
    }

    fn spawn_until(&self, signal: &ShutdownSignal, task: impl Future<Output = ()> + Send + 'static) {
        let token: CancellationToken = signal.token().clone();
        self.tasks.spawn(async move {
            token.run_until_cancelled_owned(task).await;
        });
    }
}
