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

    /// The number of the last event that was committed through this handle or a clone of it; 0 at first. It only
    /// grows, and a receiver may skip numbers but always sees the last. It carries no events: read the event log.
    #[must_use]
    pub fn commit_notifications(&self) -> watch::Receiver<u64> {
        self.notifier.subscribe()
    }

    /// Announces a commit of another process whose last event has this number. A number that was announced before has
    /// no effect.
    pub fn notify_commit(&self, last_event: u64) {
        self.notifier.notify(last_event);
    }
}
