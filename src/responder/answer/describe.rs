//! Describes a query in words. Every answer contains the description, so that a misunderstanding is visible.

use rust_decimal::Decimal;

use super::pet;
use crate::responder::query::{Conditions, Query, Range, RangeLimit};
use crate::wire::resource::filter::Sort;

/// A noun phrase for `number` pets: "available small dogs under $200".
pub(super) fn describe(query: &Query, number: usize) -> String {
    if let (Some(within), true) = (&query.within, query.any_of.is_empty() && query.none_of.is_empty()) {
        return describe(within, number);
    }
    let query = query.clone().with_default_status();
    let mut text = match query.any_of.as_slice() {
        [] => if number == 1 { "pet" } else { "pets" }.to_owned(),
        several => several.iter().map(|conditions| noun_phrase(conditions, number)).collect::<Vec<_>>().join(" or "),
    };
    if let Some(within) = &query.within
        && query.any_of.iter().all(|conditions| conditions.species.is_empty())
    {
        let among =
            if within.selection.is_some() { "those".to_owned() } else { format!("the {}", describe(within, 2)) };
        text = format!("{text} among {among}");
    }
    if !query.none_of.is_empty() {
        let exclusions: Vec<String> = query.none_of.iter().map(exclusion).collect();
        text = format!("{text}, leaving out {}", exclusions.join(" and "));
    }
    text
}

/// "cheapest", if the query selects by its sort order.
pub(super) fn superlative(query: &Query) -> Option<&'static str> {
    query.selection.and_then(|_| sort_adjective(query.sort))
}

/// ", cheapest first", if the query only sorts.
pub(super) fn ordered(query: &Query) -> String {
    match sort_adjective(query.sort) {
        _ if query.selection.is_some() => String::new(),
        Some(adjective) => format!(", {adjective} first"),
        None if query.sort == Sort::Name => ", by name".to_owned(),
        None => String::new(),
    }
}

const fn sort_adjective(sort: Sort) -> Option<&'static str> {
    match sort {
        Sort::PriceAscending => Some("cheapest"),
        Sort::PriceDescending => Some("most expensive"),
        Sort::AgeAscending => Some("youngest"),
        Sort::AgeDescending => Some("oldest"),
        Sort::Created | Sort::Name => None,
    }
}

/// An exclusion. A name is not repeated, since bold names and names in the text are those of the answer's pets.
fn exclusion(conditions: &Conditions) -> String {
    if conditions.name.is_empty() { noun_phrase(conditions, 2) } else { "the one you named".to_owned() }
}

fn noun_phrase(conditions: &Conditions, number: usize) -> String {
    let mut words: Vec<String> = Vec::new();
    let mut list = |values: Vec<&str>| {
        if !values.is_empty() {
            words.push(values.join(" or "));
        }
    };
    list(conditions.status.iter().map(|status| pet::status(*status)).collect());
    list(conditions.size.iter().map(|size| pet::size(*size)).collect());
    list(conditions.color.iter().map(String::as_str).collect());
    list(conditions.gender.iter().map(|gender| pet::gender(*gender)).collect());
    let noun = if conditions.species.is_empty() {
        if number == 1 { "pet" } else { "pets" }.to_owned()
    } else {
        conditions.species.iter().map(|species| pet::species(*species, number)).collect::<Vec<_>>().join(" or ")
    };
    words.push(noun);
    let mut text = words.join(" ");
    let mut add = |separator: &str, part: String| {
        text.push_str(separator);
        text.push_str(&part);
    };
    if !conditions.name.is_empty() {
        add(" ", if conditions.name.len() == 1 { "of that name" } else { "of those names" }.to_owned());
    }
    if !conditions.breed.is_empty() {
        add(" ", format!("of breed {}", breeds(&conditions.breed)));
    }
    if let Some(price) = range(&conditions.price, &|value| format!("${}", value.normalize())) {
        add(" ", price);
    }
    if let Some(age) = range(&conditions.age, &months) {
        add(" ", format!("{} old", age.trim_start_matches("at exactly ")));
    }
    match conditions.kids {
        Some(true) => add(", ", "good with kids".to_owned()),
        Some(false) => add(", ", "not good with kids".to_owned()),
        None => {}
    }
    text
}

/// A group of breeds is described by its first word.
fn breeds(breeds: &[String]) -> String {
    match breeds {
        [first, _, _, ..] => format!("{first} or the like"),
        few => few.join(" or "),
    }
}

/// An age in years if it is a whole number of them, otherwise in months.
fn months(value: Decimal) -> String {
    let twelve = Decimal::from(12);
    let (number, unit) =
        if value >= twelve && (value % twelve).is_zero() { (value / twelve, "year") } else { (value, "month") };
    let plural = if number == Decimal::ONE { "" } else { "s" };
    format!("{} {unit}{plural}", number.normalize())
}

/// A range in words: "under $200", "from 1 year to under 7 years".
fn range(range: &Range, format_value: &dyn Fn(Decimal) -> String) -> Option<String> {
    let high = |high: RangeLimit| {
        if high.exclusive { format!("under {}", format_value(high.value)) } else { format_value(high.value) }
    };
    Some(match (range.low, range.high) {
        (None, None) => return None,
        (Some(low), Some(high)) if low.value == high.value => format!("at exactly {}", format_value(low.value)),
        (Some(low), Some(limit)) if low.exclusive => format!("over {} to {}", format_value(low.value), high(limit)),
        (Some(low), Some(limit)) => format!("from {} to {}", format_value(low.value), high(limit)),
        (Some(low), None) if low.exclusive => format!("over {}", format_value(low.value)),
        (Some(low), None) => format!("at least {}", format_value(low.value)),
        (None, Some(limit)) if limit.exclusive => format!("under {}", format_value(limit.value)),
        (None, Some(limit)) => format!("at most {}", format_value(limit.value)),
    })
}
