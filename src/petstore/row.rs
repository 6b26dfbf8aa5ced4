//! Rows to pets and back.

use jiff::Timestamp;
use sqlx::sqlite::SqliteRow;
use sqlx::{Decode, Row, Sqlite, Type};
use uuid::Uuid;

use super::money;
use super::order::{Order, OrderStatus};
use super::pet::{Gender, Pet, Size, Species, Status};
use crate::store::StoreError;

/// The pet in `row`, which holds all columns of the table.
pub(super) fn to_pet(row: &SqliteRow) -> Result<Pet, StoreError> {
    let id = row.try_get::<&str, _>("id").unwrap_or("?");
    let columns = Columns { row, of: "pet", id };
    Ok(Pet {
        id: columns.read("id", |id: &str| Uuid::try_parse(id).ok())?,
        species: columns.read("species", Species::from_name)?,
        name: columns.text("name")?,
        breed: columns.text("breed")?,
        age_months: columns.read("age_months", |months: i64| u32::try_from(months).ok())?,
        size: columns.read("size", Size::from_name)?,
        color: columns.text("color")?,
        gender: columns.read("gender", Gender::from_name)?,
        good_with_kids: columns.read("good_with_kids", bool_from)?,
        price: columns.read("price_e4", |price| Some(money::from_e4(price)))?,
        currency: columns.text("currency")?,
        description: columns.text("description")?,
        status: columns.read("status", Status::from_name)?,
        created_at: columns.read("created_at", |at| Timestamp::from_millisecond(at).ok())?,
        updated_at: columns.read("updated_at", |at| Timestamp::from_millisecond(at).ok())?,
        version: columns.read("version", |version: i64| u64::try_from(version).ok())?,
    })
}

/// The order in `row`, which holds all columns of the table.
pub(super) fn to_order(row: &SqliteRow) -> Result<Order, StoreError> {
    let id = row.try_get::<&str, _>("id").unwrap_or("?");
    let columns = Columns { row, of: "order", id };
    Ok(Order {
        id: columns.read("id", |id: &str| Uuid::try_parse(id).ok())?,
        pet_id: columns.read("pet_id", |id: &str| Uuid::try_parse(id).ok())?,
        status: columns.read("status", OrderStatus::from_name)?,
        price: columns.read("price_e4", |price| Some(money::from_e4(price)))?,
        currency: columns.text("currency")?,
        created_at: columns.read("created_at", |at| Timestamp::from_millisecond(at).ok())?,
        updated_at: columns.read("updated_at", |at| Timestamp::from_millisecond(at).ok())?,
        version: columns.read("version", |version: i64| u64::try_from(version).ok())?,
    })
}

/// Strict, because a filter compares with 0 and 1.
fn bool_from(number: i64) -> Option<bool> {
    match number {
        0 => Some(false),
        1 => Some(true),
        _ => None,
    }
}

/// A row whose every complaint names the column and the row.
struct Columns<'r> {
    row: &'r SqliteRow,
    of: &'static str,
    id: &'r str,
}

impl<'r> Columns<'r> {
    fn read<C, T>(&self, column: &str, convert: impl FnOnce(C) -> Option<T>) -> Result<T, StoreError>
    where
        C: Decode<'r, Sqlite> + Type<Sqlite>,
    {
        let value = self.row.try_get(column).ok().and_then(convert);
        value.ok_or_else(|| StoreError::Corrupt(format!("column {column} of {} {}", self.of, self.id)))
    }

    fn text(&self, column: &str) -> Result<String, StoreError> {
        self.read(column, Some)
    }
}
