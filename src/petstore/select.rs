//! A filter and an order as SQL. Whatever a person wrote is bound, never spliced.

use sqlx::{QueryBuilder, Sqlite};
use uuid::Uuid;

use super::filter::{PetFilter, Sort};
use super::money;
use super::order::{OrderFilter, OrderStatus};
use super::page::PageKey;
use super::pet::{Gender, Size, Species, Status};

/// Every word in use, with its column before it; sorted as a person would.
pub(super) const VOCABULARY: &str = "\
    SELECT DISTINCT 'breed', breed AS word FROM pets UNION ALL \
    SELECT DISTINCT 'color', color FROM pets UNION ALL \
    SELECT DISTINCT 'name', name FROM pets \
    ORDER BY 1, word COLLATE NOCASE, word";

/// The pet of that id.
pub(super) fn one(id: Uuid) -> QueryBuilder<Sqlite> {
    let mut query = QueryBuilder::new("SELECT * FROM pets WHERE id = ");
    query.push_bind(id.to_string());
    query
}

/// The id of a pet's open order.
pub(super) const OPEN_ORDER: &str =
    "SELECT id FROM orders WHERE pet_id = ? AND status IN ('PLACED', 'APPROVED', 'SHIPPED')";

/// The order of that id.
pub(super) fn order(id: Uuid) -> QueryBuilder<Sqlite> {
    let mut query = QueryBuilder::new("SELECT * FROM orders WHERE id = ");
    query.push_bind(id.to_string());
    query
}

/// The first `limit` orders behind `after`, oldest first.
pub(super) fn orders(filter: &OrderFilter, limit: i64, after: Option<Uuid>) -> QueryBuilder<Sqlite> {
    let mut query = QueryBuilder::new("SELECT * FROM orders WHERE true");
    push_names(&mut query, "status", OrderStatus::ALL, &filter.status, OrderStatus::name);
    for (condition, id) in [("pet_id = ", filter.pet), ("id > ", after)] {
        if let Some(id) = id {
            query.push(" AND ").push(condition).push_bind(id.to_string());
        }
    }
    query.push(" ORDER BY id LIMIT ").push_bind(limit);
    query
}

/// How many pets the filter takes.
pub(super) fn count(filter: &PetFilter) -> QueryBuilder<Sqlite> {
    let mut query = QueryBuilder::new("SELECT count(*) FROM pets WHERE true");
    push_filter(&mut query, filter);
    query
}

/// The first `limit` pets behind `after`, in a total order.
pub(super) fn page(filter: &PetFilter, sort: Sort, after: Option<&PageKey>, limit: i64) -> QueryBuilder<Sqlite> {
    let mut query = QueryBuilder::new("SELECT * FROM pets WHERE true");
    push_filter(&mut query, filter);
    if let Some(after) = after {
        push_after(&mut query, sort, after);
    }
    query.push(" ORDER BY ").push(match sort {
        Sort::Created => "id",
        Sort::PriceAscending => "price_e4, id",
        Sort::PriceDescending => "price_e4 DESC, id",
        Sort::AgeAscending => "age_months, id",
        Sort::AgeDescending => "age_months DESC, id",
        Sort::Name => "name COLLATE NOCASE, id",
    });
    query.push(" LIMIT ").push_bind(limit);
    query
}

fn push_after(query: &mut QueryBuilder<Sqlite>, sort: Sort, after: &PageKey) {
    let (price, age, id) = (after.price_e4, i64::from(after.age_months), after.id.to_string());
    match sort {
        Sort::Created => {
            query.push(" AND id > ").push_bind(id);
        }
        Sort::PriceAscending => push_behind(query, "price_e4", '>', price, id),
        Sort::PriceDescending => push_behind(query, "price_e4", '<', price, id),
        Sort::AgeAscending => push_behind(query, "age_months", '>', age, id),
        Sort::AgeDescending => push_behind(query, "age_months", '<', age, id),
        Sort::Name => push_behind(query, "name COLLATE NOCASE", '>', after.name.clone(), id),
    }
}

/// Beyond `value`, or at it with a greater id.
fn push_behind<T>(query: &mut QueryBuilder<Sqlite>, column: &str, beyond: char, value: T, id: String)
where
    T: for<'q> sqlx::Encode<'q, Sqlite> + sqlx::Type<Sqlite> + Clone,
{
    query.push(format_args!(" AND ({column} {beyond} ")).push_bind(value.clone());
    query.push(format_args!(" OR ({column} = ")).push_bind(value);
    query.push(" AND id > ").push_bind(id).push("))");
}

fn push_filter(query: &mut QueryBuilder<Sqlite>, filter: &PetFilter) {
    push_names(query, "species", Species::ALL, &filter.species, Species::name);
    push_names(query, "status", Status::ALL, &filter.status, Status::name);
    push_names(query, "size", Size::ALL, &filter.size, Size::name);
    push_names(query, "gender", Gender::ALL, &filter.gender, Gender::name);
    push_texts(query, &filter.breed, "instr(lower(breed), value) > 0");
    push_texts(query, &filter.color, "instr(lower(color), value) > 0");
    push_texts(query, &filter.name, "lower(name) = value");
    push_bound(query, "price_e4 >= ", filter.min_price.map(money::rounded_up));
    push_bound(query, "price_e4 <= ", filter.max_price.map(money::rounded_down));
    push_bound(query, "age_months >= ", filter.min_age_months.map(i64::from));
    push_bound(query, "age_months <= ", filter.max_age_months.map(i64::from));
    push_bound(query, "good_with_kids = ", filter.good_with_kids.map(i64::from));
}

/// Going through `all` and not through `wanted` keeps the statement short however often a value is repeated.
fn push_names<T: Copy + PartialEq>(
    query: &mut QueryBuilder<Sqlite>,
    column: &str,
    all: &[T],
    wanted: &[T],
    name: fn(T) -> &'static str,
) {
    if wanted.is_empty() {
        return;
    }
    query.push(format_args!(" AND {column} IN ("));
    let mut list = query.separated(", ");
    for value in all.iter().filter(|value| wanted.contains(value)) {
        list.push_bind(name(*value));
    }
    query.push(")");
}

/// One bound JSON array: a list of any length meets neither SQLite's limit of variables nor that of depth,
/// and `instr` has no wildcards to escape. Both sides are folded as SQLite's `lower` does: ASCII only.
fn push_texts(query: &mut QueryBuilder<Sqlite>, wanted: &[String], matches: &str) {
    if wanted.is_empty() {
        return;
    }
    let wanted: serde_json::Value = wanted.iter().map(|text| text.to_ascii_lowercase()).collect();
    query.push(" AND EXISTS (SELECT 1 FROM json_each(").push_bind(wanted.to_string());
    query.push(format_args!(") WHERE {matches})"));
}

fn push_bound(query: &mut QueryBuilder<Sqlite>, condition: &str, bound: Option<i64>) {
    if let Some(bound) = bound {
        query.push(" AND ").push(condition).push_bind(bound);
    }
}
