//! The threads that serve connections: one for each core, each with a single-threaded tokio runtime.
//!
//! A connection stays on its thread, with all that belongs to it: its requests, their upstream connections, its timers.
//! No wake-up crosses threads, which would cost more than the work itself. Depends on tokio only.

use std::future::Future;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::runtime::{Builder, Handle, Runtime};
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;
use tracing::dispatcher;

/// The worker threads. Dropping it ends them, and the tasks that still run there.
pub(super) struct Workers {
    workers: Box<[Worker]>,
    tasks: TaskTracker,
    _end_on_drop: DropGuard,
}

struct Worker {
    handle: Handle,
    /// Number of its tasks.
    load: Arc<AtomicUsize>,
}

/// Counts one task in a worker's load.
struct LoadGuard(Arc<AtomicUsize>);

impl Drop for LoadGuard {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Workers {
    /// Starts `count` threads.
    ///
    /// # Errors
    /// When the operating system refuses threads or file descriptors.
    pub(super) fn start(count: NonZeroUsize) -> std::io::Result<Self> {
        let end = CancellationToken::new();
        let start = |number| Worker::start(number, end.clone());
        let workers = (0..count.get()).map(start).collect::<std::io::Result<_>>()?;
        Ok(Self { workers, tasks: TaskTracker::new(), _end_on_drop: end.drop_guard() })
    }

    /// Runs a task on the worker that has the fewest tasks.
    pub(super) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let Some(worker) = self.workers.iter().min_by_key(|worker| worker.load.load(Ordering::Relaxed)) else { return };
        worker.load.fetch_add(1, Ordering::Relaxed);
        let guard = LoadGuard(Arc::clone(&worker.load));
        let task = async move {
            let _guard = guard;
            task.await;
        };
        self.tasks.spawn_on(task, &worker.handle);
    }

    /// Number of running tasks.
    pub(super) fn len(&self) -> usize {
        self.tasks.len()
    }

    /// Waits until no task runs.
    pub(super) async fn idle(&self) {
        self.tasks.close();
        self.tasks.wait().await;
    }
}

impl Worker {
    fn start(number: usize, end: CancellationToken) -> std::io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let handle = runtime.handle().clone();
        // The thread logs where its creator logs: tests have subscribers of their own.
        let log = dispatcher::get_default(Clone::clone);
        let run = move || dispatcher::with_default(&log, || run(runtime, &end));
        std::thread::Builder::new().name(format!("worker-{number}")).spawn(run)?;
        Ok(Self { handle, load: Arc::default() })
    }
}

fn run(runtime: Runtime, end: &CancellationToken) {
    runtime.block_on(end.cancelled());
    // A name lookup that still blocks in the system's resolver must not hold the thread.
    runtime.shutdown_background();
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::sync::{mpsc, oneshot};

    #[tokio::test]
    async fn tasks_go_to_the_worker_with_the_fewest_and_idle_waits_for_all() {
        let workers = Workers::start(NonZeroUsize::new(2).unwrap()).unwrap();
        let (started, mut starts) = mpsc::unbounded_channel();
        let begin = || {
            let (end, ended) = oneshot::channel::<()>();
            let started = started.clone();
            workers.spawn(async move {
                started.send(Handle::current().id()).unwrap();
                let _ = ended.await;
            });
            end
        };
        let (one, other) = (begin(), begin());
        let (first, second) = (starts.recv().await.unwrap(), starts.recv().await.unwrap());
        assert_ne!(first, second);
        assert_eq!(workers.len(), 2);
        drop(one);
        // Its worker has the fewest tasks once it has ended.
        while workers.len() > 1 {
            tokio::task::yield_now().await;
        }
        let third = begin();
        let busy = starts.recv().await.unwrap();
        assert!(busy == first || busy == second);
        drop((other, third));
        workers.idle().await;
        assert_eq!(workers.len(), 0);
    }

    #[tokio::test]
    async fn running_tasks_end_when_the_workers_are_dropped() {
        let workers = Workers::start(NonZeroUsize::MIN).unwrap();
        let (held, dropped) = oneshot::channel::<()>();
        workers.spawn(async move {
            let _held = held;
            std::future::pending::<()>().await;
        });
        drop(workers);
        assert!(dropped.await.is_err());
    }
}
