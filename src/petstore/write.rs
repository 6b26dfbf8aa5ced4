//! Pets and orders into rows.

use sqlx::{QueryBuilder, Sqlite, SqliteConnection};
use uuid::Uuid;

use super::money;
use super::order::Order;
use super::pet::Pet;

/// Adds `pets` of `maker`, at most 1,900: a statement has 32,766 variables.
pub(super) fn pets(pets: &[Pet], maker: Option<&str>) -> QueryBuilder<Sqlite> {
    let mut query = QueryBuilder::new(
        "INSERT INTO pets (id, species, name, breed, age_months, size, color, gender, good_with_kids, price_e4, \
         currency, description, status, created_at, updated_at, version, made_by) ",
    );
    query.push_values(pets, |mut columns, pet| {
        columns.push_bind(pet.id.to_string());
        columns.push_bind(pet.species.name()).push_bind(pet.name.clone()).push_bind(pet.breed.clone());
        columns.push_bind(i64::from(pet.age_months)).push_bind(pet.size.name()).push_bind(pet.color.clone());
        columns.push_bind(pet.gender.name()).push_bind(i64::from(pet.good_with_kids));
        columns.push_bind(money::rounded_down(pet.price)).push_bind(pet.currency.clone());
        columns.push_bind(pet.description.clone()).push_bind(pet.status.name());
        columns.push_bind(pet.created_at.as_millisecond()).push_bind(pet.updated_at.as_millisecond());
        columns.push_bind(pet.version.cast_signed()).push_bind(maker.map(str::to_owned));
    });
    query
}

/// Writes all that can change of a pet.
pub(super) async fn update_pet(connection: &mut SqliteConnection, pet: &Pet) -> Result<(), sqlx::Error> {
    sqlx::query(
        "UPDATE pets SET species = ?, name = ?, breed = ?, age_months = ?, size = ?, color = ?, gender = ?, \
         good_with_kids = ?, price_e4 = ?, currency = ?, description = ?, status = ?, updated_at = ?, version = ? \
         WHERE id = ?",
    )
    .bind(pet.species.name())
    .bind(&pet.name)
    .bind(&pet.breed)
    .bind(i64::from(pet.age_months))
    .bind(pet.size.name())
    .bind(&pet.color)
    .bind(pet.gender.name())
    .bind(i64::from(pet.good_with_kids))
    .bind(money::rounded_down(pet.price))
    .bind(&pet.currency)
    .bind(&pet.description)
    .bind(pet.status.name())
    .bind(pet.updated_at.as_millisecond())
    .bind(pet.version.cast_signed())
    .bind(pet.id.to_string())
    .execute(connection)
    .await?;
    Ok(())
}

/// Deletes a pet.
pub(super) async fn delete_pet(connection: &mut SqliteConnection, id: Uuid) -> Result<(), sqlx::Error> {
    sqlx::query("DELETE FROM pets WHERE id = ?").bind(id.to_string()).execute(connection).await?;
    Ok(())
}

/// Adds an order of `maker`; gives the number of its row.
pub(super) async fn order(connection: &mut SqliteConnection, order: &Order, maker: &str) -> Result<i64, sqlx::Error> {
    let added = sqlx::query(
        "INSERT INTO orders (id, pet_id, status, price_e4, currency, created_at, updated_at, version, made_by) \
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
    )
    .bind(order.id.to_string())
    .bind(order.pet_id.to_string())
    .bind(order.status.name())
    .bind(money::rounded_down(order.price))
    .bind(&order.currency)
    .bind(order.created_at.as_millisecond())
    .bind(order.updated_at.as_millisecond())
    .bind(order.version.cast_signed())
    .bind(maker)
    .execute(connection)
    .await?;
    Ok(added.last_insert_rowid())
}

/// Writes all that can change of an order.
pub(super) async fn update_order(connection: &mut SqliteConnection, order: &Order) -> Result<(), sqlx::Error> {
    sqlx::query("UPDATE orders SET status = ?, updated_at = ?, version = ? WHERE id = ?")
        .bind(order.status.name())
        .bind(order.updated_at.as_millisecond())
        .bind(order.version.cast_signed())
        .bind(order.id.to_string())
        .execute(connection)
        .await?;
    Ok(())
}
