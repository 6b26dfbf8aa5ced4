//! The pets that a new database begins with.

use jiff::Timestamp;
use rust_decimal::Decimal;
use serde::Deserialize;
use sqlx::{QueryBuilder, Sqlite, SqlitePool};
use uuid::Uuid;

use super::pet::{Gender, Size, Species, Status};
use super::row;
use crate::store::StoreError;

const DATA: &str = include_str!("seed.json");
/// The fact in table `meta` that says it was done, with the time.
const FACT: &str = "pets_seeded_at";
/// Rows of one statement; far below SQLite's limit of 32,766 variables.
const ROWS: usize = 100;

/// A pet as the data file has it; what is missing is made at seeding.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Seed {
    species: Species,
    name: String,
    breed: String,
    age_months: u32,
    size: Size,
    color: String,
    gender: Gender,
    good_with_kids: bool,
    price: Decimal,
    currency: String,
    description: String,
    status: Status,
}

/// Adds the pets of the data file unless this database says that it was done.
pub(super) async fn plant(writer: &SqlitePool) -> Result<usize, StoreError> {
    let pets = read(DATA)?;
    let now = Timestamp::now().as_millisecond();
    // The first statement writes: it takes the lock, so of two processes that start together one sees the
    // other's fact.
    let mut transaction = writer.begin().await?;
    let fact = sqlx::query("INSERT INTO meta (key, value) VALUES (?, ?) ON CONFLICT DO NOTHING")
        .bind(FACT)
        .bind(now.to_string())
        .execute(&mut *transaction)
        .await?;
    if fact.rows_affected() == 0 {
        return Ok(0);
    }
    for pets in pets.chunks(ROWS) {
        insert(pets, now).build().execute(&mut *transaction).await?;
    }
    transaction.commit().await?;
    Ok(pets.len())
}

fn read(data: &str) -> Result<Vec<Seed>, StoreError> {
    serde_json::from_str(data).map_err(|error| StoreError::Corrupt(format!("seed.json: {error}")))
}

fn insert(pets: &[Seed], now: i64) -> QueryBuilder<Sqlite> {
    let mut query = QueryBuilder::new(
        "INSERT INTO pets (id, species, name, breed, age_months, size, color, gender, good_with_kids, price_e4, \
         currency, description, status, created_at, updated_at, version) ",
    );
    query.push_values(pets, |mut columns, pet| {
        // Version 7 ids made in one process increase, even within a millisecond.
        columns.push_bind(Uuid::now_v7().to_string());
        columns.push_bind(pet.species.name()).push_bind(pet.name.clone()).push_bind(pet.breed.clone());
        columns.push_bind(i64::from(pet.age_months)).push_bind(pet.size.name()).push_bind(pet.color.clone());
        columns.push_bind(pet.gender.name()).push_bind(i64::from(pet.good_with_kids));
        columns.push_bind(row::price_rounded_down(pet.price)).push_bind(pet.currency.clone());
        columns.push_bind(pet.description.clone()).push_bind(pet.status.name());
        columns.push_bind(now).push_bind(now).push_bind(1_i64);
    });
    query
}

#[cfg(test)]
mod tests;
