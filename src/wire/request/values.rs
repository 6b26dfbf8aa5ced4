//! Typed reads of JSON values that are given as text. Each is one pass and keeps no list of what it reads, since a
//! value may be as long as a body.

use std::borrow::Cow;
use std::fmt::Display;

use super::invalid_request::{InvalidRequest, NumberKind, RangeSide, quoted};
use super::json_type::{is_integer, is_number};
use super::param::folded;
use crate::wire::scan::{Malformed, Scanner};

/// The value unless it is `null`, which equals absent for optional parameters.
pub(in crate::wire) fn present(value: Option<&str>) -> Option<&str> {
    value.filter(|value| *value != "null")
}

pub(in crate::wire) fn string<'a>(param: impl Display, value: &'a str) -> Result<Cow<'a, str>, InvalidRequest> {
    if !value.starts_with('"') {
        return Err(InvalidRequest::wrong_type(param, "a string", value));
    }
    decode_string(value).ok_or_else(InvalidRequest::unreadable)
}

/// Decodes a JSON string. None for a value of another type, and for a string with an unpaired surrogate escape.
#[must_use]
pub(crate) fn decode_string(value: &str) -> Option<Cow<'_, str>> {
    let inside = value.strip_prefix('"')?.strip_suffix('"')?;
    // Borrowed unless it has escapes.
    if memchr::memchr(b'\\', inside.as_bytes()).is_none() {
        return Some(Cow::Borrowed(inside));
    }
    serde_json::from_str(value).map(Cow::Owned).ok()
}

pub(in crate::wire) fn boolean(param: impl Display, value: &str) -> Result<bool, InvalidRequest> {
    match value {
        "true" => Ok(true),
        "false" => Ok(false),
        _ => Err(InvalidRequest::wrong_type(param, "a boolean", value)),
    }
}

/// An integer from `min` to `max`, written without a fraction and an exponent.
pub(in crate::wire) fn integer(param: impl Display, value: &str, min: i64, max: i64) -> Result<i64, InvalidRequest> {
    if !is_number(value) || !is_integer(value) {
        return Err(InvalidRequest::wrong_type(param, "an integer", value));
    }
    in_range(param, value, value.parse::<i64>().ok(), min, max)
}

/// An integer as lenient servers read it: a fraction of zero and an exponent are accepted (`100.0`, `1e3`). A number
/// beyond 64 bits becomes the nearest `i64`.
pub(in crate::wire) fn lenient_integer(param: impl Display, value: &str) -> Result<i64, InvalidRequest> {
    let wrong = || InvalidRequest::wrong_type(&param, "an integer", value);
    if !is_number(value) {
        return Err(wrong());
    }
    if is_integer(value) {
        let nearest = if value.starts_with('-') { i64::MIN } else { i64::MAX };
        return Ok(value.parse().unwrap_or(nearest));
    }
    let number: f64 = value.parse().map_err(|_| wrong())?;
    // The conversion saturates.
    if number.is_finite() && number.fract() != 0.0 { Err(wrong()) } else { Ok(number as i64) }
}

/// As [`lenient_integer`], from `min` to `max`.
pub(in crate::wire) fn lenient_integer_in(
    param: impl Display,
    value: &str,
    min: i64,
    max: i64,
) -> Result<i64, InvalidRequest> {
    let number = lenient_integer(&param, value)?;
    in_range(param, value, Some(number), min, max)
}

/// `number` is none where `value` is an integer beyond 64 bits.
fn in_range(param: impl Display, value: &str, number: Option<i64>, min: i64, max: i64) -> Result<i64, InvalidRequest> {
    let out =
        |side, limit: i64| InvalidRequest::out_of_range(&param, NumberKind::Integer, side, &limit.to_string(), value);
    match number {
        Some(number) if number > max => Err(out(RangeSide::Above, max)),
        Some(number) if number < min => Err(out(RangeSide::Below, min)),
        Some(number) => Ok(number),
        None if value.starts_with('-') => Err(out(RangeSide::Below, min)),
        None => Err(out(RangeSide::Above, max)),
    }
}

/// A number from `min` to `max`.
pub(in crate::wire) fn decimal(param: impl Display, value: &str, min: i32, max: i32) -> Result<(), InvalidRequest> {
    let number = if is_number(value) { value.parse::<f64>().ok() } else { None };
    let Some(number) = number else { return Err(InvalidRequest::wrong_type(param, "a decimal", value)) };
    let out =
        |side, limit: i32| InvalidRequest::out_of_range(&param, NumberKind::Decimal, side, &limit.to_string(), value);
    if number > f64::from(max) {
        return Err(out(RangeSide::Above, max));
    }
    if number < f64::from(min) {
        return Err(out(RangeSide::Below, min));
    }
    Ok(())
}

/// Checks that a value is an object; its members are not read.
pub(in crate::wire) fn object(param: impl Display, value: &str) -> Result<(), InvalidRequest> {
    if value.starts_with('{') { Ok(()) } else { Err(InvalidRequest::wrong_type(param, "an object", value)) }
}

/// The values of an object's members `names`, in the order of `names`. Other members are skipped.
///
/// # Errors
/// [`InvalidRequest`] when `value` is no object, when one of the members is repeated, and when a case-insensitive
/// reader would take another member for one of them.
pub(crate) fn pick<'a, const N: usize>(
    param: impl Display,
    value: &'a str,
    names: &[&str; N],
) -> Result<[Option<&'a str>; N], InvalidRequest> {
    let mut found = [None; N];
    each_member(&param, value, |key, value| {
        let position = |key: &str| names.iter().position(|name| *name == key);
        let Some(index) = position(&key) else {
            return match folded(&key).and_then(|name| position(&name)) {
                Some(index) => {
                    let known = format!("{param}.{}", names[index]);
                    Err(InvalidRequest::misspelt(&format!("{param}.{}", quoted(&key)), known))
                }
                None => Ok(()),
            };
        };
        match found[index].replace(value) {
            Some(_) => Err(InvalidRequest::repeated(format!("{param}.{}", names[index]))),
            None => Ok(()),
        }
    })?;
    Ok(found)
}

/// Calls `each` with every member of an object; returns how many there are.
///
/// # Errors
/// [`InvalidRequest`] when `value` is no object, and the first error of `each`.
pub(in crate::wire) fn each_member<'a>(
    param: impl Display,
    value: &'a str,
    mut each: impl FnMut(Cow<'a, str>, &'a str) -> Result<(), InvalidRequest>,
) -> Result<usize, InvalidRequest> {
    object(param, value)?;
    let (mut count, mut invalid) = (0, None);
    let scanned = Scanner::new(value).object(|scanner, key| {
        count += 1;
        each(key, scanner.value()?).map_err(|error| stop(&mut invalid, error))
    });
    outcome(scanned, invalid).map(|()| count)
}

/// Calls `each` with the index and the value of every element of an array; returns how many there are. `expected` is
/// the type for the message of an error, with its article: `an array of objects`.
///
/// # Errors
/// [`InvalidRequest`] when `value` is no array, and the first error of `each`.
pub(crate) fn each_element<'a>(
    param: impl Display,
    expected: &str,
    value: &'a str,
    mut each: impl FnMut(usize, &'a str) -> Result<(), InvalidRequest>,
) -> Result<usize, InvalidRequest> {
    if !value.starts_with('[') {
        return Err(InvalidRequest::wrong_type(param, expected, value));
    }
    let (mut count, mut invalid) = (0, None);
    let scanned = Scanner::new(value).array(|scanner| {
        count += 1;
        each(count - 1, scanner.value()?).map_err(|error| stop(&mut invalid, error))
    });
    outcome(scanned, invalid).map(|()| count)
}

/// Whether an object or an array is empty.
#[must_use]
pub(crate) fn is_empty(value: &str) -> bool {
    value.get(1..).is_some_and(|inside| inside.trim_start().starts_with(['}', ']']))
}

/// Ends a scan: a scanner's callback can only return [`Malformed`], so the error itself is put into `invalid`.
pub(in crate::wire) fn stop(invalid: &mut Option<InvalidRequest>, error: InvalidRequest) -> Malformed {
    *invalid = Some(error);
    Malformed
}

/// The result of a scan that may have ended by [`stop`].
fn outcome(scanned: Result<(), Malformed>, invalid: Option<InvalidRequest>) -> Result<(), InvalidRequest> {
    match invalid {
        Some(error) => Err(error),
        None => scanned.map_err(|_| InvalidRequest::unreadable()),
    }
}
