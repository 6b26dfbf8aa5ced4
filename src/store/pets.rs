//! The table of pets: every statement about it, and the mapping between its rows and [`Pet`].

mod query;

use uuid::Uuid;

use self::query::COLUMNS;
use super::columns::Columns;
use super::database::{Executor, Query, Row};
use super::error::StoreError;
use super::handle::Store;
use super::transaction::{ReadTransaction, WriteTransaction};
use crate::wire::resource::filter::{PetFilter, Sort};
use crate::wire::resource::money;
use crate::wire::resource::page::{PageKey, PetPage};
use crate::wire::resource::pet::{Gender, Pet, Size, Species, Status};
use crate::wire::resource::vocabulary::Vocabulary;

/// Rows of one INSERT: 17 variables each, far below SQLite's limit of 32,766.
const ROWS_PER_INSERT: usize = 100;

/// Every word in use, preceded by the name of its column.
const VOCABULARY: &str = "\
    SELECT kind, word FROM (\
    SELECT DISTINCT 'breed' AS kind, breed AS word FROM pets UNION ALL \
    SELECT DISTINCT 'color', color FROM pets UNION ALL \
    SELECT DISTINCT 'name', name FROM pets\
    ) AS words ORDER BY kind, lower(word), word";

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
        query::page(self.reader(), filter, sort, None, i64::MAX).visit(|row| Ok(visit(pet_of(row)?))).await
    }

    pub(crate) async fn count_pets(&self, filter: &PetFilter) -> Result<u64, StoreError> {
        let count: i64 = query::count(self.reader(), filter).fetch_value().await?;
        Ok(u64::try_from(count).unwrap_or_default())
    }

    /// The breeds, colours and names in use, read in one statement.
    pub(crate) async fn pet_vocabulary(&self) -> Result<Vocabulary, StoreError> {
        let mut vocabulary = Vocabulary::default();
        let add = |row: &Row| {
            let word = row.get(1)?;
            match row.get::<&str, _>(0)? {
                "breed" => vocabulary.breeds.push(word),
                "color" => vocabulary.colors.push(word),
                _ => vocabulary.names.push(word),
            }
            Ok(true)
        };
        self.reader().query(VOCABULARY).visit(add).await?;
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
        let sql = "SELECT count(*), (SELECT count(*) FROM pets WHERE made_by = $1) FROM pets";
        let row = self.connection().query(sql).bind_text(maker).fetch_one().await?;
        let (total, of_maker): (i64, i64) = (row.get(0)?, row.get(1)?);
        Ok(PetCounts { total: total.unsigned_abs(), of_maker: of_maker.unsigned_abs() })
    }

    /// Adds pets of `maker`, the id of an API key; `None` for seeded ones.
    pub(crate) async fn insert_pets(&mut self, pets: &[Pet], maker: Option<&str>) -> Result<(), StoreError> {
        for pets in pets.chunks(ROWS_PER_INSERT) {
            insert(self.connection(), pets, maker).execute().await?;
        }
        Ok(())
    }

    /// Overwrites the pet with this id.
    pub(crate) async fn update_pet(&mut self, pet: &Pet) -> Result<(), StoreError> {
        update(self.connection(), pet).await
    }

    pub(crate) async fn delete_pet(&mut self, id: Uuid) -> Result<(), StoreError> {
        self.connection().query("DELETE FROM pets WHERE id = $1").bind(id.to_string()).execute().await?;
        Ok(())
    }
}

async fn select_pet(executor: Executor<'_>, id: Uuid) -> Result<Option<Pet>, StoreError> {
    let query = executor.built(format!("SELECT {COLUMNS} FROM pets WHERE id = $1")).bind(id.to_string());
    query.fetch_optional().await?.as_ref().map(pet_of).transpose()
}

async fn select_page(
    executor: Executor<'_>,
    filter: &PetFilter,
    sort: Sort,
    limit: u32,
    after: Option<&PageKey>,
) -> Result<PetPage, StoreError> {
    let limit = limit.max(1);
    // One row more than requested shows whether there is a next page.
    let rows = query::page(executor, filter, sort, after, i64::from(limit) + 1).fetch_all().await?;
    let mut pets = rows.iter().map(pet_of).collect::<Result<Vec<_>, _>>()?;
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let has_more = pets.len() > limit;
    pets.truncate(limit);
    let next = if has_more { pets.last().map(PageKey::after) } else { None };
    Ok(PetPage { pets, next })
}

fn insert<'c>(executor: Executor<'c>, pets: &[Pet], maker: Option<&str>) -> Query<'c> {
    let mut query = executor.query(
        "INSERT INTO pets (id, species, name, breed, age_months, size, color, gender, good_with_kids, price_e4, \
         currency, description, status, created_at, updated_at, version, made_by) VALUES ",
    );
    for (number, pet) in pets.iter().enumerate() {
        query.push(if number == 0 { "(" } else { "), (" }).push_bind(pet.id.to_string());
        query.push(", ").push_bind(pet.species.name()).push(", ").push_text(&pet.name);
        query.push(", ").push_text(&pet.breed).push(", ").push_bind(i64::from(pet.age_months));
        query.push(", ").push_bind(pet.size.name()).push(", ").push_text(&pet.color);
        query.push(", ").push_bind(pet.gender.name()).push(", ").push_bind(i64::from(pet.good_with_kids));
        query.push(", ").push_bind(money::floor_e4(pet.price)).push(", ").push_text(&pet.currency);
        query.push(", ").push_text(&pet.description).push(", ").push_bind(pet.status.name());
        query.push(", ").push_bind(pet.created_at.as_millisecond());
        query.push(", ").push_bind(pet.updated_at.as_millisecond());
        query.push(", ").push_bind(pet.version.cast_signed()).push(", ").push_bind(maker.map(str::to_owned));
    }
    query.push(")");
    query
}

async fn update(connection: Executor<'_>, pet: &Pet) -> Result<(), StoreError> {
    let query = connection.query(
        "UPDATE pets SET species = $1, name = $2, breed = $3, age_months = $4, size = $5, color = $6, gender = $7, \
         good_with_kids = $8, price_e4 = $9, currency = $10, description = $11, status = $12, updated_at = $13, \
         version = $14 WHERE id = $15",
    );
    query
        .bind(pet.species.name())
        .bind_text(&pet.name)
        .bind_text(&pet.breed)
        .bind(i64::from(pet.age_months))
        .bind(pet.size.name())
        .bind_text(&pet.color)
        .bind(pet.gender.name())
        .bind(i64::from(pet.good_with_kids))
        .bind(money::floor_e4(pet.price))
        .bind_text(&pet.currency)
        .bind_text(&pet.description)
        .bind(pet.status.name())
        .bind(pet.updated_at.as_millisecond())
        .bind(pet.version.cast_signed())
        .bind(pet.id.to_string())
        .execute()
        .await?;
    Ok(())
}

fn pet_of(row: &Row) -> Result<Pet, StoreError> {
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
