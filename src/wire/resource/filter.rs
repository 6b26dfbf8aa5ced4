//! A filter for pets and an order to list them in, as data.

use rust_decimal::Decimal;

use super::pet::{Gender, Size, Species, Status};

/// A filter for pets. All conditions must hold; a list holds if any of its values matches; an empty list and `None`
/// match every pet.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PetFilter {
    /// One of these species.
    pub species: Vec<Species>,
    /// One of these statuses.
    pub status: Vec<Status>,
    /// One of these sizes.
    pub size: Vec<Size>,
    /// One of these genders.
    pub gender: Vec<Gender>,
    /// The breed contains one of these texts; ASCII case is ignored.
    pub breed: Vec<String>,
    /// The colour contains one of these texts; ASCII case is ignored.
    pub color: Vec<String>,
    /// The name equals one of these; ASCII case is ignored.
    pub name: Vec<String>,
    /// At least this price.
    pub min_price: Option<Decimal>,
    /// At most this price.
    pub max_price: Option<Decimal>,
    /// At least this age, months.
    pub min_age_months: Option<u32>,
    /// At most this age, months.
    pub max_age_months: Option<u32>,
    /// Good with kids, or not.
    pub good_with_kids: Option<bool>,
}

/// The order of a list of pets. Equal values are ordered by id, so that every order is total and paging is exact.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sort {
    /// Oldest record first (by id).
    #[default]
    Created,
    /// Lowest price first.
    PriceAscending,
    /// Highest price first.
    PriceDescending,
    /// Youngest animal first.
    AgeAscending,
    /// Oldest animal first.
    AgeDescending,
    /// By name, A to Z; ASCII case is ignored.
    Name,
}
