//! Bounds of shared resources: a total, and a share of it for each owner, so that no single API key can exhaust what
//! all of them need.
//!
//! Taking and returning an amount cost a lock and a map look-up. Bounds are for large or lasting resources (big
//! buffers, subscriptions, browser sessions), not for work per token.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A bounded amount of a resource: bytes, subscriptions, jobs. Clones share one bound.
///
/// ```
/// use petstream::bound::{Bound, Exceeded};
///
/// let bound = Bound::new(10, 6);
/// let key = "key-1".into();
/// let grant = bound.take(&key, 6)?;
/// assert_eq!(bound.take(&key, 1).unwrap_err(), Exceeded::Share(6));
/// drop(grant);
/// assert_eq!(bound.taken(), 0);
/// # Ok::<(), Exceeded>(())
/// ```
#[derive(Clone, Debug)]
pub struct Bound {
    total: u64,
    share: u64,
    // std Mutex: never held across .await
    taken: Arc<Mutex<Taken>>,
}

/// The amounts that are granted now. The map has owners with a positive amount only, so never more entries than grants.
#[derive(Debug, Default)]
struct Taken {
    total: u64,
    by_owner: HashMap<Arc<str>, u64>,
}

/// The bound that a request for more would exceed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exceeded {
    /// The owner's share: the largest amount of one owner.
    Share(u64),
    /// The total: the largest amount of all owners together.
    Total(u64),
}

/// An amount that is granted to an owner. Returned on drop.
#[derive(Debug)]
pub struct Grant {
    bound: Bound,
    owner: Arc<str>,
    amount: u64,
}

impl Bound {
    /// A bound of `total` for all owners and `share` for each. A share beyond the total is the total.
    #[must_use]
    pub fn new(total: u64, share: u64) -> Self {
        Self { total, share: share.min(total), taken: Arc::default() }
    }

    /// The same resource under other bounds: what is granted stays granted, and counts. Grants of before may still grow
    /// within their own bounds.
    #[must_use]
    pub fn with_limits(&self, total: u64, share: u64) -> Self {
        Self { total, share: share.min(total), taken: Arc::clone(&self.taken) }
    }

    /// Grants `amount` to `owner`, the id of an API key.
    ///
    /// # Errors
    /// [`Exceeded`]; nothing is granted then.
    pub fn take(&self, owner: &Arc<str>, amount: u64) -> Result<Grant, Exceeded> {
        let mut grant = self.empty_grant(owner);
        grant.resize(amount)?;
        Ok(grant)
    }

    /// A grant of 0 that can grow by [`Grant::resize`]. Takes no lock.
    #[must_use]
    pub fn empty_grant(&self, owner: &Arc<str>) -> Grant {
        Grant { bound: self.clone(), owner: Arc::clone(owner), amount: 0 }
    }

    /// The largest amount of all owners together.
    #[must_use]
    pub const fn total(&self) -> u64 {
        self.total
    }

    /// The amount that all owners together have now.
    #[must_use]
    pub fn taken(&self) -> u64 {
        self.lock().total
    }

    fn lock(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Grant {
    /// The amount.
    #[must_use]
    pub const fn amount(&self) -> u64 {
        self.amount
    }

    /// A grant of 0 for the same owner.
    #[must_use]
    pub fn sibling(&self) -> Self {
        self.bound.empty_grant(&self.owner)
    }

    /// Moves the whole amount into a new grant; 0 is left here.
    #[must_use]
    pub fn take_all(&mut self) -> Self {
        let empty = self.sibling();
        std::mem::replace(self, empty)
    }

    /// Changes the amount to `amount`, which may be more or less than before. Shrinking never fails.
    ///
    /// # Errors
    /// [`Exceeded`] when it would grow beyond a bound; the grant is then unchanged.
    pub fn resize(&mut self, amount: u64) -> Result<(), Exceeded> {
        if amount == self.amount {
            return Ok(());
        }
        let (total, share) = (self.bound.total, self.bound.share);
        let mut taken = self.bound.lock();
        let others = taken.by_owner.get(&self.owner).copied().unwrap_or(0).saturating_sub(self.amount);
        let (own, all) = (others.saturating_add(amount), (taken.total - self.amount).saturating_add(amount));
        if amount > self.amount {
            // A share as large as the total is no limit of its own: the total is reported.
            if own > share && share < total {
                return Err(Exceeded::Share(share));
            }
            if all > total {
                return Err(Exceeded::Total(total));
            }
        }
        taken.total = all;
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
        // Shrinking never fails.
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
    fn an_owner_is_limited_to_its_share_and_all_to_the_total() {
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
        assert_eq!((bound.taken(), entries(&bound)), (0, 0), "owners without grants take no memory");
    }

    #[test]
    fn a_failed_resize_changes_nothing() {
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
    fn other_bounds_count_what_was_granted_before() {
        let bound = Bound::new(10, 10);
        let one = owner("one");
        let grant = bound.take(&one, 8).unwrap();
        let lower = bound.with_limits(6, 6);
        assert_eq!((lower.taken(), lower.take(&one, 1).unwrap_err()), (8, Exceeded::Total(6)));
        drop(grant);
        let _rest = lower.take(&one, 6).unwrap();
        assert_eq!(bound.take(&one, 5).unwrap_err(), Exceeded::Total(10));
    }

    #[test]
    fn a_share_is_never_more_than_the_total() {
        let bound = Bound::new(3, 100);
        let one = owner("one");
        let _all = bound.take(&one, 3).unwrap();
        assert_eq!(bound.take(&one, 1).unwrap_err(), Exceeded::Total(3));
    }
}
