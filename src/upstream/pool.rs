//! Idle connections to one upstream.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::runtime::{Handle, Id};

use super::link::Link;

/// Most idle connections kept for one upstream; further ones are closed.
const MOST_IDLE: usize = 256;
/// How long a connection may be idle. Common servers close theirs after 60 to 75 s.
const IDLE_FOR: Duration = Duration::from_secs(55);

/// A stack: the connection used last is the one least likely to be stale. Each runtime has its own connections out of it:
/// one of another runtime's would be woken there for everything that happens here.
#[derive(Default)]
pub(super) struct Pool {
    // std Mutex: never held across .await
    idle: Mutex<Vec<Idle>>,
}

struct Idle {
    link: Link,
    runtime: Option<Id>,
    since: Instant,
}

impl Pool {
    /// A connection that looked alive a moment ago.
    pub(super) fn take(&self) -> Option<Link> {
        let here = here();
        loop {
            let mut idle = self.pop(here)?;
            if idle.since.elapsed() < IDLE_FOR && idle.link.is_usable() {
                return Some(idle.link);
            }
        }
    }

    fn pop(&self, here: Option<Id>) -> Option<Idle> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let last = idle.iter().rposition(|one| one.runtime == here)?;
        Some(idle.remove(last))
    }

    /// Keeps a connection whose answer has been read to the end.
    pub(super) fn put(&self, mut link: Link) {
        if !link.is_usable() {
            return;
        }
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < MOST_IDLE {
            idle.push(Idle { link, runtime: here(), since: Instant::now() });
        }
    }

    /// Closes what is too old or was closed by the upstream. Nobody polls an idle connection, so without this its
    /// socket would stay half closed until somebody takes it.
    pub(super) fn sweep(&self) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.retain_mut(|one| one.since.elapsed() < IDLE_FOR && one.link.is_usable());
    }

    /// How many are idle.
    pub(super) fn len(&self) -> usize {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).len()
    }
}

fn here() -> Option<Id> {
    Handle::try_current().ok().map(|runtime| runtime.id())
}
