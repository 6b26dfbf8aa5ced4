//! A filter and an order of pets as SQL. Values from clients are bound as parameters, never spliced into the text.

use crate::store::conditions::push_names;
use crate::store::database::{Bind, Engine, Executor, Query};
use crate::wire::resource::filter::{PetFilter, Sort};
use crate::wire::resource::money;
use crate::wire::resource::page::PageKey;
use crate::wire::resource::pet::{Gender, Size, Species, Status};

/// The columns of a pet.
pub(super) const COLUMNS: &str = "id, species, name, breed, age_months, size, color, gender, good_with_kids, price_e4, currency, \
                       description, status, created_at, updated_at, version";

/// Counts the pets that match the filter.
pub(super) fn count<'c>(executor: Executor<'c>, filter: &PetFilter) -> Query<'c> {
    let mut query = executor.query("SELECT count(*) FROM pets WHERE true");
    push_filter(&mut query, filter);
    query
}

/// Selects the first `limit` pets after the place `after`, in a total order.
pub(super) fn page<'c>(
    executor: Executor<'c>,
    filter: &PetFilter,
    sort: Sort,
    after: Option<&PageKey>,
    limit: i64,
) -> Query<'c> {
    let mut query = executor.built(format!("SELECT {COLUMNS} FROM pets WHERE true"));
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
        Sort::Name => "lower(name), id",
    });
    query.push(" LIMIT ").push_bind(limit);
    query
}

fn push_after(query: &mut Query<'_>, sort: Sort, after: &PageKey) {
    let (price, age, id) = (after.price_e4, i64::from(after.age_months), after.id.to_string());
    match sort {
        Sort::Created => {
            query.push(" AND id > ").push_bind(id);
        }
        Sort::PriceAscending => push_after_value(query, "price_e4", '>', price, id),
        Sort::PriceDescending => push_after_value(query, "price_e4", '<', price, id),
        Sort::AgeAscending => push_after_value(query, "age_months", '>', age, id),
        Sort::AgeDescending => push_after_value(query, "age_months", '<', age, id),
        Sort::Name => push_after_value(query, "lower(name)", '>', after.name.to_ascii_lowercase(), id),
    }
}

/// Rows whose column is beyond `value`, or equal to it with a greater id.
fn push_after_value<T>(query: &mut Query<'_>, column: &str, beyond: char, value: T, id: String)
where
    T: Bind + Clone,
{
    query.push(format_args!(" AND ({column} {beyond} ")).push_bind(value.clone());
    query.push(format_args!(" OR ({column} = ")).push_bind(value);
    query.push(" AND id > ").push_bind(id).push("))");
}

fn push_filter(query: &mut Query<'_>, filter: &PetFilter) {
    push_names(query, "species", Species::ALL, &filter.species, Species::name);
    push_names(query, "status", Status::ALL, &filter.status, Status::name);
    push_names(query, "size", Size::ALL, &filter.size, Size::name);
    push_names(query, "gender", Gender::ALL, &filter.gender, Gender::name);
    push_texts(query, &filter.breed, "breed", Matching::Part);
    push_texts(query, &filter.color, "color", Matching::Part);
    push_texts(query, &filter.name, "name", Matching::Whole);
    push_bound(query, "price_e4 >= ", filter.min_price.map(money::ceil_e4));
    push_bound(query, "price_e4 <= ", filter.max_price.map(money::floor_e4));
    push_bound(query, "age_months >= ", filter.min_age_months.map(i64::from));
    push_bound(query, "age_months <= ", filter.max_age_months.map(i64::from));
    push_bound(query, "good_with_kids = ", filter.good_with_kids.map(i64::from));
}

/// How a text is compared.
#[derive(Clone, Copy)]
enum Matching {
    Whole,
    Part,
}

/// One of `wanted` is the value of the column or a part of it. They are bound as one JSON array: so a list of any length
/// stays within the limits of variables and of depth. There are no wildcards that would need escaping. Both sides are
/// lowercased in ASCII only, as SQLite's `lower` does, and Postgres's for a column of the collation C.
fn push_texts(query: &mut Query<'_>, wanted: &[String], column: &str, matching: Matching) {
    if wanted.is_empty() {
        return;
    }
    let list = |wanted: &mut dyn Iterator<Item = String>| wanted.collect::<serde_json::Value>().to_string();
    let mut lowercased = wanted.iter().map(|text| text.to_ascii_lowercase());
    query.push(" AND EXISTS (SELECT 1 FROM ");
    match query.engine() {
        Engine::Sqlite => query.push("json_each(").push_bind(list(&mut lowercased)).push(") AS wanted"),
        Engine::Postgres => {
            // No stored text has a NUL, and Postgres takes no JSON with one.
            let wanted = list(&mut lowercased.map(|text| text.replace('\0', "\u{fffd}")));
            query.push("json_array_elements_text(CAST(").push_bind(wanted).push(" AS json)) AS wanted(value)")
        }
    };
    match (matching, query.engine()) {
        (Matching::Whole, _) => query.push(format_args!(" WHERE lower({column}) = wanted.value)")),
        (Matching::Part, Engine::Sqlite) => {
            query.push(format_args!(" WHERE instr(lower({column}), wanted.value) > 0)"))
        }
        (Matching::Part, Engine::Postgres) => {
            query.push(format_args!(" WHERE strpos(lower({column}), wanted.value) > 0)"))
        }
    };
}

fn push_bound(query: &mut Query<'_>, condition: &str, bound: Option<i64>) {
    if let Some(bound) = bound {
        query.push(" AND ").push(condition).push_bind(bound);
    }
}
