//! The query of the list of pets.

use rust_decimal::Decimal;

use crate::api::pagination::{AFTER, DEFAULT_LIMIT, MAX_LIMIT, PageToken, read_limit};
use crate::api::parameters::{Parameters, is_digits, named, one_of, read_number};
use crate::error::problem::FieldError;
use crate::wire::resource::filter::{PetFilter, Sort};
use crate::wire::resource::page::PageKey;
use crate::wire::resource::pet::{Gender, Size, Species, Status};

/// Longest text that a breed, colour or name is compared with, in characters.
const MAX_TEXT: usize = 100;

/// The words of `sort`, and what they mean.
const SORTS: [(&str, Sort); 6] = [
    ("createdAt", Sort::Created),
    ("price", Sort::PriceAscending),
    ("-price", Sort::PriceDescending),
    ("age", Sort::AgeAscending),
    ("-age", Sort::AgeDescending),
    ("name", Sort::Name),
];

/// The parsed query.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ListQuery {
    pub(super) filter: PetFilter,
    pub(super) sort: Sort,
    pub(super) limit: u32,
    pub(super) after: Option<PageToken<PageKey>>,
}

impl ListQuery {
    /// Reads a query string; the errors are all that is wrong with it.
    pub(super) fn parse(query: &str) -> Result<Self, Vec<FieldError>> {
        let mut given = Parameters::read(query);
        let text = format!("texts of 1 to {MAX_TEXT} characters");
        let (price, months) = ("an amount such as 149.99, not negative", "a whole number of months");
        let limit = format!("a whole number from 1 to {MAX_LIMIT}");
        let sorts = one_of(SORTS.iter().map(|(word, _)| *word));
        let wanted = Self {
            filter: PetFilter {
                species: named(&mut given, "species", Species::ALL, Species::name, Species::from_name),
                status: named(&mut given, "status", Status::ALL, Status::name, Status::from_name),
                size: named(&mut given, "size", Size::ALL, Size::name, Size::from_name),
                gender: named(&mut given, "gender", Gender::ALL, Gender::name, Gender::from_name),
                breed: given.list("breed", &text, read_text),
                color: given.list("color", &text, read_text),
                name: given.list("name", &text, read_text),
                min_price: given.one("minPrice", price, read_amount),
                max_price: given.one("maxPrice", price, read_amount),
                min_age_months: given.one("minAge", months, read_number),
                max_age_months: given.one("maxAge", months, read_number),
                good_with_kids: given.one("goodWithKids", "true or false", |word| word.parse().ok()),
            },
            sort: given.one("sort", &sorts, read_sort).unwrap_or_default(),
            limit: given.one("limit", &limit, read_limit).unwrap_or(DEFAULT_LIMIT),
            after: given.one(AFTER, "a token taken from `next`", |token| PageToken::read(token, PageKey::from_token)),
        };
        given.finish()?;
        Ok(wanted)
    }
}

fn read_text(text: &str) -> Option<String> {
    let fits = (1..=MAX_TEXT).contains(&text.chars().count()) && !text.chars().any(char::is_control);
    fits.then(|| text.to_owned())
}

/// Digits, and a point between digits if need be. `Decimal` alone would take signs and underscores too.
pub(super) fn read_amount(text: &str) -> Option<Decimal> {
    let (whole, cents) = text.split_once('.').unwrap_or((text, "0"));
    if is_digits(whole) && is_digits(cents) { Decimal::from_str_exact(text).ok() } else { None }
}

fn read_sort(text: &str) -> Option<Sort> {
    SORTS.iter().find(|(word, _)| *word == text).map(|(_, sort)| *sort)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(query: &str) -> Vec<String> {
        ListQuery::parse(query).unwrap_err().into_iter().map(|error| error.field).collect()
    }

    #[test]
    fn an_empty_query_is_the_first_twenty_of_all() {
        let all = ListQuery { filter: PetFilter::default(), sort: Sort::Created, limit: 20, after: None };
        assert_eq!(ListQuery::parse("").unwrap(), all);
        assert_eq!(ListQuery::parse("&&").unwrap(), all);
    }

    #[test]
    fn every_parameter_lands_in_its_place() {
        let query = "species=DOG,cat&status=PENDING&size=SMALL&gender=MALE&gender=FEMALE&breed=corgi&color=black%20and+tan\
                     &name=Rex&minPrice=1&maxPrice=99.99&minAge=2&maxAge=24&goodWithKids=true&sort=-price&limit=100";
        let wanted = ListQuery::parse(query).unwrap();
        let filter = PetFilter {
            species: vec![Species::Dog, Species::Cat],
            status: vec![Status::Pending],
            size: vec![Size::Small],
            gender: vec![Gender::Male, Gender::Female],
            breed: vec!["corgi".to_owned()],
            color: vec!["black and tan".to_owned()],
            name: vec!["Rex".to_owned()],
            min_price: Some(Decimal::ONE),
            max_price: Some(Decimal::new(9_999, 2)),
            min_age_months: Some(2),
            max_age_months: Some(24),
            good_with_kids: Some(true),
        };
        assert_eq!(wanted, ListQuery { filter, sort: Sort::PriceDescending, limit: 100, after: None });
    }

    #[test]
    fn amounts_are_plain_decimals() {
        for text in ["0", "149.99", "0.00000000001", "79228162514264337593543950335"] {
            assert_eq!(read_amount(text).unwrap().to_string(), text);
        }
        let beyond = "79228162514264337593543950336";
        for text in ["", "-1", "+1", "1_000", "1e3", ".5", "5.", "1.2.3", "NaN", "١", " 1", "$5", "1,5", beyond] {
            assert_eq!(read_amount(text), None, "{text}");
        }
    }

    #[test]
    fn what_cannot_be_understood_is_named() {
        for (query, field) in [
            ("species=DRAGON", "species"),
            ("species=", "species"),
            ("status=SOLD", "status"),
            ("size=HUGE", "size"),
            ("gender=X", "gender"),
            ("breed=", "breed"),
            ("color=%00", "color"),
            ("name=a,,b", "name"),
            ("minPrice=cheap", "minPrice"),
            ("maxPrice=-1", "maxPrice"),
            ("minAge=1.5", "minAge"),
            ("maxAge=4294967296", "maxAge"),
            ("goodWithKids=yes", "goodWithKids"),
            ("goodWithKids=true&goodWithKids=true", "goodWithKids"),
            ("sort=PRICE", "sort"),
            ("sort=price,age", "sort"),
            ("limit=0", "limit"),
            ("limit=101", "limit"),
            ("limit=%2B5", "limit"),
            ("limit=1&limit=1", "limit"),
            ("after=2", "after"),
            ("colour=red", "colour"),
            ("Species=DOG", "Species"),
        ] {
            assert_eq!(fields(query), [field], "{query}");
        }
        assert_eq!(fields("limit=x&sort=y&z=1"), ["sort", "limit", "z"]);
        assert_eq!(fields(&format!("breed={}", "x".repeat(MAX_TEXT + 1))), ["breed"]);
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_read_or_refused(query in "\\PC{0,80}", name in "[a-zA-Z]{1,12}", value in proptest::prelude::any::<String>()) {
            let pair = url::form_urlencoded::Serializer::new(String::new()).append_pair(&name, &value).finish();
            for query in [query, pair] {
                proptest::prop_assert!(ListQuery::parse(&query).err().is_none_or(|errors| !errors.is_empty()));
            }
        }
    }
}
