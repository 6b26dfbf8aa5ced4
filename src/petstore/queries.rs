//! Queries about pets, orders and the inventory.

use uuid::Uuid;

use super::pet_store::PetStore;
use crate::store::{ReadTransaction, StoreError};
use crate::wire::event::Cursor;
use crate::wire::resource::filter::{PetFilter, Sort};
use crate::wire::resource::inventory::Inventory;
use crate::wire::resource::order::{Order, OrderFilter, OrderPage};
use crate::wire::resource::page::{PageKey, PetPage, Snapshot};
use crate::wire::resource::pet::Pet;
use crate::wire::resource::vocabulary::Vocabulary;

impl PetStore {
    /// At most `limit` (at least 1) pets that match `filter`, in the order of `sort`, after the place `after`.
    ///
    /// A client that follows [`PetPage::next`] gets every pet that stays unchanged exactly once, even if others are
    /// added or deleted meanwhile.
    ///
    /// # Errors
    /// [`StoreError::Database`], or [`StoreError::Corrupt`] with the column and the id.
    pub async fn find(
        &self,
        filter: &PetFilter,
        sort: Sort,
        limit: u32,
        after: Option<PageKey>,
    ) -> Result<PetPage, StoreError> {
        self.store.pets(filter, sort, limit, after.as_ref()).await
    }

    /// As [`PetStore::find`], with the event cursor that the page is consistent with.
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
        let value = transaction.pets(filter, sort, limit, after.as_ref()).await?;
        transaction.end().await?;
        Ok(Snapshot { value, cursor })
    }

    /// Calls `visit` with each pet that matches `filter`, in the order of `sort`, until it returns `false`. All pets
    /// are read in one statement, so they are of one moment; other tasks run in between.
    ///
    /// # Errors
    /// As [`PetStore::find`].
    pub async fn visit(
        &self,
        filter: &PetFilter,
        sort: Sort,
        visit: &mut (dyn FnMut(Pet) -> bool + Send),
    ) -> Result<(), StoreError> {
        self.store.visit_pets(filter, sort, visit).await
    }

    /// The number of pets that match `filter`.
    ///
    /// # Errors
    /// [`StoreError::Database`]
    pub async fn count(&self, filter: &PetFilter) -> Result<u64, StoreError> {
        self.store.count_pets(filter).await
    }

    /// The pet with this id, if there is one.
    ///
    /// # Errors
    /// As [`PetStore::find`].
    pub async fn get(&self, id: Uuid) -> Result<Option<Pet>, StoreError> {
        self.store.pet(id).await
    }

    /// The breeds, colours and names in use.
    ///
    /// # Errors
    /// [`StoreError::Database`]
    pub async fn vocabulary(&self) -> Result<Vocabulary, StoreError> {
        self.store.pet_vocabulary().await
    }

    /// Counts of pets by species and status, with the event cursor that they are consistent with.
    ///
    /// # Errors
    /// [`StoreError::Database`], or [`StoreError::Corrupt`] for a species or status that this version does not know.
    pub async fn inventory(&self) -> Result<Snapshot<Inventory>, StoreError> {
        let (mut transaction, cursor) = self.snapshot().await?;
        let value = transaction.inventory().await?;
        transaction.end().await?;
        Ok(Snapshot { value, cursor })
    }

    /// The order with this id, if there is one.
    ///
    /// # Errors
    /// As [`PetStore::find`].
    pub async fn order(&self, id: Uuid) -> Result<Option<Order>, StoreError> {
        self.store.order(id).await
    }

    /// At most `limit` (at least 1) orders that match `filter`, oldest first, after the order `after`.
    ///
    /// # Errors
    /// As [`PetStore::find`].
    pub async fn orders(
        &self,
        filter: &OrderFilter,
        limit: u32,
        after: Option<Uuid>,
    ) -> Result<Snapshot<OrderPage>, StoreError> {
        let (mut transaction, cursor) = self.snapshot().await?;
        let value = transaction.orders(filter, limit, after).await?;
        transaction.end().await?;
        Ok(Snapshot { value, cursor })
    }

    /// A transaction whose reads are all consistent with the cursor.
    async fn snapshot(&self) -> Result<(ReadTransaction, Cursor), StoreError> {
        let mut transaction = self.store.begin_read().await?;
        let cursor = transaction.event_position().await?.cursor();
        Ok((transaction, cursor))
    }
}
