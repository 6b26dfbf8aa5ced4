//! A pet in the body of a request: its members and their limits.
//!
//! Required: `species`, `name`, `breed`, `ageMonths`, `size`, `color`, `price`. Left out, `gender` is `UNKNOWN`,
//! `goodWithKids` false, `currency` `USD`, `description` empty, and `status` `AVAILABLE` for a new pet; PUT leaves the
//! status as it is. Members that only the server sets (`id`, `createdAt`, `updatedAt`, `version`) are ignored, so that
//! clients can change what they have read and send it back; any other member is refused.

use rust_decimal::Decimal;

use super::query::read_amount;
use crate::api::json_body::{JsonBody, Object, Otherwise, Purpose, scalar, text};
use crate::api::parameters::one_of;
use crate::error::problem::Problem;
use crate::petstore::CommandError;
use crate::wire::resource::money;
use crate::wire::resource::pet::{Gender, PetEdit, PetFields, Size, Species, Status};

/// Members that only the server sets.
pub(in crate::api) const SERVER_MEMBERS: [&str; 4] = ["id", "createdAt", "updatedAt", "version"];
/// Longest enumeration value, price and currency, characters.
const MAX_NAME_LEN: usize = 60;
/// Longest name, breed and colour, characters.
const MAX_WORD_LEN: usize = 60;
/// Longest description, characters.
const MAX_TEXT_LEN: usize = 2_000;
/// Highest age, months.
const MAX_AGE: u32 = 1_200;
/// Highest price, units of its currency.
const MAX_PRICE: Decimal = Decimal::from_parts(1_000_000, 0, 0, false, 0);
const DEFAULT_CURRENCY: &str = "USD";

/// A new pet.
pub(super) fn new(document: &JsonBody) -> Result<PetFields, Problem> {
    let edit = read(document, Purpose::Whole, Otherwise::Default(Status::Available))?;
    edit.into_fields().ok_or_else(|| {
        tracing::error!("a required member of a pet was not read");
        Problem::internal()
    })
}

/// A pet in place of another.
pub(super) fn replacement(document: &JsonBody) -> Result<PetEdit, Problem> {
    read(document, Purpose::Whole, Otherwise::Unchanged)
}

/// A merge patch.
pub(super) fn patch(document: &JsonBody) -> Result<PetEdit, Problem> {
    read(document, Purpose::Patch, Otherwise::Unchanged)
}

fn read(document: &JsonBody, purpose: Purpose, status: Otherwise<Status>) -> Result<PetEdit, Problem> {
    use Otherwise::{Default, Required};
    let mut given = document.object(purpose)?;
    let word = format!("a text of 1 to {MAX_WORD_LEN} characters, not blank, without control characters");
    let long =
        format!("a text of at most {MAX_TEXT_LEN} characters, without control characters but line breaks and tabs");
    let months = format!("a whole number from 0 to {MAX_AGE}");
    let amount = format!("a decimal in quotes such as \"149.99\", from 0 to {MAX_PRICE}");
    given.ignore(&SERVER_MEMBERS);
    let edit = PetEdit {
        species: named(&mut given, "species", Species::ALL, Required, Species::name, Species::from_name),
        name: given.member("name", &word, Required, read_word),
        breed: given.member("breed", &word, Required, read_word),
        age_months: given.member("ageMonths", &months, Required, |json| scalar(json).filter(|age| *age <= MAX_AGE)),
        size: named(&mut given, "size", Size::ALL, Required, Size::name, Size::from_name),
        color: given.member("color", &word, Required, read_word),
        gender: named(&mut given, "gender", Gender::ALL, Default(Gender::Unknown), Gender::name, Gender::from_name),
        good_with_kids: given.member("goodWithKids", "true or false", Default(false), scalar),
        price: given.member("price", &amount, Required, read_price),
        currency: given.member(
            "currency",
            "an ISO 4217 code of three upper-case letters such as USD",
            Default(DEFAULT_CURRENCY.to_owned()),
            read_currency,
        ),
        description: given.member("description", &long, Default(String::new()), read_long),
        status: named(&mut given, "status", Status::ALL, status, Status::name, Status::from_name),
    };
    if let (Some(price), Some(currency)) = (edit.price, &edit.currency)
        && !money::fits(price, currency)
    {
        // The store checks this again, with the members that an edit leaves unchanged; here it is one error among
        // others.
        let max = money::decimals(currency);
        given.refuse::<()>("price", CommandError::TooManyDecimals { currency: currency.clone(), max }.to_string());
    }
    given.finish()?;
    Ok(edit)
}

/// A member with a value of an enumeration.
pub(in crate::api) fn named<T: Copy>(
    given: &mut Object<'_>,
    member: &str,
    all: &[T],
    otherwise: Otherwise<T>,
    name: fn(T) -> &'static str,
    from_name: fn(&str) -> Option<T>,
) -> Option<T> {
    let expected = one_of(all.iter().map(|value| name(*value)));
    given.member(member, &expected, otherwise, |json| from_name(&text(json, MAX_NAME_LEN)?))
}

fn read_word(json: &str) -> Option<String> {
    text(json, MAX_WORD_LEN).filter(|word| !word.trim().is_empty() && !word.chars().any(char::is_control))
}

fn read_long(json: &str) -> Option<String> {
    let is_fine = |c: char| !c.is_control() || matches!(c, '\n' | '\r' | '\t');
    text(json, MAX_TEXT_LEN).filter(|text| text.chars().all(is_fine))
}

/// A string, since many clients lose digits of JSON numbers.
fn read_price(json: &str) -> Option<Decimal> {
    read_amount(&text(json, MAX_NAME_LEN)?).filter(|price| *price <= MAX_PRICE)
}

fn read_currency(json: &str) -> Option<String> {
    text(json, MAX_NAME_LEN).filter(|code| code.len() == 3 && code.bytes().all(|byte| byte.is_ascii_uppercase()))
}
