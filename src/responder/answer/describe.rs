//! A query in words: what was understood is said with every answer, so that a misunderstanding shows.

use rust_decimal::Decimal;

use super::pet;
use crate::petstore::filter::Sort;
use crate::responder::query::{Conditions, Limit, Query, Range};

/// "available small dogs under $200", for so many.
pub(super) fn describe(query: &Query, number: usize) -> String {
    if let (Some(within), true) = (&query.within, query.any.is_empty() && query.none.is_empty()) {
        return describe(within, number);
    }
    let query = query.clone().with_default_status();
    let mut text = match query.any.as_slice() {
        [] => if number == 1 { "pet" } else { "pets" }.to_owned(),
        several => several.iter().map(|conditions| phrase(conditions, number)).collect::<Vec<_>>().join(" or "),
    };
    if let Some(within) = &query.within
        && query.any.iter().all(|conditions| conditions.species.is_empty())
    {
        let among = if within.take.is_some() { "those".to_owned() } else { format!("the {}", describe(within, 2)) };
        text = format!("{text} among {among}");
    }
    if !query.none.is_empty() {
        let none: Vec<String> = query.none.iter().map(denied).collect();
        text = format!("{text}, leaving out {}", none.join(" and "));
    }
    text
}

/// "cheapest", if the query chooses by an order.
pub(super) fn superlative(query: &Query) -> Option<&'static str> {
    query.take.and_then(|_| order(query.sort))
}

/// ", cheapest first", if the query only orders.
pub(super) fn ordered(query: &Query) -> String {
    match order(query.sort) {
        _ if query.take.is_some() => String::new(),
        Some(order) => format!(", {order} first"),
        None if query.sort == Sort::Name => ", by name".to_owned(),
        None => String::new(),
    }
}

const fn order(sort: Sort) -> Option<&'static str> {
    match sort {
        Sort::PriceAscending => Some("cheapest"),
        Sort::PriceDescending => Some("most expensive"),
        Sort::AgeAscending => Some("youngest"),
        Sort::AgeDescending => Some("oldest"),
        Sort::Created | Sort::Name => None,
    }
}

/// What is excluded. A name is not repeated: the answer is about the others.
fn denied(conditions: &Conditions) -> String {
    if conditions.name.is_empty() { phrase(conditions, 2) } else { "the one you named".to_owned() }
}

fn phrase(conditions: &Conditions, number: usize) -> String {
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

/// A kind is named by the first of its words.
fn breeds(breeds: &[String]) -> String {
    match breeds {
        [first, _, _, ..] => format!("{first} or the like"),
        few => few.join(" or "),
    }
}

/// Months as a person would say them.
fn months(value: Decimal) -> String {
    let twelve = Decimal::from(12);
    let (number, unit) =
        if value >= twelve && (value % twelve).is_zero() { (value / twelve, "year") } else { (value, "month") };
    let plural = if number == Decimal::ONE { "" } else { "s" };
    format!("{} {unit}{plural}", number.normalize())
}

/// "under $200", "from 1 year to under 7 years".
fn range(range: &Range, say: &dyn Fn(Decimal) -> String) -> Option<String> {
    let high = |high: Limit| if high.strict { format!("under {}", say(high.value)) } else { say(high.value) };
    Some(match (range.low, range.high) {
        (None, None) => return None,
        (Some(low), Some(high)) if low.value == high.value => format!("at exactly {}", say(low.value)),
        (Some(low), Some(limit)) if low.strict => format!("over {} to {}", say(low.value), high(limit)),
        (Some(low), Some(limit)) => format!("from {} to {}", say(low.value), high(limit)),
        (Some(low), None) if low.strict => format!("over {}", say(low.value)),
        (Some(low), None) => format!("at least {}", say(low.value)),
        (None, Some(limit)) if limit.strict => format!("under {}", say(limit.value)),
        (None, Some(limit)) => format!("at most {}", say(limit.value)),
    })
}
