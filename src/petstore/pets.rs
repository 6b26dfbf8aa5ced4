//! Commands about pets. Each is one transaction, and tells of itself in the log.

use uuid::Uuid;

use super::change::Change;
use super::command_error::{CommandError, Expected};
use super::idempotency::{Done, IdempotencyKey};
use super::pet::{Pet, PetEdit, PetFields};
use super::{PetStore, money, select};
use crate::store::StoreError;

impl PetStore {
    /// Adds a pet for `maker`, the id of an API key; asked again with the same key, gives the pet of the first time as it was made.
    ///
    /// # Errors
    /// [`CommandError::Decimals`], [`CommandError::KeyReused`], [`CommandError::TooManyPets`], [`CommandError::Store`].
    pub async fn create_pet(
        &self,
        maker: &str,
        fields: PetFields,
        key: Option<&IdempotencyKey>,
    ) -> Result<Done<Pet>, CommandError> {
        let mut change = Change::begin(self).await?;
        if let Some(done) = change.replay(key).await? {
            return Ok(done);
        }
        let pet = Pet::new(fields, change.at);
        check_price(&pet)?;
        change.check_room(maker, &self.capacity).await?;
        change.add_pet(&pet, maker).await?;
        change.remember(key, &pet).await?;
        change.commit(self).await?;
        Ok(Done { value: pet, replayed: false })
    }

    /// Changes what `edit` says, the status among it. An edit that changes nothing leaves the version as it is and
    /// makes no event.
    ///
    /// # Errors
    /// [`CommandError::NoPet`]; [`CommandError::Version`]; [`CommandError::OpenOrder`] for another status of a pet whose order
    /// decides about it; [`CommandError::Decimals`]; [`CommandError::Store`].
    pub async fn edit_pet(&self, id: Uuid, edit: PetEdit, expected: &Expected) -> Result<Pet, CommandError> {
        let mut change = Change::begin(self).await?;
        let before = change.pet(id).await?;
        expected.check(before.version)?;
        let after = before.edited(edit);
        if after == before {
            return Ok(before);
        }
        check_price(&after)?;
        if after.status != before.status {
            refuse_ordered(&mut change, id).await?;
        }
        let after = change.put_pet(&before, after).await?;
        change.commit(self).await?;
        Ok(after)
    }

    /// Deletes a pet.
    ///
    /// # Errors
    /// [`CommandError::NoPet`], [`CommandError::Version`], [`CommandError::OpenOrder`], [`CommandError::Store`].
    pub async fn delete_pet(&self, id: Uuid, expected: &Expected) -> Result<(), CommandError> {
        let mut change = Change::begin(self).await?;
        let pet = change.pet(id).await?;
        expected.check(pet.version)?;
        refuse_ordered(&mut change, id).await?;
        change.remove_pet(&pet).await?;
        change.commit(self).await?;
        Ok(())
    }
}

/// Here and not only where requests are read: an edit may change the currency alone.
fn check_price(pet: &Pet) -> Result<(), CommandError> {
    if money::fits(pet.price, &pet.currency) {
        return Ok(());
    }
    Err(CommandError::Decimals { currency: pet.currency.clone(), most: money::decimals(&pet.currency) })
}

async fn refuse_ordered(change: &mut Change, pet: Uuid) -> Result<(), CommandError> {
    let order: Option<String> =
        sqlx::query_scalar(select::OPEN_ORDER).bind(pet.to_string()).fetch_optional(change.connection()).await?;
    match order.map(|id| Uuid::try_parse(&id)) {
        None => Ok(()),
        Some(Ok(order)) => Err(CommandError::OpenOrder(order)),
        Some(Err(_)) => Err(StoreError::Corrupt(format!("the id of the order of pet {pet}")).into()),
    }
}

#[cfg(test)]
pub(super) mod tests;
