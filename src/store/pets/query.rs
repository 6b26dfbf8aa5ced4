//! A filter and an order of pets as SQL. Values from clients are bound as parameters, never spliced into the text.

use sqlx::{QueryBuilder, Sqlite};

use crate::store::conditions::push_names;
use crate::wire::resource::filter::{PetFilter, Sort};
use crate::wire::resource::money;
use crate::wire::resource::page::PageKey;
use crate::wire::resource::pet::{Gender, Size, Species, Status};

/// Counts the pets that match the filter.
pub(super) fn count(filter: &PetFilter) -> QueryBuilder<Sqlite> {
    let mut query = QueryBuilder::new("SELECT count(*) FROM pets WHERE true");
    push_filter(&mut query, filter);
    query
}

/// Selects the first `limit` pets after the place `after`, in a total order.
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
        Sort::PriceAscending => push_after_value(query, "price_e4", '>', price, id),
        Sort::PriceDescending => push_after_value(query, "price_e4", '<', price, id),
        Sort::AgeAscending => push_after_value(query, "age_months", '>', age, id),
        Sort::AgeDescending => push_after_value(query, "age_months", '<', age, id),
        Sort::Name => push_after_value(query, "name COLLATE NOCASE", '>', after.name.clone(), id),
    }
}

/// Rows whose column is beyond `value`, or equal to it with a greater id.
fn push_after_value<T>(query: &mut QueryBuilder<Sqlite>, column: &str, beyond: char, value: T, id: String)
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
    push_bound(query, "price_e4 >= ", filter.min_price.map(money::ceil_e4));
    push_bound(query, "price_e4 <= ", filter.max_price.map(money::floor_e4));
    push_bound(query, "age_months >= ", filter.min_age_months.map(i64::from));
    push_bound(query, "age_months <= ", filter.max_age_months.map(i64::from));
    push_bound(query, "good_with_kids = ", filter.good_with_kids.map(i64::from));
}

/// `matches` holds for one of `wanted`, bound as one JSON array: so a list of any length stays within SQLite's limits
/// of variables and of depth. `instr` has no wildcards that would need escaping. Both sides are lowercased in ASCII
/// only, as SQLite's `lower` does.
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
