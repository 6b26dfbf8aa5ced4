//! Work that would hold up a thread: done on threads of its own, a few at a time.
//!
//! A thread that serves connections has hundreds of them. What takes longer than a millisecond or two, such as reading a
//! large body, is done elsewhere meanwhile: the system's scheduler gives both their turn. How many pieces of work run at
//! once and how many wait is bounded, in total and for each API key, and one key's work never takes all threads.

use std::collections::HashMap;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Semaphore;

use crate::bound::{Bound, Exceeded};

/// Longest JSON that is read where it is needed, bytes; longer ones are read here.
pub const MAX_INLINE: usize = 256 * 1024;
/// Most pieces of work that run or wait.
pub const MAX_QUEUED: u64 = 256;
/// Most of one key.
pub const MAX_QUEUED_PER_KEY: u64 = 64;
/// Fewest threads: one for the work of a key, one for that of others.
const MIN_THREADS: usize = 2;

/// The threads and their queue; clones share them.
#[derive(Clone, Debug)]
pub struct Offload {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    queue: Bound,
    threads: Arc<Semaphore>,
    /// How many of the threads one owner may have.
    lane: usize,
    // std Mutex: never held across .await. Owners that have nothing to do are not in it.
    lanes: Mutex<Lanes>,
}

/// The places of each owner, and how many pieces of work it has.
type Lanes = HashMap<Arc<str>, (Arc<Semaphore>, usize)>;

/// Why work was not done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OffloadError {
    /// Too much is waiting.
    Full(Exceeded),
    /// The server is going away.
    Stopping,
}

impl Offload {
    /// As many threads as there are cores, at least two. `divided`: each owner has a share of the queue only.
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

    fn with(threads: usize, lane: usize, queue: Bound) -> Self {
        let threads = Arc::new(Semaphore::new(threads));
        Self { shared: Arc::new(Shared { queue, threads, lane, lanes: Mutex::default() }) }
    }

    /// Does `work` for `owner`, the id of an API key. Work that has begun goes on to its end, also when nobody waits for it
    /// any more: it should own what it holds memory for.
    ///
    /// # Errors
    /// [`OffloadError`].
    ///
    /// # Panics
    /// When `work` does.
    pub async fn run<T: Send + 'static>(
        &self,
        owner: &Arc<str>,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, OffloadError> {
        let queued = self.shared.queue.take(owner, 1).map_err(OffloadError::Full)?;
        let lane = Lane::of(&self.shared, owner);
        // Nobody closes the semaphores.
        let of_owner = Arc::clone(&lane.places).acquire_owned().await.map_err(|_| OffloadError::Stopping)?;
        let of_all = Arc::clone(&self.shared.threads).acquire_owned().await.map_err(|_| OffloadError::Stopping)?;
        let done = tokio::task::spawn_blocking(move || {
            let _held = (of_all, of_owner, lane, queued);
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

/// An owner's place among the threads, as long as it has work.
struct Lane {
    shared: Arc<Shared>,
    owner: Arc<str>,
    places: Arc<Semaphore>,
}

impl Lane {
    fn of(shared: &Arc<Shared>, owner: &Arc<str>) -> Self {
        let mut lanes = shared.lanes();
        let lane = lanes.entry(Arc::clone(owner));
        let (places, work) = lane.or_insert_with(|| (Arc::new(Semaphore::new(shared.lane)), 0));
        *work += 1;
        Self { shared: Arc::clone(shared), owner: Arc::clone(owner), places: Arc::clone(places) }
    }
}

impl Drop for Lane {
    fn drop(&mut self) {
        let mut lanes = self.shared.lanes();
        let Some((_, work)) = lanes.get_mut(&self.owner) else { return };
        *work -= 1;
        if *work == 0 {
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

    /// Work that runs until it is let go.
    fn held() -> (mpsc::Sender<()>, impl FnOnce() + Send + 'static) {
        let (go, wait) = mpsc::channel::<()>();
        (go, move || wait.recv().unwrap_or_default())
    }

    async fn until(holds: impl Fn() -> bool) {
        while !holds() {
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn work_of_one_owner_leaves_a_thread_to_others() {
        let offload = Offload::with(2, 1, Bound::new(10, 5));
        let (one, other) = (owner("one"), owner("other"));
        let (go, work) = held();
        let (first, second) = (offload.clone(), offload.clone());
        let (of_first, of_second) = (Arc::clone(&one), Arc::clone(&one));
        let first = tokio::spawn(async move { first.run(&of_first, work).await });
        until(|| offload.shared.threads.available_permits() == 1).await;
        let second = tokio::spawn(async move { second.run(&of_second, || 2).await });
        until(|| offload.shared.queue.taken() == 2).await;
        assert_eq!(offload.run(&other, || 3).await, Ok(3), "while the other's second waits for its first");
        assert!(!second.is_finished());
        go.send(()).unwrap();
        assert_eq!((first.await.unwrap(), second.await.unwrap()), (Ok(()), Ok(2)));
        until(|| offload.shared.queue.taken() == 0).await;
        assert!(offload.shared.lanes().is_empty(), "whoever has no work takes no memory");
    }

    #[tokio::test]
    async fn the_queue_is_bounded_in_total_and_for_each_owner() {
        let offload = Offload::with(1, 1, Bound::new(3, 2));
        let [one, other, third] = ["one", "other", "third"].map(owner);
        let (go, work) = held();
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
        // Who leaves gives its place back.
        left.abort();
        until(|| offload.shared.queue.taken() == 2).await;
        go.send(()).unwrap();
        for one in waiting {
            assert_eq!(one.await.unwrap(), Ok(()));
        }
    }
}
