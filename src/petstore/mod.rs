//! Pets: what they are, how they are found, where they are kept.
//!
//! [`PetStore`] is all that other rooms see; every line of SQL about pets lives in this folder, so that
//! another database can stand beside SQLite without a change above.

pub mod filter;
pub mod log;
pub mod page;
pub mod pet;
mod row;
mod seed;
mod select;

use sqlx::Row;
use uuid::Uuid;

use self::filter::{PetFilter, Sort};
use self::page::{PageKey, PetPage};
use self::pet::Pet;
use crate::store::{Store, StoreError};

/// The inventory; cheap to clone. Every answer is read anew, so it is never older than the last commit.
#[derive(Clone, Debug)]
pub struct PetStore {
    store: Store,
}

/// The words that the pets now in the database are described with; each list is sorted without regard to case and
/// holds a word once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Vocabulary {
    /// Breeds as written: `Golden Retriever`.
    pub breeds: Vec<String>,
    /// Colours as written: `black and white`.
    pub colors: Vec<String>,
    /// Names of pets of any status.
    pub names: Vec<String>,
}

impl PetStore {
    /// The inventory kept in `store`, whose migrations have run.
    #[must_use]
    pub const fn new(store: Store) -> Self {
        Self { store }
    }

    /// Puts the pets of the compiled-in data file into the database: once in its life, so that a store
    /// which its owner has emptied stays empty. Returns how many were added; 0 when it was done before.
    ///
    /// # Errors
    /// [`StoreError`]; then nothing has been added, and the next call tries again.
    pub async fn seed(&self) -> Result<usize, StoreError> {
        seed::plant(self.store.writer()).await
    }

    /// At most `limit` (at least 1) pets that `filter` takes, in the order of `sort`, beginning behind `after`.
    ///
    /// Following [`PetPage::next`] meets every pet that stays in the store unchanged exactly once, whatever
    /// is added or removed meanwhile.
    ///
    /// # Errors
    /// [`StoreError::Database`], or [`StoreError::Corrupt`] naming the column and the id.
    pub async fn find(
        &self,
        filter: &PetFilter,
        sort: Sort,
        limit: u32,
        after: Option<PageKey>,
    ) -> Result<PetPage, StoreError> {
        let limit = limit.max(1);
        // One more than asked for tells whether there is a next page.
        let mut query = select::page(filter, sort, after.as_ref(), i64::from(limit) + 1);
        let rows = query.build().fetch_all(self.store.reader()).await?;
        let mut pets = rows.iter().map(row::to_pet).collect::<Result<Vec<_>, _>>()?;
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let more = pets.len() > limit;
        pets.truncate(limit);
        let next = if more { pets.last().map(PageKey::behind) } else { None };
        Ok(PetPage { pets, next })
    }

    /// How many pets `filter` takes.
    ///
    /// # Errors
    /// [`StoreError::Database`].
    pub async fn count(&self, filter: &PetFilter) -> Result<u64, StoreError> {
        let count: i64 = select::count(filter).build_query_scalar().fetch_one(self.store.reader()).await?;
        Ok(u64::try_from(count).unwrap_or_default())
    }

    /// The pet of that id, if there is one.
    ///
    /// # Errors
    /// [`StoreError::Database`], or [`StoreError::Corrupt`] naming the column and the id.
    pub async fn get(&self, id: Uuid) -> Result<Option<Pet>, StoreError> {
        let row = select::one(id).build().fetch_optional(self.store.reader()).await?;
        row.as_ref().map(row::to_pet).transpose()
    }

    /// The breeds, colours and names now in use, read in one statement.
    ///
    /// # Errors
    /// [`StoreError::Database`].
    pub async fn vocabulary(&self) -> Result<Vocabulary, StoreError> {
        let mut vocabulary = Vocabulary::default();
        for row in sqlx::query(select::VOCABULARY).fetch_all(self.store.reader()).await? {
            let word = row.try_get(1)?;
            match row.try_get::<&str, _>(0)? {
                "breed" => vocabulary.breeds.push(word),
                "color" => vocabulary.colors.push(word),
                _ => vocabulary.names.push(word),
            }
        }
        Ok(vocabulary)
    }
}

#[cfg(test)]
mod tests;
