//! The table of pets: every statement about it, and the mapping between its rows and [`Pet`].

mod query;

use futures_util::TryStreamExt as _;
use sqlx::sqlite::SqliteRow;
use sqlx::{QueryBuilder, Row as _, Sqlite, SqliteConnection, SqliteExecutor};
use uuid::Uuid;

use super::columns::Columns;
use super::error::StoreError;
use super::handle::Store;
use super::transaction::{ReadTransaction, WriteTransaction};
use crate::wire::resource::filter::{PetFilter, Sort};
use crate::wire::resource::money;
use crate::wire::resource::page::{PageKey, PetPage};
use crate::wire::resource::pet::{Gender, Pet, Size, Species, Status};
use crate::wire::resource::vocabulary::Vocabulary;

/// Rows that are read before other tasks of the thread run: about a quarter of a millisecond.
const ROWS_PER_YIELD: usize = 64;
/// Rows of one INSERT: 17 variables each, far below SQLite's limit of 32,766.
const ROWS_PER_INSERT: usize = 100;

/// Every word in use, preceded by the name of its column.
const VOCABULARY: &str = "\
    SELECT DISTINCT 'breed', breed AS word FROM pets UNION ALL \
    SELECT DISTINCT 'color', color FROM pets UNION ALL \
    SELECT DISTINCT 'name', name FROM pets \
    ORDER BY 1, word COLLATE NOCASE, word";

/// Numbers of pets in the table.
pub(crate) struct PetCounts {
    /// All pets.
    pub(crate) total: u64,
    /// Pets created with one API key.
    pub(crate) of_maker: u64,
}

impl Store {
    pub(crate) async fn pet(&self, id: Uuid) -> Result<Option<Pet>, StoreError> {
        select_pet(self.reader(), id).await
    }

    /// As [`ReadTransaction::pets`], in a statement of its own.
    pub(crate) async fn pets(
        &self,
        filter: &PetFilter,
        sort: Sort,
        limit: u32,
        after: Option<&PageKey>,
    ) -> Result<PetPage, StoreError> {
        select_page(self.reader(), filter, sort, limit, after).await
    }

    /// Calls `visit` with each pet that matches, in the order of `sort`, until it returns `false`. All are read in one
    /// statement; other tasks run after every 64 rows.
    pub(crate) async fn visit_pets(
        &self,
        filter: &PetFilter,
        sort: Sort,
        visit: &mut (dyn FnMut(Pet) -> bool + Send),
    ) -> Result<(), StoreError> {
        let mut query = query::page(filter, sort, None, i64::MAX);
        let mut rows = query.build().fetch(self.reader());
        let mut count = 0_usize;
        while let Some(row) = rows.try_next().await? {
            if !visit(pet_of(&row)?) {
                break;
            }
            count += 1;
            if count.is_multiple_of(ROWS_PER_YIELD) {
                tokio::task::yield_now().await;
            }
        }
        Ok(())
    }

    pub(crate) async fn count_pets(&self, filter: &PetFilter) -> Result<u64, StoreError> {
        let count: i64 = query::count(filter).build_query_scalar().fetch_one(self.reader()).await?;
        Ok(u64::try_from(count).unwrap_or_default())
    }

    /// The breeds, colours and names in use, read in one statement.
    pub(crate) async fn pet_vocabulary(&self) -> Result<Vocabulary, StoreError> {
        let mut vocabulary = Vocabulary::default();
        let mut rows = sqlx::query(VOCABULARY).fetch(self.reader());
        let mut count = 0_usize;
        while let Some(row) = rows.try_next().await? {
            let word = row.try_get(1)?;
            match row.try_get::<&str, _>(0)? {
                "breed" => vocabulary.breeds.push(word),
                "color" => vocabulary.colors.push(word),
                _ => vocabulary.names.push(word),
            }
            count += 1;
            if count.is_multiple_of(ROWS_PER_YIELD) {
                tokio::task::yield_now().await;
            }
        }
        Ok(vocabulary)
    }
}

impl ReadTransaction {
    /// At most `limit` (at least 1) pets that match, in the order of `sort`, after the place `after`.
    pub(crate) async fn pets(
        &mut self,
        filter: &PetFilter,
        sort: Sort,
        limit: u32,
        after: Option<&PageKey>,
    ) -> Result<PetPage, StoreError> {
        select_page(self.connection(), filter, sort, limit, after).await
    }
}

impl WriteTransaction {
    pub(crate) async fn pet(&mut self, id: Uuid) -> Result<Option<Pet>, StoreError> {
        select_pet(self.connection(), id).await
    }

    /// Counts all pets and those of `maker`, the id of an API key.
    pub(crate) async fn count_pets(&mut self, maker: &str) -> Result<PetCounts, StoreError> {
        let sql = "SELECT count(*), (SELECT count(*) FROM pets WHERE made_by = ?) FROM pets";
        let (total, of_maker): (i64, i64) = sqlx::query_as(sql).bind(maker).fetch_one(self.connection()).await?;
        Ok(PetCounts { total: total.unsigned_abs(), of_maker: of_maker.unsigned_abs() })
    }

    /// Adds pets of `maker`, the id of an API key; `None` for seeded ones.
    pub(crate) async fn insert_pets(&mut self, pets: &[Pet], maker: Option<&str>) -> Result<(), StoreError> {
        for pets in pets.chunks(ROWS_PER_INSERT) {
            insert(pets, maker).build().execute(self.connection()).await?;
        }
        Ok(())
    }

    /// Overwrites the pet with this id.
    pub(crate) async fn update_pet(&mut self, pet: &Pet) -> Result<(), StoreError> {
        update(self.connection(), pet).await
    }

    pub(crate) async fn delete_pet(&mut self, id: Uuid) -> Result<(), StoreError> {
        sqlx::query("DELETE FROM pets WHERE id = ?").bind(id.to_string()).execute(self.connection()).await?;
        Ok(())
    }
}

async fn select_pet(executor: impl SqliteExecutor<'_>, id: Uuid) -> Result<Option<Pet>, StoreError> {
    let query = sqlx::query("SELECT * FROM pets WHERE id = ?").bind(id.to_string());
    query.fetch_optional(executor).await?.as_ref().map(pet_of).transpose()
}

async fn select_page(
    executor: impl SqliteExecutor<'_>,
    filter: &PetFilter,
    sort: Sort,
    limit: u32,
    after: Option<&PageKey>,
) -> Result<PetPage, StoreError> {
    let limit = limit.max(1);
    // One row more than requested shows whether there is a next page.
    let rows = query::page(filter, sort, after, i64::from(limit) + 1).build().fetch_all(executor).await?;
    let mut pets = rows.iter().map(pet_of).collect::<Result<Vec<_>, _>>()?;
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let has_more = pets.len() > limit;
    pets.truncate(limit);
    let next = if has_more { pets.last().map(PageKey::after) } else { None };
    Ok(PetPage { pets, next })
}

fn insert(pets: &[Pet], maker: Option<&str>) -> QueryBuilder<Sqlite> {
    let mut query = QueryBuilder::new(
        "INSERT INTO pets (id, species, name, breed, age_months, size, color, gender, good_with_kids, price_e4, \
         currency, description, status, created_at, updated_at, version, made_by) ",
    );
    query.push_values(pets, |mut columns, pet| {
        columns.push_bind(pet.id.to_string());
        columns.push_bind(pet.species.name()).push_bind(pet.name.clone()).push_bind(pet.breed.clone());
        columns.push_bind(i64::from(pet.age_months)).push_bind(pet.size.name()).push_bind(pet.color.clone());
        columns.push_bind(pet.gender.name()).push_bind(i64::from(pet.good_with_kids));
        columns.push_bind(money::floor_e4(pet.price)).push_bind(pet.currency.clone());
        columns.push_bind(pet.description.clone()).push_bind(pet.status.name());
        columns.push_bind(pet.created_at.as_millisecond()).push_bind(pet.updated_at.as_millisecond());
        columns.push_bind(pet.version.cast_signed()).push_bind(maker.map(str::to_owned));
    });
    query
}

async fn update(connection: &mut SqliteConnection, pet: &Pet) -> Result<(), StoreError> {
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
    .bind(money::floor_e4(pet.price))
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

fn pet_of(row: &SqliteRow) -> Result<Pet, StoreError> {
    let columns = Columns::new(row, "pet");
    Ok(Pet {
        id: columns.uuid("id")?,
        species: columns.read("species", Species::from_name)?,
        name: columns.text("name")?,
        breed: columns.text("breed")?,
        age_months: columns.number("age_months")?,
        size: columns.read("size", Size::from_name)?,
        color: columns.text("color")?,
        gender: columns.read("gender", Gender::from_name)?,
        good_with_kids: columns.boolean("good_with_kids")?,
        price: columns.read("price_e4", |price| Some(money::from_e4(price)))?,
        currency: columns.text("currency")?,
        description: columns.text("description")?,
        status: columns.read("status", Status::from_name)?,
        created_at: columns.time("created_at")?,
        updated_at: columns.time("updated_at")?,
        version: columns.number("version")?,
    })
}
