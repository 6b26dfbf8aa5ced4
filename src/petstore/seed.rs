//! The pets that a new database begins with.

use sqlx::SqlitePool;

use super::pet::{Pet, PetFields};
use super::{change, write};
use crate::store::StoreError;

const DATA: &str = include_str!("seed.json");
/// The fact in table `meta` that says it was done, with the time.
const FACT: &str = "pets_seeded_at";
/// Rows of one statement; far below SQLite's limit of 32,766 variables.
const ROWS: usize = 100;

/// Adds the pets of the data file unless this database says that it was done.
pub(super) async fn plant(writer: &SqlitePool) -> Result<usize, StoreError> {
    let pets = read(DATA)?;
    let now = change::now();
    let pets: Vec<_> = pets.into_iter().map(|pet| Pet::new(pet, now)).collect();
    // The first statement writes: it takes the lock, so of two processes that start together one sees the
    // other's fact.
    let mut transaction = writer.begin().await?;
    let fact = sqlx::query("INSERT INTO meta (key, value) VALUES (?, ?) ON CONFLICT DO NOTHING")
        .bind(FACT)
        .bind(now.as_millisecond().to_string())
        .execute(&mut *transaction)
        .await?;
    if fact.rows_affected() == 0 {
        return Ok(0);
    }
    for pets in pets.chunks(ROWS) {
        write::pets(pets, None).build().execute(&mut *transaction).await?;
    }
    transaction.commit().await?;
    Ok(pets.len())
}

fn read(data: &str) -> Result<Vec<PetFields>, StoreError> {
    serde_json::from_str(data).map_err(|error| StoreError::Corrupt(format!("seed.json: {error}")))
}

#[cfg(test)]
mod tests;
