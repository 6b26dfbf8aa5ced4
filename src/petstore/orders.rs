//! Commands and questions about orders.

use uuid::Uuid;

use super::change::Change;
use super::command_error::{CommandError, Expected};
use super::idempotency::{Done, IdempotencyKey};
use super::order::{Order, OrderFilter, OrderPage, OrderStatus};
use super::page::Snapshot;
use super::pet::{Pet, Status};
use super::{PetStore, row, select, write};
use crate::store::StoreError;
use crate::wire::event::Kind;

impl PetStore {
    /// Orders an available pet for `maker`, the id of an API key, which becomes pending; asked again with the same key, gives the order of the first
    /// time as it was made.
    ///
    /// # Errors
    /// [`CommandError::NoPet`], [`CommandError::NotAvailable`], [`CommandError::KeyReused`], [`CommandError::Store`].
    pub async fn place_order(
        &self,
        maker: &str,
        pet: Uuid,
        key: Option<&IdempotencyKey>,
    ) -> Result<Done<Order>, CommandError> {
        let mut change = Change::begin(self).await?;
        if let Some(done) = change.replay(key).await? {
            return Ok(done);
        }
        let pet = change.pet(pet).await?;
        if pet.status != Status::Available {
            return Err(CommandError::NotAvailable(pet.status));
        }
        let order = Order::new(&pet, change.at);
        let row = write::order(change.connection(), &order, maker).await.map_err(|error| {
            match error.as_database_error() {
                // The index of open orders: this pet's status was not that of its order.
                Some(said) if said.is_unique_violation() => CommandError::NotAvailable(OrderStatus::Placed.pet()),
                _ => error.into(),
            }
        })?;
        change.tell(Kind::OrderCreated, order.id, order.version, Some(&order), None)?;
        let after = Pet { status: order.status.pet(), ..pet.clone() };
        change.put_pet(&pet, after).await?;
        change.forget_orders(row, maker, &self.capacity).await?;
        change.remember(key, &order).await?;
        change.commit(self).await?;
        Ok(Done { value: order, replayed: false })
    }

    /// Moves an order to another status, and its pet with it: a cancelled order frees it, a delivered one makes it
    /// adopted. None, or the status that the order has already, changes nothing.
    ///
    /// # Errors
    /// [`CommandError::NoOrder`], [`CommandError::Version`], [`CommandError::Move`], [`CommandError::Store`].
    pub async fn move_order(
        &self,
        id: Uuid,
        to: Option<OrderStatus>,
        expected: &Expected,
    ) -> Result<Order, CommandError> {
        let mut change = Change::begin(self).await?;
        let before = change.order(id).await?;
        expected.check(before.version)?;
        let Some(to) = to.filter(|to| *to != before.status) else { return Ok(before) };
        if !before.status.may_become(to) {
            return Err(CommandError::Move { from: before.status, to });
        }
        let mut after = before.clone();
        after.status = to;
        after.version += 1;
        after.updated_at = change.at.max(before.updated_at);
        write::update_order(change.connection(), &after).await?;
        let words = Some((before.status.name(), to.name()));
        change.tell(Kind::OrderStatusChanged, id, after.version, Some(&after), words)?;
        // There, since a pet with an open order can't be deleted.
        let pet = change.pet(after.pet_id).await?;
        if pet.status != to.pet() {
            let moved = Pet { status: to.pet(), ..pet.clone() };
            change.put_pet(&pet, moved).await?;
        }
        change.commit(self).await?;
        Ok(after)
    }

    /// The order of that id, if there is one.
    ///
    /// # Errors
    /// [`StoreError::Database`], or [`StoreError::Corrupt`] naming the column and the id.
    pub async fn order(&self, id: Uuid) -> Result<Option<Order>, StoreError> {
        let row = select::order(id).build().fetch_optional(self.store.reader()).await?;
        row.as_ref().map(row::to_order).transpose()
    }

    /// At most `limit` (at least 1) orders that `filter` takes, oldest first, beginning behind `after`.
    ///
    /// # Errors
    /// [`StoreError::Database`], or [`StoreError::Corrupt`] naming the column and the id.
    pub async fn orders(
        &self,
        filter: &OrderFilter,
        limit: u32,
        after: Option<Uuid>,
    ) -> Result<Snapshot<OrderPage>, StoreError> {
        let (mut transaction, cursor) = self.snapshot().await?;
        let mut query = select::orders(filter, i64::from(limit.max(1)) + 1, after);
        let rows = query.build().fetch_all(&mut *transaction).await?;
        transaction.commit().await?;
        let mut orders = rows.iter().map(row::to_order).collect::<Result<Vec<_>, _>>()?;
        let limit = usize::try_from(limit.max(1)).unwrap_or(usize::MAX);
        let more = orders.len() > limit;
        orders.truncate(limit);
        let next = if more { orders.last().map(|order| order.id) } else { None };
        Ok(Snapshot { value: OrderPage { orders, next }, cursor })
    }
}

#[cfg(test)]
mod tests;
