//! A page of pets, the key of the next page as an opaque token, and the event cursor that an answer is consistent with.

use uuid::Uuid;

use super::money;
use super::pet::Pet;
use crate::wire::event::Cursor;

/// A page of the pets that match a filter.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PetPage {
    /// The pets, in the requested order.
    pub pets: Vec<Pet>,
    /// The place after which the next page begins; `None` on the last page.
    pub next: Option<PageKey>,
}

/// A value and the event cursor that it is consistent with: both were read in one snapshot of the database. A client
/// that applies the events after the cursor, by version, keeps the value up to date.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot<T> {
    /// The value.
    pub value: T,
    /// The last event of the log in the same snapshot.
    pub cursor: Cursor,
}

/// The place right after one pet, in every [`Sort`](super::filter::Sort).
///
/// It holds all values that pets are sorted by. So it stays valid when that pet is changed or deleted, and any key fits
/// any order.
///
/// ```
/// use petstream::wire::resource::page::PageKey;
///
/// let token = format!("{}{}{}{}", "00".repeat(16), "0000000000000001", "0000000c", hex::encode("Rex"));
/// let key = PageKey::from_token(&token).unwrap();
/// assert_eq!(key.to_token(), token);
/// assert!(PageKey::from_token("no token").is_none());
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PageKey {
    pub(crate) id: Uuid,
    pub(crate) price_e4: i64,
    pub(crate) age_months: u32,
    pub(crate) name: String,
}

/// Lengths of the fixed parts of a token, bytes; the name is the rest.
const ID_LEN: usize = 16;
const PRICE_LEN: usize = 8;
const AGE_LEN: usize = 4;

impl PageKey {
    /// The place right after `pet`.
    #[must_use]
    pub fn after(pet: &Pet) -> Self {
        Self { id: pet.id, price_e4: money::floor_e4(pet.price), age_months: pet.age_months, name: pet.name.clone() }
    }

    /// The key as an opaque token of hexadecimal digits, safe in any part of a URL.
    #[must_use]
    pub fn to_token(&self) -> String {
        let mut bytes = Vec::with_capacity(ID_LEN + PRICE_LEN + AGE_LEN + self.name.len());
        bytes.extend_from_slice(self.id.as_bytes());
        bytes.extend_from_slice(&self.price_e4.to_be_bytes());
        bytes.extend_from_slice(&self.age_months.to_be_bytes());
        bytes.extend_from_slice(self.name.as_bytes());
        hex::encode(bytes)
    }

    /// The key in a token that [`Self::to_token`] wrote; `None` for any other text.
    #[must_use]
    pub fn from_token(token: &str) -> Option<Self> {
        let bytes = hex::decode(token).ok()?;
        let (id, rest) = bytes.split_first_chunk::<ID_LEN>()?;
        let (price, rest) = rest.split_first_chunk::<PRICE_LEN>()?;
        let (age, name) = rest.split_first_chunk::<AGE_LEN>()?;
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
    fn text_that_is_not_a_token_is_refused() {
        let whole = PageKey { id: Uuid::now_v7(), price_e4: 1, age_months: 2, name: String::new() }.to_token();
        for token in ["", "x", "00", &whole[2..], &whole[1..], &format!("{whole}ff"), "žluťoučký"] {
            assert_eq!(PageKey::from_token(token), None, "{token}");
        }
    }
}
