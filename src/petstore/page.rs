//! A page of pets, the key from which the next one begins, and the cursor that a page is consistent with.

use uuid::Uuid;

use super::money;
use super::pet::Pet;
use crate::wire::event::Cursor;

/// Some of the pets that a filter takes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PetPage {
    /// In the order that was asked for.
    pub pets: Vec<Pet>,
    /// Where the next page begins; `None` when there are no more.
    pub next: Option<PageKey>,
}

/// An answer, and how much of the log it has seen: applying the events behind the cursor by version leads from this
/// answer to the present.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot<T> {
    /// What was asked for.
    pub value: T,
    /// The log as it stood in the same snapshot of the database.
    pub cursor: Cursor,
}

/// The place behind one pet, in every order there is.
///
/// It holds all values that pets are sorted by, so it stays good when that pet changes or goes, and no
/// order can be given a key that does not fit it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PageKey {
    pub(super) id: Uuid,
    pub(super) price_e4: i64,
    pub(super) age_months: u32,
    pub(super) name: String,
}

const ID: usize = 16;
const PRICE: usize = 8;
const AGE: usize = 4;

impl PageKey {
    /// The place right behind `pet`.
    #[must_use]
    pub fn behind(pet: &Pet) -> Self {
        Self {
            id: pet.id,
            price_e4: money::rounded_down(pet.price),
            age_months: pet.age_months,
            name: pet.name.clone(),
        }
    }

    /// As an opaque word of hexadecimal digits, safe in any part of a URL.
    #[must_use]
    pub fn to_token(&self) -> String {
        let mut bytes = Vec::with_capacity(ID + PRICE + AGE + self.name.len());
        bytes.extend_from_slice(self.id.as_bytes());
        bytes.extend_from_slice(&self.price_e4.to_be_bytes());
        bytes.extend_from_slice(&self.age_months.to_be_bytes());
        bytes.extend_from_slice(self.name.as_bytes());
        hex::encode(bytes)
    }

    /// Reads what [`Self::to_token`] wrote; `None` for anything else.
    #[must_use]
    pub fn from_token(token: &str) -> Option<Self> {
        let bytes = hex::decode(token).ok()?;
        let (id, rest) = bytes.split_first_chunk::<ID>()?;
        let (price, rest) = rest.split_first_chunk::<PRICE>()?;
        let (age, name) = rest.split_first_chunk::<AGE>()?;
        Some(Self {
            id: Uuid::from_bytes(*id),
            price_e4: i64::from_be_bytes(*price),
            age_months: u32::from_be_bytes(*age),
            name: std::str::from_utf8(name).ok()?.to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_survives_its_token() {
        let key = PageKey { id: Uuid::now_v7(), price_e4: -1, age_months: u32::MAX, name: "Žofie & co".to_owned() };
        assert_eq!(PageKey::from_token(&key.to_token()), Some(key));
    }

    #[test]
    fn what_is_no_token_is_refused() {
        let whole = PageKey { id: Uuid::now_v7(), price_e4: 1, age_months: 2, name: String::new() }.to_token();
        for token in ["", "x", "00", &whole[2..], &whole[1..], &format!("{whole}ff"), "žluťoučký"] {
            assert_eq!(PageKey::from_token(token), None, "{token}");
        }
    }
}
