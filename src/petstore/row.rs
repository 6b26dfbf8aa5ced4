//! Rows to pets and back.

use jiff::Timestamp;
use rust_decimal::prelude::ToPrimitive;
use rust_decimal::{Decimal, RoundingStrategy};
use sqlx::sqlite::SqliteRow;
use sqlx::{Decode, Row, Sqlite, Type};
use uuid::Uuid;

use super::pet::{Gender, Pet, Size, Species, Status};
use crate::store::StoreError;

/// Decimal places of a stored price, see `0001_pets.sql`.
const PLACES: u32 = 4;
/// Decimal places that a price is shown with at least: cents.
const CENTS: u32 = 2;

/// The pet in `row`, which holds all columns of the table.
pub(super) fn to_pet(row: &SqliteRow) -> Result<Pet, StoreError> {
    let id = row.try_get::<&str, _>("id").unwrap_or("?");
    let columns = Columns { row, id };
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
        price: columns.read("price_e4", |price| Some(price_from_e4(price)))?,
        currency: columns.text("currency")?,
        description: columns.text("description")?,
        status: columns.read("status", Status::from_name)?,
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

/// A row whose every complaint names the column and the pet.
struct Columns<'r> {
    row: &'r SqliteRow,
    id: &'r str,
}

impl<'r> Columns<'r> {
    fn read<C, T>(&self, column: &str, convert: impl FnOnce(C) -> Option<T>) -> Result<T, StoreError>
    where
        C: Decode<'r, Sqlite> + Type<Sqlite>,
    {
        let value = self.row.try_get(column).ok().and_then(convert);
        value.ok_or_else(|| StoreError::Corrupt(format!("column {column} of pet {}", self.id)))
    }

    fn text(&self, column: &str) -> Result<String, StoreError> {
        self.read(column, Some)
    }
}

/// The price of that many ten-thousandths, written with cents: `Decimal` keeps its zeros.
pub(super) fn price_from_e4(price_e4: i64) -> Decimal {
    let mut price = Decimal::new(price_e4, PLACES).normalize();
    if price.scale() < CENTS {
        price.rescale(CENTS);
    }
    price
}

/// The most ten-thousandths that are not above `price`; the nearest there is when they are too many to store.
pub(super) fn price_rounded_down(price: Decimal) -> i64 {
    in_e4(price, RoundingStrategy::ToNegativeInfinity)
}

/// The fewest ten-thousandths that are not below `price`; the nearest there is when they are too many to store.
pub(super) fn price_rounded_up(price: Decimal) -> i64 {
    in_e4(price, RoundingStrategy::ToPositiveInfinity)
}

fn in_e4(price: Decimal, rounding: RoundingStrategy) -> i64 {
    let rounded = price.round_dp_with_strategy(PLACES, rounding);
    let price_e4 = rounded.checked_mul(Decimal::from(10_i64.pow(PLACES))).and_then(|scaled| scaled.to_i64());
    price_e4.unwrap_or(if price.is_sign_negative() { i64::MIN } else { i64::MAX })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decimal(text: &str) -> Decimal {
        text.parse().unwrap()
    }

    #[test]
    fn prices_are_written_with_cents_and_lose_nothing() {
        for (price_e4, text) in
            [(0, "0.00"), (1_499_900, "149.99"), (1_000_000, "100.00"), (15_000, "1.50"), (15_001, "1.5001")]
        {
            assert_eq!(price_from_e4(price_e4).to_string(), text);
            assert_eq!(price_rounded_down(decimal(text)), price_e4);
            assert_eq!(price_rounded_up(decimal(text)), price_e4);
        }
    }

    #[test]
    fn a_bound_between_two_prices_rounds_to_the_inside() {
        assert_eq!(price_rounded_down(decimal("0.00019")), 1);
        assert_eq!(price_rounded_up(decimal("0.00011")), 2);
        assert_eq!(price_rounded_down(decimal("-0.00011")), -2);
    }

    #[test]
    fn a_bound_beyond_all_prices_is_the_last_price() {
        assert_eq!(price_rounded_up(Decimal::MAX), i64::MAX);
        assert_eq!(price_rounded_down(Decimal::MIN), i64::MIN);
        assert_eq!(price_rounded_down(decimal("922337203685477.5808")), i64::MAX);
    }
}
