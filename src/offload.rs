//! A bounded pool of threads for computations that would block a worker thread.
//!
//! A worker thread serves hundreds of connections. A computation of more than a millisecond or two, such as parsing a
//! large body, therefore runs on one of tokio's blocking threads. The number of jobs that run and wait is bounded, in
//! total and for each API key, and the jobs of one key never occupy all threads.

use std::collections::HashMap;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Semaphore;

use crate::bound::{Bound, Exceeded};

/// The longest JSON that is parsed on a worker thread, bytes. Longer ones are parsed in the pool.
pub const MAX_INLINE: usize = 256 * 1024;
/// The largest number of jobs that run or wait.
pub const MAX_QUEUED: u64 = 256;
/// The largest number of jobs of one API key that run or wait.
pub const MAX_QUEUED_PER_KEY: u64 = 64;
/// The smallest number of threads: one for the jobs of one key, one for those of others.
const MIN_THREADS: usize = 2;

/// The pool and its queue. Clones share them.
#[derive(Clone, Debug)]
pub struct Offload {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    queue: Bound,
    threads: Arc<Semaphore>,
    /// The largest number of threads that one owner may occupy.
    threads_per_owner: usize,
    // std Mutex: never held across .await. Has owners with jobs only.
    lanes: Mutex<Lanes>,
}

/// The threads that each owner may still occupy, and the number of its jobs.
type Lanes = HashMap<Arc<str>, (Arc<Semaphore>, usize)>;

/// Why a job was not run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OffloadError {
    /// The queue is full.
    Full(Exceeded),
    /// The server is shutting down.
    Stopping,
}

impl Offload {
    /// A pool with as many threads as there are cores, at least two. If `divided`, an owner may have a share of the
    /// queue and all threads but one; otherwise all of both.
    #[must_use]
    pub fn new(divided: bool) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
        let threads = cores.max(MIN_THREADS);
        if divided {
            Self::with(threads, threads - 1, Bound::new(MAX_QUEUED, MAX_QUEUED_PER_KEY))
        } else {
            Self::with(threads, threads, Bound::new(MAX_QUEUED, MAX_QUEUED))
        }
    }

    fn with(threads: usize, threads_per_owner: usize, queue: Bound) -> Self {
        let threads = Arc::new(Semaphore::new(threads));
        Self { shared: Arc::new(Shared { queue, threads, threads_per_owner, lanes: Mutex::default() }) }
    }

    /// Runs `work` in the pool for `owner`, the id of an API key. Dropping the future cancels a job that waits, but a
    /// job that runs continues to its end: it should own the grants of the memory that it uses.
    ///
    /// # Errors
    /// [`OffloadError`].
    ///
    /// # Panics
    /// When `work` panics.
    pub async fn run<T: Send + 'static>(
        &self,
        owner: &Arc<str>,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, OffloadError> {
        let queued = self.shared.queue.take(owner, 1).map_err(OffloadError::Full)?;
        let lane = Lane::of(&self.shared, owner);
        // The semaphores are never closed.
        let owner_permit = Arc::clone(&lane.threads).acquire_owned().await.map_err(|_| OffloadError::Stopping)?;
        let thread_permit =
            Arc::clone(&self.shared.threads).acquire_owned().await.map_err(|_| OffloadError::Stopping)?;
        let done = tokio::task::spawn_blocking(move || {
            let _held = (thread_permit, owner_permit, lane, queued);
            work()
        });
        match done.await {
            Ok(done) => Ok(done),
            Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
            Err(_cancelled) => Err(OffloadError::Stopping),
        }
    }
}

impl Shared {
    fn lanes(&self) -> MutexGuard<'_, Lanes> {
        self.lanes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The entry of an owner in the map, as long as it has jobs.
struct Lane {
    shared: Arc<Shared>,
    owner: Arc<str>,
    threads: Arc<Semaphore>,
}

impl Lane {
    fn of(shared: &Arc<Shared>, owner: &Arc<str>) -> Self {
        let mut lanes = shared.lanes();
        let lane = lanes.entry(Arc::clone(owner));
        let (threads, jobs) = lane.or_insert_with(|| (Arc::new(Semaphore::new(shared.threads_per_owner)), 0));
        *jobs += 1;
        Self { shared: Arc::clone(shared), owner: Arc::clone(owner), threads: Arc::clone(threads) }
    }
}

impl Drop for Lane {
    fn drop(&mut self) {
        let mut lanes = self.shared.lanes();
        let Some((_, jobs)) = lanes.get_mut(&self.owner) else { return };
        *jobs -= 1;
        if *jobs == 0 {
            lanes.remove(&self.owner);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    fn owner(name: &str) -> Arc<str> {
        name.into()
    }

    /// A job that runs until the sender is used or dropped.
    fn blocked_job() -> (mpsc::Sender<()>, impl FnOnce() + Send + 'static) {
        let (go, wait) = mpsc::channel::<()>();
        (go, move || wait.recv().unwrap_or_default())
    }

    async fn until(holds: impl Fn() -> bool) {
        while !holds() {
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn the_jobs_of_one_owner_leave_a_thread_to_others() {
        let offload = Offload::with(2, 1, Bound::new(10, 5));
        let (one, other) = (owner("one"), owner("other"));
        let (go, work) = blocked_job();
        let (first, second) = (offload.clone(), offload.clone());
        let (of_first, of_second) = (Arc::clone(&one), Arc::clone(&one));
        let first = tokio::spawn(async move { first.run(&of_first, work).await });
        until(|| offload.shared.threads.available_permits() == 1).await;
        let second = tokio::spawn(async move { second.run(&of_second, || 2).await });
        until(|| offload.shared.queue.taken() == 2).await;
        assert_eq!(offload.run(&other, || 3).await, Ok(3), "while a job of the first owner waits for its other one");
        assert!(!second.is_finished());
        go.send(()).unwrap();
        assert_eq!((first.await.unwrap(), second.await.unwrap()), (Ok(()), Ok(2)));
        until(|| offload.shared.queue.taken() == 0).await;
        assert!(offload.shared.lanes().is_empty(), "owners without jobs take no memory");
    }

    #[tokio::test]
    async fn the_queue_is_bounded_in_total_and_for_each_owner() {
        let offload = Offload::with(1, 1, Bound::new(3, 2));
        let [one, other, third] = ["one", "other", "third"].map(owner);
        let (go, work) = blocked_job();
        let mut waiting = Vec::new();
        let begin = |owner: &Arc<str>, work: Box<dyn FnOnce() + Send>| {
            let (offload, owner) = (offload.clone(), Arc::clone(owner));
            tokio::spawn(async move { offload.run(&owner, work).await })
        };
        waiting.push(begin(&one, Box::new(work)));
        waiting.push(begin(&one, Box::new(|| ())));
        until(|| offload.shared.queue.taken() == 2).await;
        assert_eq!(offload.run(&one, || ()).await, Err(OffloadError::Full(Exceeded::Share(2))));
        let left = begin(&other, Box::new(|| ()));
        until(|| offload.shared.queue.taken() == 3).await;
        assert_eq!(offload.run(&third, || ()).await, Err(OffloadError::Full(Exceeded::Total(3))));
        // A job that is cancelled leaves the queue.
        left.abort();
        until(|| offload.shared.queue.taken() == 2).await;
        go.send(()).unwrap();
        for one in waiting {
            assert_eq!(one.await.unwrap(), Ok(()));
        }
    }
}
