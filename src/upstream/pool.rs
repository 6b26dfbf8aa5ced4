//! Idle connections to one upstream.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::link::{Home, Link};
use crate::clock;

/// Most idle connections kept for one upstream; further ones are closed.
const MOST_IDLE: usize = 256;
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
    /// A connection that looked alive a moment ago.
    pub(super) fn take(&self) -> Option<Box<Link>> {
        loop {
            let mut idle = self.pop()?;
            if clock::now() - idle.since < IDLE_FOR && idle.link.is_usable() {
                return idle.link.at_home();
            }
        }
    }

    fn pop(&self) -> Option<Idle> {
        let here = Home::here();
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
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
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < MOST_IDLE {
            idle.push(Idle { link, since: clock::now() });
        }
    }

    /// Closes what is too old or was closed by the upstream. Nobody polls an idle connection, so without this its
    /// socket would stay half closed until somebody takes it.
    pub(super) fn sweep(&self) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.retain_mut(|one| clock::now() - one.since < IDLE_FOR && one.link.is_usable());
    }

    /// How many are idle.
    pub(super) fn len(&self) -> usize {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).len()
    }
}
