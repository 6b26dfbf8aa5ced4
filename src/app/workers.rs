//! The threads that serve connections: one a core, each with a runtime of its own.
//!
//! A connection stays on the thread that it was given to, and with it everything that is done for it: its requests,
//! their upstream connections, its timers. Nothing of that wakes another thread, which costs more than the work itself.

use std::future::Future;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::runtime::{Builder, Handle, Runtime};
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;
use tracing::dispatcher;

/// See the module. Dropping it ends the threads, and what still runs there.
pub(super) struct Workers {
    workers: Box<[Worker]>,
    tasks: TaskTracker,
    _ending: DropGuard,
}

struct Worker {
    handle: Handle,
    /// Connections that it has.
    load: Arc<AtomicUsize>,
}

/// One connection's share of a worker's load.
struct Share(Arc<AtomicUsize>);

impl Drop for Share {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Workers {
    /// Starts `count` threads.
    ///
    /// # Errors
    /// When the operating system has no threads or files for them.
    pub(super) fn start(count: NonZeroUsize) -> std::io::Result<Self> {
        let ending = CancellationToken::new();
        let start = |number| Worker::start(number, ending.clone());
        let workers = (0..count.get()).map(start).collect::<std::io::Result<_>>()?;
        Ok(Self { workers, tasks: TaskTracker::new(), _ending: ending.drop_guard() })
    }

    /// Runs a task on the worker that has the fewest.
    pub(super) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let Some(worker) = self.workers.iter().min_by_key(|worker| worker.load.load(Ordering::Relaxed)) else { return };
        worker.load.fetch_add(1, Ordering::Relaxed);
        let share = Share(Arc::clone(&worker.load));
        let task = async move {
            let _share = share;
            task.await;
        };
        self.tasks.spawn_on(task, &worker.handle);
    }

    /// How many tasks run.
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
    fn start(number: usize, ending: CancellationToken) -> std::io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let handle = runtime.handle().clone();
        // What happens there is logged where whoever starts it logs.
        let log = dispatcher::get_default(Clone::clone);
        let run = move || dispatcher::with_default(&log, || run(runtime, &ending));
        std::thread::Builder::new().name(format!("worker-{number}")).spawn(run)?;
        Ok(Self { handle, load: Arc::default() })
    }
}

fn run(runtime: Runtime, ending: &CancellationToken) {
    runtime.block_on(ending.cancelled());
    // A look-up that still hangs in the system's resolver must not hold the thread.
    runtime.shutdown_background();
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::sync::{mpsc, oneshot};

    #[tokio::test]
    async fn tasks_go_where_there_are_fewest_and_all_are_waited_for() {
        let workers = Workers::start(NonZeroUsize::new(2).unwrap()).unwrap();
        let (told, mut tell) = mpsc::unbounded_channel();
        let begin = || {
            let (end, ended) = oneshot::channel::<()>();
            let told = told.clone();
            workers.spawn(async move {
                told.send(Handle::current().id()).unwrap();
                let _ = ended.await;
            });
            end
        };
        let (one, other) = (begin(), begin());
        let (first, second) = (tell.recv().await.unwrap(), tell.recv().await.unwrap());
        assert_ne!(first, second);
        assert_eq!(workers.len(), 2);
        drop(one);
        // The first one's thread has nothing to do any more once its load is gone.
        while workers.len() > 1 {
            tokio::task::yield_now().await;
        }
        let third = begin();
        let busy = tell.recv().await.unwrap();
        assert!(busy == first || busy == second);
        drop((other, third));
        workers.idle().await;
        assert_eq!(workers.len(), 0);
    }

    #[tokio::test]
    async fn what_still_runs_ends_with_the_workers() {
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
