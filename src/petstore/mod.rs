//! Pets and orders: what they are, how they are found, how they change, where they are kept.
//!
//! [`PetStore`] is all that other rooms see; every line of SQL about pets and orders lives in this folder, so that
//! another database can stand beside SQLite without a change above.
//!
//! A command (`pets`, `orders`) is one change: a transaction that holds the only right to write, and in which the
//! new state, the events that tell of it ([`log`]) and the answer to its idempotency key ([`replay`]) are written
//! together. Of each topic it writes one event: `pet-status-changed` when a pet's status changed, whatever else did,
//! `pet-update` for every other change; `order-created` or `order-status-changed`; `inventory-changed` when a count did;
//! and `notification` when the available pets of a species fell to the configured number.

#[macro_use]
mod vocabulary;

mod capacity;
mod change;
pub mod command_error;
pub mod filter;
pub mod idempotency;
pub mod inventory;
pub mod money;
pub mod order;
mod orders;
pub mod page;
pub mod pet;
mod pets;
mod row;
mod seed;
mod select;
mod write;

pub use self::capacity::Capacity;

use futures_util::TryStreamExt;
use sqlx::{Row, Sqlite, Transaction};
use tokio::sync::watch;
use uuid::Uuid;

use self::filter::{PetFilter, Sort};
use self::inventory::Inventory;
use self::page::{PageKey, PetPage, Snapshot};
use self::pet::Pet;
use crate::store::{Store, StoreError};
use crate::wire::event::Cursor;

/// Rows that are read before other tasks have their turn: a quarter of a millisecond or so.
const TURN: usize = 64;
/// Available pets of a species at which it runs low, unless configured.
const LOW_STOCK: u32 = 2;

/// The inventory; cheap to clone. Every answer is read anew, so it is never older than the last commit.
#[derive(Clone, Debug)]
pub struct PetStore {
    store: Store,
    low_stock: u32,
    capacity: Capacity,
    bell: watch::Sender<u64>,
}

/// The words that the pets now in the database are described with; each list is sorted without regard to case and
/// holds a word once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Vocabulary {
    /// Breeds as written: `Golden Retriever`.
    pub breeds: Vec<String>,
    /// Colours as written: `black and white`.
    pub colors: Vec<String>,
    /// Names of pets of any status.
    pub names: Vec<String>,
}

impl PetStore {
    /// The inventory kept in `store`, whose migrations have run.
    #[must_use]
    pub fn new(store: Store) -> Self {
        Self { store, low_stock: LOW_STOCK, capacity: Capacity::default(), bell: watch::Sender::new(0) }
    }

    /// The same store, in which a species runs low when its available pets fall to `low_stock`. Default 2.
    #[must_use]
    pub fn with_low_stock(self, low_stock: u32) -> Self {
        Self { low_stock, ..self }
    }

    /// The same store, with room for so many pets and orders.
    #[must_use]
    pub fn with_capacity(self, capacity: Capacity) -> Self {
        Self { capacity, ..self }
    }

    /// Rings after every commit that has written events, through this handle or a clone of it, with the number of the
    /// last one. It starts at 0, and only ever grows: a waiter may miss numbers, never the last.
    ///
    /// It says where to look, not what is there: whoever hears it reads the log.
    #[must_use]
    pub fn doorbell(&self) -> watch::Receiver<u64> {
        self.bell.subscribe()
    }

    /// Rings the doorbell for a commit of another process, whose last event has this number; one that was heard
    /// before rings nothing.
    pub fn ring(&self, head: u64) {
        self.bell.send_if_modified(|heard| {
            let news = head > *heard;
            *heard = head.max(*heard);
            news
        });
    }

    /// Puts the pets of the compiled-in data file into the database: once in its life, so that a store
    /// which its owner has emptied stays empty. Returns how many were added; 0 when it was done before.
    ///
    /// # Errors
    /// [`StoreError`]; then nothing has been added, and the next call tries again.
    pub async fn seed(&self) -> Result<usize, StoreError> {
        seed::plant(self.store.writer()).await
    }

    /// At most `limit` (at least 1) pets that `filter` takes, in the order of `sort`, beginning behind `after`.
    ///
    /// Following [`PetPage::next`] meets every pet that stays in the store unchanged exactly once, whatever
    /// is added or removed meanwhile.
    ///
    /// # Errors
    /// [`StoreError::Database`], or [`StoreError::Corrupt`] naming the column and the id.
    pub async fn find(
        &self,
        filter: &PetFilter,
        sort: Sort,
        limit: u32,
        after: Option<PageKey>,
    ) -> Result<PetPage, StoreError> {
        find(self.store.reader(), filter, sort, limit, after).await
    }

    /// Calls `visit` with every pet that `filter` takes, in the order of `sort`, until that says `false`. They are read in
    /// one statement, so all are of one moment, and other tasks run in between.
    ///
    /// # Errors
    /// As [`PetStore::find`].
    pub async fn each(
        &self,
        filter: &PetFilter,
        sort: Sort,
        visit: &mut (dyn FnMut(Pet) -> bool + Send),
    ) -> Result<(), StoreError> {
        let mut query = select::page(filter, sort, None, i64::MAX);
        let mut rows = query.build().fetch(self.store.reader());
        let mut count = 0_usize;
        while let Some(row) = rows.try_next().await? {
            if !visit(row::to_pet(&row)?) {
                break;
            }
            count += 1;
            if count.is_multiple_of(TURN) {
                tokio::task::yield_now().await;
            }
        }
        Ok(())
    }

    /// As [`PetStore::find`], with the cursor of the log that the page is consistent with.
    ///
    /// # Errors
    /// As [`PetStore::find`].
    pub async fn list(
        &self,
        filter: &PetFilter,
        sort: Sort,
        limit: u32,
        after: Option<PageKey>,
    ) -> Result<Snapshot<PetPage>, StoreError> {
        let (mut transaction, cursor) = self.snapshot().await?;
        let value = find(&mut *transaction, filter, sort, limit, after).await?;
        transaction.commit().await?;
        Ok(Snapshot { value, cursor })
    }

    /// How many pets there are, by species and status.
    ///
    /// # Errors
    /// [`StoreError::Database`], or [`StoreError::Corrupt`] for a species or status that this version does not know.
    pub async fn inventory(&self) -> Result<Snapshot<Inventory>, StoreError> {
        let (mut transaction, cursor) = self.snapshot().await?;
        let value = inventory::read(&mut transaction).await?;
        transaction.commit().await?;
        Ok(Snapshot { value, cursor })
    }

    /// A transaction in which everything is read as it was at the cursor.
    async fn snapshot(&self) -> Result<(Transaction<'static, Sqlite>, Cursor), StoreError> {
        let mut transaction = self.store.reader().begin().await?;
        // The first statement fixes what all others see.
        let row = sqlx::query("SELECT * FROM event_head").fetch_one(&mut *transaction).await?;
        let cursor = crate::store::event_log::position(&row)?.cursor();
        Ok((transaction, cursor))
    }

    /// How many pets `filter` takes.
    ///
    /// # Errors
    /// [`StoreError::Database`].
    pub async fn count(&self, filter: &PetFilter) -> Result<u64, StoreError> {
        let count: i64 = select::count(filter).build_query_scalar().fetch_one(self.store.reader()).await?;
        Ok(u64::try_from(count).unwrap_or_default())
    }

    /// The pet of that id, if there is one.
    ///
    /// # Errors
    /// [`StoreError::Database`], or [`StoreError::Corrupt`] naming the column and the id.
    pub async fn get(&self, id: Uuid) -> Result<Option<Pet>, StoreError> {
        let row = select::one(id).build().fetch_optional(self.store.reader()).await?;
        row.as_ref().map(row::to_pet).transpose()
    }

    /// The breeds, colours and names now in use, read in one statement.
    ///
    /// # Errors
    /// [`StoreError::Database`].
    pub async fn vocabulary(&self) -> Result<Vocabulary, StoreError> {
        let mut vocabulary = Vocabulary::default();
        let mut rows = sqlx::query(select::VOCABULARY).fetch(self.store.reader());
        let mut count = 0_usize;
        while let Some(row) = rows.try_next().await? {
            let word = row.try_get(1)?;
            match row.try_get::<&str, _>(0)? {
                "breed" => vocabulary.breeds.push(word),
                "color" => vocabulary.colors.push(word),
                _ => vocabulary.names.push(word),
            }
            count += 1;
            if count.is_multiple_of(TURN) {
                tokio::task::yield_now().await;
            }
        }
        Ok(vocabulary)
    }
}

async fn find<'e>(
    reader: impl sqlx::Executor<'e, Database = Sqlite>,
    filter: &PetFilter,
    sort: Sort,
    limit: u32,
    after: Option<PageKey>,
) -> Result<PetPage, StoreError> {
    let limit = limit.max(1);
    // One more than asked for tells whether there is a next page.
    let mut query = select::page(filter, sort, after.as_ref(), i64::from(limit) + 1);
    let rows = query.build().fetch_all(reader).await?;
    let mut pets = rows.iter().map(row::to_pet).collect::<Result<Vec<_>, _>>()?;
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let more = pets.len() > limit;
    pets.truncate(limit);
    let next = if more { pets.last().map(PageKey::behind) } else { None };
    Ok(PetPage { pets, next })
}

#[cfg(test)]
mod tests;
