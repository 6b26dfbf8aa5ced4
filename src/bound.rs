//! Bounds that all callers share: a total, and a share of it for each owner, so that no single API key can use up what
//! all of them need.
//!
//! Taking and giving back take one lock and one look-up. That is for what is large or lasts: buffers above some size,
//! subscriptions, tickets. Nothing per token comes here.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A bounded amount of something. Clones are the same bound.
#[derive(Clone, Debug)]
pub struct Bound {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    total: u64,
    share: u64,
    // std Mutex: never held across .await
    taken: Mutex<Taken>,
}

/// What is taken now. Owners that have nothing are not in the map, so it has at most as many entries as there are grants.
#[derive(Debug, Default)]
struct Taken {
    all: u64,
    by_owner: HashMap<Arc<str>, u64>,
}

/// Which bound has been reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exceeded {
    /// The owner's share; the largest amount that one owner may have.
    Share(u64),
    /// The total; the largest amount that all may have.
    Total(u64),
}

/// An amount that an owner has, given back on drop.
#[derive(Debug)]
pub struct Grant {
    bound: Bound,
    owner: Arc<str>,
    amount: u64,
}

impl Bound {
    /// At most `total` for all owners, and `share` for each.
    #[must_use]
    pub fn new(total: u64, share: u64) -> Self {
        let shared = Shared { total, share: share.min(total), taken: Mutex::default() };
        Self { shared: Arc::new(shared) }
    }

    /// Grants `amount` to `owner`, the id of an API key.
    ///
    /// # Errors
    /// [`Exceeded`], and nothing is taken.
    pub fn take(&self, owner: &Arc<str>, amount: u64) -> Result<Grant, Exceeded> {
        let mut grant = self.empty_grant(owner);
        grant.resize(amount)?;
        Ok(grant)
    }

    /// A grant of nothing, which can grow. Takes no lock.
    #[must_use]
    pub fn empty_grant(&self, owner: &Arc<str>) -> Grant {
        Grant { bound: self.clone(), owner: Arc::clone(owner), amount: 0 }
    }

    /// The most that all owners together can have.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.shared.total
    }

    /// What all owners together have.
    #[must_use]
    pub fn taken(&self) -> u64 {
        self.lock().all
    }

    fn lock(&self) -> MutexGuard<'_, Taken> {
        self.shared.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Grant {
    /// How much it is.
    #[must_use]
    pub const fn amount(&self) -> u64 {
        self.amount
    }

    /// A grant of nothing, for the same owner.
    #[must_use]
    pub fn sibling(&self) -> Self {
        self.bound.empty_grant(&self.owner)
    }

    /// All of it as a grant of its own; nothing is left here.
    #[must_use]
    pub fn take_all(&mut self) -> Self {
        let nothing = self.sibling();
        std::mem::replace(self, nothing)
    }

    /// Makes it `amount`, more or less than before.
    ///
    /// # Errors
    /// [`Exceeded`] when it would have to grow beyond a bound; then it stays as it was.
    pub fn resize(&mut self, amount: u64) -> Result<(), Exceeded> {
        if amount == self.amount {
            return Ok(());
        }
        let Shared { total, share, .. } = *self.bound.shared;
        let mut taken = self.bound.lock();
        let others = taken.by_owner.get(&self.owner).copied().unwrap_or(0).saturating_sub(self.amount);
        let (own, all) = (others.saturating_add(amount), (taken.all - self.amount).saturating_add(amount));
        if amount > self.amount {
            // Where the share is the whole, it is the total that there is to speak of.
            if own > share && share < total {
                return Err(Exceeded::Share(share));
            }
            if all > total {
                return Err(Exceeded::Total(total));
            }
        }
        taken.all = all;
        if own == 0 {
            taken.by_owner.remove(&self.owner);
        } else {
            taken.by_owner.insert(Arc::clone(&self.owner), own);
        }
        self.amount = amount;
        Ok(())
    }
}

impl Drop for Grant {
    fn drop(&mut self) {
        // Less is never refused.
        let _ = self.resize(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owner(name: &str) -> Arc<str> {
        name.into()
    }

    fn entries(bound: &Bound) -> usize {
        bound.lock().by_owner.len()
    }

    #[test]
    fn one_owner_has_its_share_and_leaves_the_rest_to_others() {
        let bound = Bound::new(10, 4);
        let (one, other, third) = (owner("one"), owner("other"), owner("third"));
        let mut all = vec![bound.take(&one, 3).unwrap(), bound.take(&one, 1).unwrap()];
        assert_eq!(bound.take(&one, 1).unwrap_err(), Exceeded::Share(4));
        all.push(bound.take(&other, 4).unwrap());
        assert_eq!(bound.take(&third, 3).unwrap_err(), Exceeded::Total(10));
        all.push(bound.take(&third, 2).unwrap());
        assert_eq!((bound.taken(), bound.total(), entries(&bound)), (10, 10, 3));
        all.remove(0);
        assert_eq!((bound.taken(), entries(&bound)), (7, 3));
        assert!(bound.take(&one, 3).is_ok());
        all.clear();
        assert_eq!((bound.taken(), entries(&bound)), (0, 0), "whoever has nothing takes no memory");
    }

    #[test]
    fn a_grant_grows_and_shrinks_and_a_refusal_changes_nothing() {
        let bound = Bound::new(10, 6);
        let one = owner("one");
        let mut grant = bound.empty_grant(&one);
        assert_eq!((grant.amount(), bound.taken(), entries(&bound)), (0, 0, 0));
        grant.resize(5).unwrap();
        grant.resize(6).unwrap();
        assert_eq!(grant.resize(7), Err(Exceeded::Share(6)));
        assert_eq!((grant.amount(), bound.taken()), (6, 6));
        assert_eq!(grant.resize(u64::MAX), Err(Exceeded::Share(6)));
        grant.resize(2).unwrap();
        assert_eq!((grant.amount(), bound.taken()), (2, 2));
        drop(grant);
        assert_eq!((bound.taken(), entries(&bound)), (0, 0));
    }

    #[test]
    fn a_share_is_never_more_than_the_total() {
        let bound = Bound::new(3, 100);
        let one = owner("one");
        let _all = bound.take(&one, 3).unwrap();
        assert_eq!(bound.take(&one, 1).unwrap_err(), Exceeded::Total(3));
    }
}
