//! Idle connections to one upstream.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::connection::{Home, Link};
use crate::time::clock;

/// Most idle connections kept for one upstream; further ones are closed.
const MAX_IDLE: usize = 256;
/// How many a sweep looks at without a pause.
const BATCH: usize = 16;
/// How long a connection may be idle. Common servers close theirs after 60 to 75 s.
const IDLE_FOR: Duration = Duration::from_secs(55);

/// A stack: the connection used last is the one least likely to be stale. Connections that the thread's own runtime has
/// registered come first: what arrives on another one's wakes that one's thread.
#[derive(Default)]
pub(super) struct Pool {
    // std Mutex: never held across .await
    idle: Mutex<Vec<Idle>>,
}

struct Idle {
    link: Box<Link>,
    since: Instant,
}

impl Pool {
    /// A connection that is not too old. Whether it is still clean is looked at when a request is written to it
    /// ([`Link::send`]), and not before: nothing that was seen earlier holds then.
    pub(super) fn take(&self) -> Option<Box<Link>> {
        loop {
            let idle = self.pop()?;
            if clock::now() - idle.since < IDLE_FOR
                && let Some(link) = idle.link.at_home()
            {
                return Some(link);
            }
        }
    }

    fn pop(&self) -> Option<Idle> {
        let here = Home::here();
        let mut idle = self.idle();
        if let Some(ours) = idle.iter().rposition(|one| one.link.home() == here) {
            return Some(idle.remove(ours));
        }
        idle.pop()
    }

    /// Keeps a connection whose answer has been read to the end.
    pub(super) fn put(&self, mut link: Box<Link>) {
        if !link.is_usable() {
            return;
        }
        let mut idle = self.idle();
        if idle.len() < MAX_IDLE {
            idle.push(Idle { link, since: clock::now() });
        }
    }

    /// Closes what is too old, was closed by the upstream, or has received what belongs to no request. Nobody polls an idle
    /// connection, so without this its socket would stay half closed until somebody takes it. Few are looked at at once, and
    /// none with the lock held: a look is a system call or more.
    pub(super) async fn sweep(&self) {
        let mut seen = 0;
        loop {
            let mut batch = self.lift(seen);
            if batch.is_empty() {
                return;
            }
            batch.retain_mut(|one| clock::now() - one.since < IDLE_FOR && one.link.is_usable());
            seen += self.lay_back(seen, batch);
            tokio::task::yield_now().await;
        }
    }

    /// Takes a few of the connections out, from this position on.
    fn lift(&self, from: usize) -> Vec<Idle> {
        let mut idle = self.idle();
        let from = from.min(idle.len());
        let to = idle.len().min(from + BATCH);
        idle.drain(from..to).collect()
    }

    /// Puts connections back where they were, as long as there is room; how many.
    fn lay_back(&self, at: usize, batch: Vec<Idle>) -> usize {
        let mut idle = self.idle();
        let at = at.min(idle.len());
        let count = batch.len().min(MAX_IDLE.saturating_sub(idle.len()));
        idle.splice(at..at, batch.into_iter().take(count));
        count
    }

    /// How many are idle.
    pub(super) fn len(&self) -> usize {
        self.idle().len()
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Idle>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
