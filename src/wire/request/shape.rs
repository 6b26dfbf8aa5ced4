//! JSON values as text: which type they are, and typed looks at them.

use std::borrow::Cow;

use super::invalid::{Bound, Invalid, Kind};
use crate::wire::members::{Member, elements, members};

/// The type of a JSON value, with its article, as the contract's messages name it.
pub(super) fn kind(value: &str) -> &'static str {
    match value.as_bytes().first() {
        Some(b'"') => "a string",
        Some(b'{') => "an object",
        Some(b'[') => "an array",
        Some(b't' | b'f') => "a boolean",
        Some(b'n') => "null",
        _ if is_integer(value) => "an integer",
        _ => "a decimal",
    }
}

fn is_integer(value: &str) -> bool {
    !value.bytes().any(|byte| matches!(byte, b'.' | b'e' | b'E'))
}

/// `null` equals absent for optional parameters.
pub(super) fn present(value: Option<&str>) -> Option<&str> {
    value.filter(|value| *value != "null")
}

pub(super) fn string<'a>(param: &str, value: &'a str) -> Result<Cow<'a, str>, Invalid> {
    if !value.starts_with('"') {
        return Err(Invalid::wrong_type(param, "a string", value));
    }
    // Borrowed where nothing is escaped.
    match value.strip_prefix('"').and_then(|text| text.strip_suffix('"')) {
        Some(text) if memchr::memchr(b'\\', text.as_bytes()).is_none() => Ok(Cow::Borrowed(text)),
        _ => serde_json::from_str(value).map(Cow::Owned).map_err(|_| Invalid::unreadable()),
    }
}

pub(super) fn boolean(param: &str, value: &str) -> Result<bool, Invalid> {
    match value {
        "true" => Ok(true),
        "false" => Ok(false),
        _ => Err(Invalid::wrong_type(param, "a boolean", value)),
    }
}

/// A whole number from `least` to `most`.
pub(super) fn integer(param: &str, value: &str, least: i64, most: i64) -> Result<i64, Invalid> {
    if !matches!(value.as_bytes().first(), Some(b'-' | b'0'..=b'9')) || !is_integer(value) {
        return Err(Invalid::wrong_type(param, "an integer", value));
    }
    let out = |bound, limit: i64| Invalid::out_of_range(param, Kind::Integer, bound, &limit.to_string(), value);
    match value.parse::<i64>() {
        Ok(number) if number > most => Err(out(Bound::Above, most)),
        Ok(number) if number < least => Err(out(Bound::Below, least)),
        Ok(number) => Ok(number),
        // Well-formed but beyond 64 bits.
        Err(_) if value.starts_with('-') => Err(out(Bound::Below, least)),
        Err(_) => Err(out(Bound::Above, most)),
    }
}

/// A number from `least` to `most`.
pub(super) fn decimal(param: &str, value: &str, least: i32, most: i32) -> Result<(), Invalid> {
    let number = match value.as_bytes().first() {
        Some(b'-' | b'0'..=b'9') => value.parse::<f64>().ok(),
        _ => None,
    };
    let Some(number) = number else { return Err(Invalid::wrong_type(param, "a decimal", value)) };
    let out = |bound, limit: i32| Invalid::out_of_range(param, Kind::Decimal, bound, &limit.to_string(), value);
    if number > f64::from(most) {
        return Err(out(Bound::Above, most));
    }
    if number < f64::from(least) {
        return Err(out(Bound::Below, least));
    }
    Ok(())
}

pub(super) fn object<'a>(param: &str, value: &'a str) -> Result<Vec<Member<'a>>, Invalid> {
    if !value.starts_with('{') {
        return Err(Invalid::wrong_type(param, "an object", value));
    }
    members(value).map_err(|_| Invalid::unreadable())
}

/// The elements of an array; `of` says what it should hold: `an array of objects`.
pub(super) fn array<'a>(param: &str, of: &str, value: &'a str) -> Result<Vec<&'a str>, Invalid> {
    if !value.starts_with('[') {
        return Err(Invalid::wrong_type(param, of, value));
    }
    elements(value).map_err(|_| Invalid::unreadable())
}

/// The value of the last member named `key`, as JSON readers take it.
pub(super) fn field<'a>(all: &[Member<'a>], key: &str) -> Option<&'a str> {
    all.iter().rev().find(|member| member.key == key).map(|member| member.value)
}
