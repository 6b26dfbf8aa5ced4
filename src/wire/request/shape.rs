//! JSON values as text: which type they are, and typed looks at them, each in one pass and without a list of what they
//! hold. A value may be as long as a body may be.

use std::borrow::Cow;
use std::fmt::{self, Display};

use super::invalid::{Bound, Invalid, Kind};
use super::known::folded;
use crate::wire::scan::{Malformed, Scanner};

/// Where a value stands: `messages[0].role`. Written out only when something is wrong there.
#[derive(Clone, Copy, Debug)]
pub(super) struct Path<'p> {
    parent: &'p dyn Parent,
    step: Step<'p>,
}

/// What a path goes on from.
trait Parent: Display + fmt::Debug {}

impl<T: Display + fmt::Debug> Parent for T {}

#[derive(Clone, Copy, Debug)]
enum Step<'p> {
    Member(&'p str),
    Element(usize),
}

impl<'p> Path<'p> {
    /// A member of what stands at `parent`.
    pub(super) const fn member<P: Display + fmt::Debug>(parent: &'p P, name: &'p str) -> Self {
        Self { parent, step: Step::Member(name) }
    }

    /// An element of it.
    pub(super) const fn element<P: Display + fmt::Debug>(parent: &'p P, index: usize) -> Self {
        Self { parent, step: Step::Element(index) }
    }
}

impl Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.step {
            Step::Member(name) => write!(f, "{}.{name}", self.parent),
            Step::Element(index) => write!(f, "{}[{index}]", self.parent),
        }
    }
}

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

fn is_number(value: &str) -> bool {
    matches!(value.as_bytes().first(), Some(b'-' | b'0'..=b'9'))
}

fn is_integer(value: &str) -> bool {
    !value.bytes().any(|byte| matches!(byte, b'.' | b'e' | b'E'))
}

/// `null` equals absent for optional parameters.
pub(super) fn present(value: Option<&str>) -> Option<&str> {
    value.filter(|value| *value != "null")
}

pub(super) fn string<'a>(param: impl Display, value: &'a str) -> Result<Cow<'a, str>, Invalid> {
    if !value.starts_with('"') {
        return Err(Invalid::wrong_type(param, "a string", value));
    }
    text(value).ok_or_else(Invalid::unreadable)
}

/// The text of a JSON string; none of another value, or where an escape stands for half a character.
#[must_use]
pub fn text(value: &str) -> Option<Cow<'_, str>> {
    let inside = value.strip_prefix('"')?.strip_suffix('"')?;
    // Borrowed where nothing is escaped.
    if memchr::memchr(b'\\', inside.as_bytes()).is_none() {
        return Some(Cow::Borrowed(inside));
    }
    serde_json::from_str(value).map(Cow::Owned).ok()
}

pub(super) fn boolean(param: impl Display, value: &str) -> Result<bool, Invalid> {
    match value {
        "true" => Ok(true),
        "false" => Ok(false),
        _ => Err(Invalid::wrong_type(param, "a boolean", value)),
    }
}

/// A whole number from `least` to `most`, written as one.
pub(super) fn integer(param: impl Display, value: &str, least: i64, most: i64) -> Result<i64, Invalid> {
    if !is_number(value) || !is_integer(value) {
        return Err(Invalid::wrong_type(param, "an integer", value));
    }
    timeout(param, value, value.parse::<i64>().ok(), least, most)
}

/// A whole number, also one that is written with a fraction of zero or an exponent, as lenient servers read it: `100.0`,
/// `1e3`. Beyond 64 bits it is the nearest that there is.
pub(super) fn whole(param: impl Display, value: &str) -> Result<i64, Invalid> {
    let wrong = || Invalid::wrong_type(&param, "an integer", value);
    if !is_number(value) {
        return Err(wrong());
    }
    if is_integer(value) {
        let beyond = if value.starts_with('-') { i64::MIN } else { i64::MAX };
        return Ok(value.parse().unwrap_or(beyond));
    }
    let number: f64 = value.parse().map_err(|_| wrong())?;
    // The conversion saturates.
    if number.is_finite() && number.fract() != 0.0 { Err(wrong()) } else { Ok(number as i64) }
}

/// As [`whole`], from `least` to `most`.
pub(super) fn whole_within(param: impl Display, value: &str, least: i64, most: i64) -> Result<i64, Invalid> {
    let number = whole(&param, value)?;
    timeout(param, value, Some(number), least, most)
}

fn timeout(param: impl Display, value: &str, number: Option<i64>, least: i64, most: i64) -> Result<i64, Invalid> {
    let out = |bound, limit: i64| Invalid::out_of_range(&param, Kind::Integer, bound, &limit.to_string(), value);
    match number {
        Some(number) if number > most => Err(out(Bound::Above, most)),
        Some(number) if number < least => Err(out(Bound::Below, least)),
        Some(number) => Ok(number),
        // Well-formed but beyond 64 bits.
        None if value.starts_with('-') => Err(out(Bound::Below, least)),
        None => Err(out(Bound::Above, most)),
    }
}

/// A number from `least` to `most`.
pub(super) fn decimal(param: impl Display, value: &str, least: i32, most: i32) -> Result<(), Invalid> {
    let number = if is_number(value) { value.parse::<f64>().ok() } else { None };
    let Some(number) = number else { return Err(Invalid::wrong_type(param, "a decimal", value)) };
    let out = |bound, limit: i32| Invalid::out_of_range(&param, Kind::Decimal, bound, &limit.to_string(), value);
    if number > f64::from(most) {
        return Err(out(Bound::Above, most));
    }
    if number < f64::from(least) {
        return Err(out(Bound::Below, least));
    }
    Ok(())
}

/// An object, whatever is in it.
pub(super) fn object(param: impl Display, value: &str) -> Result<(), Invalid> {
    if value.starts_with('{') { Ok(()) } else { Err(Invalid::wrong_type(param, "an object", value)) }
}

/// The values of the members `names` of an object, by their places; others are passed over.
///
/// # Errors
/// [`Invalid`] where there is no object, where one of the members stands twice, or where a reader that does not tell upper
/// from lower case would take another one for it.
pub fn pick<'a, const N: usize>(
    param: impl Display,
    value: &'a str,
    names: &[&str; N],
) -> Result<[Option<&'a str>; N], Invalid> {
    let mut found = [None; N];
    each_member(&param, value, |key, value| {
        let known = |key: &str| names.iter().position(|name| *name == key);
        let Some(place) = known(&key) else {
            return match folded(&key).and_then(|name| known(&name)) {
                Some(place) => {
                    let known = format!("{param}.{}", names[place]);
                    Err(Invalid::misspelt(&format!("{param}.{}", super::invalid::quoted(&key)), known))
                }
                None => Ok(()),
            };
        };
        match found[place].replace(value) {
            Some(_) => Err(Invalid::repeated(format!("{param}.{}", names[place]))),
            None => Ok(()),
        }
    })?;
    Ok(found)
}

/// Calls `each` with the members of an object, one by one; gives their number.
///
/// # Errors
/// [`Invalid`] where there is no object, and whatever `each` says.
pub(super) fn each_member<'a>(
    param: impl Display,
    value: &'a str,
    mut each: impl FnMut(Cow<'a, str>, &'a str) -> Result<(), Invalid>,
) -> Result<usize, Invalid> {
    object(param, value)?;
    let (mut count, mut refused) = (0, None);
    let read = Scanner::new(value).object(|scanner, key| {
        count += 1;
        each(key, scanner.value()?).map_err(|invalid| keep(&mut refused, invalid))
    });
    outcome(read, refused).map(|()| count)
}

/// As `each_member`, with the elements of an array; `of` says what it should hold: `an array of objects`.
///
/// # Errors
/// As `each_member`.
pub fn each_element<'a>(
    param: impl Display,
    of: &str,
    value: &'a str,
    mut each: impl FnMut(usize, &'a str) -> Result<(), Invalid>,
) -> Result<usize, Invalid> {
    if !value.starts_with('[') {
        return Err(Invalid::wrong_type(param, of, value));
    }
    let (mut count, mut refused) = (0, None);
    let read = Scanner::new(value).array(|scanner| {
        count += 1;
        each(count - 1, scanner.value()?).map_err(|invalid| keep(&mut refused, invalid))
    });
    outcome(read, refused).map(|()| count)
}

/// Whether an object or an array has nothing in it.
#[must_use]
pub fn is_empty(value: &str) -> bool {
    value.get(1..).is_some_and(|inside| inside.trim_start().starts_with(['}', ']']))
}

/// A scanner stops at what is malformed; what is invalid is kept for whoever reads.
pub(super) fn keep(refused: &mut Option<Invalid>, invalid: Invalid) -> Malformed {
    *refused = Some(invalid);
    Malformed
}

/// What came of reading a value that was well-formed before.
fn outcome(read: Result<(), Malformed>, refused: Option<Invalid>) -> Result<(), Invalid> {
    match refused {
        Some(invalid) => Err(invalid),
        None => read.map_err(|_| Invalid::unreadable()),
    }
}
