//! The pets of a new database, from the compiled-in file `seed.json`.

use super::change::to_millis;
use super::pet_store::PetStore;
use crate::store::StoreError;
use crate::wire::resource::pet::{Pet, PetFields};

const DATA: &str = include_str!("seed.json");

impl PetStore {
    /// Adds the pets of the compiled-in file, once for each database: if an operator deletes all pets, they are not
    /// added again. Returns the number of added pets. Of several processes that start together, one adds them.
    ///
    /// # Errors
    /// [`StoreError`]; nothing was added, and the next call tries again.
    pub async fn seed(&self) -> Result<usize, StoreError> {
        let fields = read(DATA)?;
        let mut transaction = self.store.begin_write().await?;
        let now = to_millis(transaction.at());
        let pets: Vec<_> = fields.into_iter().map(|fields| Pet::new(fields, now)).collect();
        if !transaction.mark_seeded(now).await? {
            return Ok(0);
        }
        transaction.insert_pets(&pets, None).await?;
        transaction.commit().await?;
        Ok(pets.len())
    }
}

fn read(data: &str) -> Result<Vec<PetFields>, StoreError> {
    serde_json::from_str(data).map_err(|error| StoreError::Corrupt(format!("seed.json: {error}")))
}

#[cfg(test)]
mod tests;
