//! Tickets of one process, which end with it.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::bound::{Bound, Exceeded, Grant};
use crate::wire::api_key::KeyHash;

/// Used tickets are removed from the queue when there are more than this, and more than unused ones.
const MAX_USED: usize = 1_024;

/// Unused tickets; clones share them.
#[derive(Clone)]
pub(super) struct LocalTickets(Arc<Mutex<Tickets>>);

struct Tickets {
    bound: Bound,
    waiting: HashMap<KeyHash, Ticket>,
    /// In the order in which they expire. Used ones stay until then, or until there are many.
    ends: VecDeque<(Instant, KeyHash)>,
}

/// An unused ticket.
struct Ticket {
    /// The key that it stands for.
    key: KeyHash,
    /// Given back on drop.
    _place: Grant,
}

impl LocalTickets {
    /// None yet, and at most so many.
    pub(super) fn new(total: u64, share: u64) -> Self {
        let bound = Bound::new(total, share);
        Self(Arc::new(Mutex::new(Tickets { bound, waiting: HashMap::new(), ends: VecDeque::new() })))
    }

    /// Keeps a ticket of the key with this id for `life`.
    pub(super) fn issue(&self, id: &Arc<str>, ticket: KeyHash, key: KeyHash, life: Duration) -> Result<(), Exceeded> {
        let now = Instant::now();
        let mut tickets = self.lock();
        tickets.forget(now);
        let place = tickets.bound.take(id, 1)?;
        tickets.waiting.insert(ticket, Ticket { key, _place: place });
        tickets.ends.push_back((now + life, ticket));
        Ok(())
    }

    /// The key that a ticket stands for. Uses the ticket up.
    pub(super) fn redeem(&self, ticket: KeyHash) -> Option<KeyHash> {
        let mut tickets = self.lock();
        tickets.forget(Instant::now());
        tickets.waiting.remove(&ticket).map(|ticket| ticket.key)
    }

    fn lock(&self) -> MutexGuard<'_, Tickets> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Tickets {
    fn forget(&mut self, now: Instant) {
        while let Some((_, hash)) = self.ends.pop_front_if(|(end, _)| *end <= now) {
            self.waiting.remove(&hash);
        }
        if self.ends.len() > 2 * self.waiting.len() + MAX_USED {
            self.ends.retain(|(_, hash)| self.waiting.contains_key(hash));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn used_tickets_take_no_memory() {
        let tickets = LocalTickets::new(10, 10);
        for number in 0..5_000 {
            let ticket = KeyHash::of(&number.to_string());
            tickets.issue(&"one".into(), ticket, KeyHash::of("key"), Duration::from_secs(30)).unwrap();
            assert!(tickets.redeem(ticket).is_some());
        }
        let tickets = tickets.lock();
        assert!(tickets.waiting.is_empty() && tickets.ends.len() <= MAX_USED + 1, "{}", tickets.ends.len());
        assert_eq!(tickets.bound.taken(), 0);
    }
}
