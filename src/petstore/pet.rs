//! A pet, and the small vocabularies it is described with.

use jiff::Timestamp;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

macro_rules! vocabulary {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $text:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum $name { $($(#[$vdoc])* #[serde(rename = $text)] $variant),+ }

        impl $name {
            /// Every value, in the order in which it is listed.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The word on the wire and in the database.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $text),+ }
            }

            /// The value of that name; names are upper case.
            #[must_use]
            pub fn from_name(name: &str) -> Option<Self> {
                match name { $($text => Some(Self::$variant),)+ _ => None }
            }
        }
    };
}

vocabulary! {
    /// What kind of animal.
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

vocabulary! {
    /// How big, among its species' peers.
    Size {
        /// Small.
        Small = "SMALL",
        /// Medium.
        Medium = "MEDIUM",
        /// Large.
        Large = "LARGE",
    }
}

vocabulary! {
    /// Male, female, or nobody knows.
    Gender {
        /// Male.
        Male = "MALE",
        /// Female.
        Female = "FEMALE",
        /// Not known.
        Unknown = "UNKNOWN",
    }
}

vocabulary! {
    /// Whether it can be ordered.
    Status {
        /// Can be ordered.
        Available = "AVAILABLE",
        /// Has an open order.
        Pending = "PENDING",
        /// Has found its home.
        Adopted = "ADOPTED",
    }
}

/// A pet, in the shape of its JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Pet {
    /// UUIDv7, so that ids sort by the time of creation.
    pub id: Uuid,
    /// What kind of animal.
    pub species: Species,
    /// A single word, unique among the seeded pets.
    pub name: String,
    /// The breed, as people write it: `Golden Retriever`.
    pub breed: String,
    /// Age in whole months.
    pub age_months: u32,
    /// Size among its species' peers.
    pub size: Size,
    /// Colour, as people write it: `black and white`.
    pub color: String,
    /// Gender.
    pub gender: Gender,
    /// Whether it may live with small children.
    pub good_with_kids: bool,
    /// Exact decimal, a string on the wire: `"149.99"`.
    pub price: Decimal,
    /// ISO 4217 code: `USD`.
    pub currency: String,
    /// One or two sentences.
    pub description: String,
    /// Whether it can be ordered.
    pub status: Status,
    /// When it was created (RFC 3339, UTC).
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
    /// 1 at creation, one more at each change.
    pub version: u64,
}
