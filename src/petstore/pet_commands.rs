//! Commands that change pets.

use uuid::Uuid;

use super::change::Change;
use super::command_error::{CommandError, ExpectedVersion};
use super::idempotency::{Created, IdempotencyKey};
use super::pet_store::PetStore;
use crate::wire::resource::money;
use crate::wire::resource::pet::{Pet, PetEdit, PetFields};

impl PetStore {
    /// Creates a pet for `maker`, the id of an API key. A repetition with the same idempotency key returns the pet as
    /// it was created.
    ///
    /// # Errors
    /// [`CommandError::TooManyDecimals`], [`CommandError::KeyReused`], [`CommandError::TooManyPets`],
    /// [`CommandError::Store`].
    pub async fn create_pet(
        &self,
        maker: &str,
        fields: PetFields,
        key: Option<&IdempotencyKey>,
    ) -> Result<Created<Pet>, CommandError> {
        let mut change = Change::begin(&self.store).await?;
        if let Some(created) = change.saved_answer(key).await? {
            return Ok(created);
        }
        let pet = Pet::new(fields, change.at);
        check_price(&pet)?;
        change.check_capacity(maker, &self.capacity).await?;
        change.add_pet(&pet, maker).await?;
        change.save_answer(key, &pet).await?;
        change.commit(self.low_stock, &self.notifier).await?;
        Ok(Created { value: pet, replayed: false })
    }

    /// Changes the fields that `edit` sets. An edit that changes nothing keeps the version and makes no event.
    ///
    /// # Errors
    /// [`CommandError::NoPet`]; [`CommandError::VersionMismatch`]; [`CommandError::OpenOrder`] for a new status of a
    /// pet with an open order, which alone changes it; [`CommandError::TooManyDecimals`]; [`CommandError::Store`].
    pub async fn edit_pet(&self, id: Uuid, edit: PetEdit, expected: &ExpectedVersion) -> Result<Pet, CommandError> {
        let mut change = Change::begin(&self.store).await?;
        let before = change.pet(id).await?;
        expected.check(before.version)?;
        let after = before.edited(edit);
        if after == before {
            return Ok(before);
        }
        check_price(&after)?;
        if after.status != before.status {
            check_no_open_order(&mut change, id).await?;
        }
        let after = change.update_pet(&before, after).await?;
        change.commit(self.low_stock, &self.notifier).await?;
        Ok(after)
    }

    /// Deletes a pet.
    ///
    /// # Errors
    /// [`CommandError::NoPet`], [`CommandError::VersionMismatch`], [`CommandError::OpenOrder`],
    /// [`CommandError::Store`].
    pub async fn delete_pet(&self, id: Uuid, expected: &ExpectedVersion) -> Result<(), CommandError> {
        let mut change = Change::begin(&self.store).await?;
        let pet = change.pet(id).await?;
        expected.check(pet.version)?;
        check_no_open_order(&mut change, id).await?;
        change.delete_pet(&pet).await?;
        change.commit(self.low_stock, &self.notifier).await?;
        Ok(())
    }
}

/// Checked here and not only where requests are read, since an edit may change the currency alone.
fn check_price(pet: &Pet) -> Result<(), CommandError> {
    if money::fits(pet.price, &pet.currency) {
        return Ok(());
    }
    Err(CommandError::TooManyDecimals { currency: pet.currency.clone(), max: money::decimals(&pet.currency) })
}

async fn check_no_open_order(change: &mut Change, pet: Uuid) -> Result<(), CommandError> {
    match change.transaction.open_order_of(pet).await? {
        None => Ok(()),
        Some(order) => Err(CommandError::OpenOrder(order)),
    }
}

#[cfg(test)]
pub(super) mod tests;
