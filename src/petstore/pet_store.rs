//! The handle to the pet store.

use tokio::sync::watch;

use super::capacity::Capacity;
use super::commit_notifier::CommitNotifier;
use crate::store::Store;

/// Number of available pets of a species at which a notification is sent, unless configured.
const DEFAULT_LOW_STOCK: u32 = 2;

/// The pet store; cheap to clone. Every query reads the database, so no answer is older than the last commit.
#[derive(Clone, Debug)]
pub struct PetStore {
    pub(super) store: Store,
    pub(super) low_stock: u32,
    pub(super) capacity: Capacity,
    pub(super) notifier: CommitNotifier,
}

impl PetStore {
    /// The pet store in `store`.
    #[must_use]
    pub fn new(store: Store) -> Self {
        let (capacity, notifier) = (Capacity::default(), CommitNotifier::default());
        Self { store, low_stock: DEFAULT_LOW_STOCK, capacity, notifier }
    }

    /// Sets the number of available pets of a species at which a notification is sent. Default 2.
    #[must_use]
    pub fn with_low_stock(self, low_stock: u32) -> Self {
        Self { low_stock, ..self }
    }

    /// Sets the bounds on the numbers of pets and orders.
    #[must_use]
    pub fn with_capacity(self, capacity: Capacity) -> Self {
        Self { capacity, ..self }
    }

    /// Changes after every commit that has appended events, of this process (the value is the number of its last event
    /// then; 0 at first) and of other processes (the value stays). A receiver may miss changes, but never the last one.
    /// It carries no events: read the event log.
    #[must_use]
    pub fn commit_notifications(&self) -> watch::Receiver<u64> {
        self.notifier.subscribe()
    }

    /// Announces a commit of another process. It has no number: one that is wrong could hide later commits, and the log
    /// has the right one. So a notification too many costs one read of the log.
    pub fn notify_commit(&self) {
        self.notifier.committed_elsewhere();
    }
}
