//! A pet: the resource, the fields that a client sets, and the enums that describe it.

use jiff::Timestamp;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::money;

word_enum! {
    /// The kind of animal.
    Species {
        /// A dog.
        Dog = "DOG",
        /// A cat.
        Cat = "CAT",
        /// A rabbit.
        Rabbit = "RABBIT",
        /// A bird.
        Bird = "BIRD",
        /// A reptile.
        Reptile = "REPTILE",
        /// A fish.
        Fish = "FISH",
        /// Anything else: hamsters, guinea pigs, ferrets.
        Other = "OTHER",
    }
}

word_enum! {
    /// Size compared with others of the species.
    Size {
        /// Small.
        Small = "SMALL",
        /// Medium.
        Medium = "MEDIUM",
        /// Large.
        Large = "LARGE",
    }
}

word_enum! {
    /// Male, female or unknown.
    Gender {
        /// Male.
        Male = "MALE",
        /// Female.
        Female = "FEMALE",
        /// Unknown.
        Unknown = "UNKNOWN",
    }
}

word_enum! {
    /// Whether a pet can be ordered.
    Status {
        /// Can be ordered.
        Available = "AVAILABLE",
        /// Has an open order.
        Pending = "PENDING",
        /// Was delivered to a customer.
        Adopted = "ADOPTED",
    }
}

/// A pet, in the shape of its JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Pet {
    /// UUIDv7, so that ids sort by the time of creation.
    pub id: Uuid,
    /// The kind of animal.
    pub species: Species,
    /// The name. Among the seeded pets it is a single word, and unique.
    pub name: String,
    /// The breed as written: `Golden Retriever`.
    pub breed: String,
    /// Age in whole months.
    pub age_months: u32,
    /// Size compared with others of the species.
    pub size: Size,
    /// Colour as written: `black and white`.
    pub color: String,
    /// Gender.
    pub gender: Gender,
    /// Whether it is suitable for a family with small children.
    pub good_with_kids: bool,
    /// Exact decimal, a string on the wire: `"149.99"`.
    pub price: Decimal,
    /// ISO 4217 code: `USD`.
    pub currency: String,
    /// One or two sentences.
    pub description: String,
    /// Whether it can be ordered.
    pub status: Status,
    /// Time of creation (RFC 3339, UTC).
    pub created_at: Timestamp,
    /// Time of the last change.
    pub updated_at: Timestamp,
    /// 1 at creation, plus one with each change.
    pub version: u64,
}

/// The fields of a pet that a client sets. The store sets the others: id, times and version.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PetFields {
    /// See [`Pet::species`].
    pub species: Species,
    /// See [`Pet::name`].
    pub name: String,
    /// See [`Pet::breed`].
    pub breed: String,
    /// See [`Pet::age_months`].
    pub age_months: u32,
    /// See [`Pet::size`].
    pub size: Size,
    /// See [`Pet::color`].
    pub color: String,
    /// See [`Pet::gender`].
    pub gender: Gender,
    /// See [`Pet::good_with_kids`].
    pub good_with_kids: bool,
    /// Not negative, with no more decimal places than the currency has; see [`super::money::decimals`].
    pub price: Decimal,
    /// See [`Pet::currency`].
    pub currency: String,
    /// See [`Pet::description`].
    pub description: String,
    /// See [`Pet::status`].
    pub status: Status,
}

/// A partial change of a pet: a field that is `None` keeps its value.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PetEdit {
    /// See [`Pet::species`].
    pub species: Option<Species>,
    /// See [`Pet::name`].
    pub name: Option<String>,
    /// See [`Pet::breed`].
    pub breed: Option<String>,
    /// See [`Pet::age_months`].
    pub age_months: Option<u32>,
    /// See [`Pet::size`].
    pub size: Option<Size>,
    /// See [`Pet::color`].
    pub color: Option<String>,
    /// See [`Pet::gender`].
    pub gender: Option<Gender>,
    /// See [`Pet::good_with_kids`].
    pub good_with_kids: Option<bool>,
    /// See [`PetFields::price`].
    pub price: Option<Decimal>,
    /// See [`Pet::currency`].
    pub currency: Option<String>,
    /// See [`Pet::description`].
    pub description: Option<String>,
    /// See [`Pet::status`].
    pub status: Option<Status>,
}

impl PetEdit {
    /// All fields of a new pet; `None` if one is missing.
    #[must_use]
    pub fn into_fields(self) -> Option<PetFields> {
        Some(PetFields {
            species: self.species?,
            name: self.name?,
            breed: self.breed?,
            age_months: self.age_months?,
            size: self.size?,
            color: self.color?,
            gender: self.gender?,
            good_with_kids: self.good_with_kids?,
            price: self.price?,
            currency: self.currency?,
            description: self.description?,
            status: self.status?,
        })
    }
}

impl Pet {
    /// A new pet in version 1, created at `at`, with a new id.
    #[must_use]
    pub fn new(fields: PetFields, at: Timestamp) -> Self {
        Self {
            // UUIDv7 ids of one process increase strictly, even within a millisecond.
            id: Uuid::now_v7(),
            species: fields.species,
            name: fields.name,
            breed: fields.breed,
            age_months: fields.age_months,
            size: fields.size,
            color: fields.color,
            gender: fields.gender,
            good_with_kids: fields.good_with_kids,
            price: money::display(fields.price),
            currency: fields.currency,
            description: fields.description,
            status: fields.status,
            created_at: at,
            updated_at: at,
            version: 1,
        }
    }

    /// This pet with `edit` applied. The version and the time of change stay as they are.
    #[must_use]
    pub fn edited(&self, edit: PetEdit) -> Self {
        let old = self.clone();
        Self {
            species: edit.species.unwrap_or(old.species),
            name: edit.name.unwrap_or(old.name),
            breed: edit.breed.unwrap_or(old.breed),
            age_months: edit.age_months.unwrap_or(old.age_months),
            size: edit.size.unwrap_or(old.size),
            color: edit.color.unwrap_or(old.color),
            gender: edit.gender.unwrap_or(old.gender),
            good_with_kids: edit.good_with_kids.unwrap_or(old.good_with_kids),
            price: edit.price.map_or(old.price, money::display),
            currency: edit.currency.unwrap_or(old.currency),
            description: edit.description.unwrap_or(old.description),
            status: edit.status.unwrap_or(old.status),
            ..old
        }
    }
}
