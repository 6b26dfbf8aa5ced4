//! Commands that change orders, and their pets with them.

use uuid::Uuid;

use super::change::Change;
use super::command_error::{CommandError, ExpectedVersion};
use super::idempotency::{Created, IdempotencyKey};
use super::pet_store::PetStore;
use crate::store::StoreError;
use crate::wire::event::EventKind;
use crate::wire::resource::order::{Order, OrderStatus};
use crate::wire::resource::pet::{Pet, Status};

impl PetStore {
    /// Orders an available pet for `maker`, the id of an API key; the pet becomes pending. A repetition with the same
    /// idempotency key returns the order as it was placed.
    ///
    /// # Errors
    /// [`CommandError::NoPet`], [`CommandError::NotAvailable`], [`CommandError::KeyReused`], [`CommandError::Store`].
    pub async fn place_order(
        &self,
        maker: &str,
        pet: Uuid,
        key: Option<&IdempotencyKey>,
    ) -> Result<Created<Order>, CommandError> {
        let mut change = Change::begin(&self.store).await?;
        if let Some(created) = change.saved_answer(key).await? {
            return Ok(created);
        }
        let pet = change.pet(pet).await?;
        if pet.status != Status::Available {
            return Err(CommandError::NotAvailable(pet.status));
        }
        let order = Order::new(&pet, change.at);
        let row = change.transaction.insert_order(&order, maker).await.map_err(second_open_order)?;
        change.add_event(EventKind::OrderCreated, order.id, order.version, Some(&order), None)?;
        let after = Pet { status: order.status.pet(), ..pet.clone() };
        change.update_pet(&pet, after).await?;
        change.delete_old_orders(row, &self.capacity).await?;
        change.save_answer(key, &order).await?;
        change.commit(self.low_stock, &self.notifier).await?;
        Ok(Created { value: order, replayed: false })
    }

    /// Moves an order to another status, and its pet with it: a cancelled order makes the pet available, a delivered
    /// one makes it adopted. `None`, or the status that the order has, changes nothing.
    ///
    /// # Errors
    /// [`CommandError::NoOrder`], [`CommandError::VersionMismatch`], [`CommandError::InvalidTransition`],
    /// [`CommandError::Store`].
    pub async fn move_order(
        &self,
        id: Uuid,
        to: Option<OrderStatus>,
        expected: &ExpectedVersion,
    ) -> Result<Order, CommandError> {
        let mut change = Change::begin(&self.store).await?;
        let before = change.order(id).await?;
        expected.check(before.version)?;
        let Some(to) = to.filter(|to| *to != before.status) else { return Ok(before) };
        if !before.status.may_become(to) {
            return Err(CommandError::InvalidTransition { from: before.status, to });
        }
        let mut after = before.clone();
        after.status = to;
        after.version += 1;
        after.updated_at = change.at.max(before.updated_at);
        change.transaction.update_order(&after).await?;
        let statuses = Some((before.status.name(), to.name()));
        change.add_event(EventKind::OrderStatusChanged, id, after.version, Some(&after), statuses)?;
        // The pet exists, since a pet with an open order can't be deleted.
        let pet = change.pet(after.pet_id).await?;
        if pet.status != to.pet() {
            let moved = Pet { status: to.pet(), ..pet.clone() };
            change.update_pet(&pet, moved).await?;
        }
        change.commit(self.low_stock, &self.notifier).await?;
        Ok(after)
    }
}

/// The unique index of open orders refuses a second one, should the pet's status not have shown the first.
fn second_open_order(error: StoreError) -> CommandError {
    if error.is_unique_violation() { CommandError::NotAvailable(OrderStatus::Placed.pet()) } else { error.into() }
}

#[cfg(test)]
mod tests;
