//! Which pets: a filter and an order, as data.

use rust_decimal::Decimal;

use super::pet::{Gender, Size, Species, Status};

/// Which pets; an empty filter takes all. Conditions are joined by AND, the values of one list by OR.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PetFilter {
    /// Any of these species; empty: all.
    pub species: Vec<Species>,
    /// Any of these statuses; empty: all.
    pub status: Vec<Status>,
    /// Any of these sizes; empty: all.
    pub size: Vec<Size>,
    /// Any of these genders; empty: all.
    pub gender: Vec<Gender>,
    /// Breed contains any of these texts, without regard to ASCII case; empty: all.
    pub breed: Vec<String>,
    /// Colour contains any of these texts, without regard to ASCII case; empty: all.
    pub color: Vec<String>,
    /// Name equals any of these, without regard to ASCII case; empty: all.
    pub name: Vec<String>,
    /// At least this price.
    pub min_price: Option<Decimal>,
    /// At most this price.
    pub max_price: Option<Decimal>,
    /// At least this age in months.
    pub min_age_months: Option<u32>,
    /// At most this age in months.
    pub max_age_months: Option<u32>,
    /// Good with kids, or not.
    pub good_with_kids: Option<bool>,
}

/// In which order; ties are always broken by id, so that an order is total and paging is exact.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sort {
    /// Oldest record first (by id).
    #[default]
    Created,
    /// Cheapest first.
    PriceAscending,
    /// Dearest first.
    PriceDescending,
    /// Youngest first.
    AgeAscending,
    /// Oldest animal first.
    AgeDescending,
    /// By name, A to Z.
    Name,
}
