//! Parsers of single values: each returns the value, or an error with what it expected.

use std::net::SocketAddr;
use std::str::FromStr;

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

use super::base_url::BaseUrl;
use super::yaml::{Text, Value};

impl Value {
    /// Its kind, for errors that must not show the value.
    pub(super) const fn kind(&self) -> &'static str {
        match self {
            Self::Null | Self::Invalid => "nothing",
            Self::Bool(_) => "true or false",
            Self::Integer(_) | Self::Float(_) => "a number",
            Self::Text(_) => "text",
            Self::List(_) => "a list",
            Self::Map(_) => "keys and values",
        }
    }

    /// The text, if it is one.
    pub(super) fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(&text.text),
            _ => None,
        }
    }

    /// The text with its variables as the file has them, `${NAME}`, if it is one.
    pub(super) fn as_written(&self) -> Option<&str> {
        match self {
            Self::Text(Text { text, written }) => Some(written.as_ref().unwrap_or(text)),
            _ => None,
        }
    }

    /// The number, if it is one. The value of a variable is a text, which is parsed.
    fn as_number<T: FromStr>(&self, of: impl FnOnce(&Self) -> Option<T>) -> Option<T> {
        match self {
            Self::Text(Text { text, written: Some(_) }) => text.trim().parse().ok(),
            other => of(other),
        }
    }
}

/// Formats `value` for an error. Values of variables and texts that look like secrets are not shown.
pub(super) fn shown(value: &Value) -> String {
    match value {
        Value::Bool(value) => value.to_string(),
        Value::Integer(value) => value.to_string(),
        Value::Float(value) => value.to_string(),
        Value::Text(Text { written: Some(written), .. }) => format!("the value of {}", shown_text(written)),
        Value::Text(Text { text, .. }) => shown_text(text),
        other => other.kind().to_owned(),
    }
}

/// Formats `text` for an error: in quotes, truncated, and not shown if it looks like a secret.
pub(super) fn shown_text(text: &str) -> String {
    const MAX_SHOWN_LEN: usize = 60;
    let has_password = text.to_ascii_lowercase().contains("password");
    if text.starts_with("sk-") || text.contains(['@', '?']) || has_password {
        return "a text that is not shown here, as it may be a secret".to_owned();
    }
    let truncated: String = text.chars().take(MAX_SHOWN_LEN).collect();
    let more = if truncated.len() < text.len() { "…" } else { "" };
    format!("{truncated:?}{more}")
}

/// Parses a percentage from `0%` to `100%`.
pub(super) fn percent(value: &Value) -> Result<u32, String> {
    let number = value.as_text().and_then(|text| text.strip_suffix('%'));
    let number = number.filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()));
    let share = number.and_then(|digits| digits.parse().ok()).filter(|share| *share <= 100);
    share.ok_or_else(|| "a share from 0% to 100%".to_owned())
}

/// Parses `true` or `false`. The value of a variable is a text, which is parsed.
pub(super) fn flag(value: &Value) -> Result<bool, String> {
    match value {
        Value::Bool(flag) => Some(*flag),
        Value::Text(Text { text, written: Some(_) }) => text.trim().parse().ok(),
        _ => None,
    }
    .ok_or_else(|| "true or false".to_owned())
}

/// A parser of numbers of bytes from `min` to `max`: a whole number, or one with `KiB`, `MiB` or `GiB`.
pub(super) fn size<T: TryFrom<u64>>(min: u64, max: u64) -> impl FnOnce(&Value) -> Result<T, String> {
    move |value| {
        let bytes = match value {
            Value::Integer(bytes) => u64::try_from(*bytes).ok(),
            Value::Text(Text { text, .. }) => parse_size(text),
            _ => None,
        };
        let bytes = bytes.ok_or("a size such as 16MiB")?;
        let fits = (min..=max).contains(&bytes);
        let fitting = fits.then(|| T::try_from(bytes).ok()).flatten();
        fitting.ok_or_else(|| format!("a size from {} to {}", shown_size(min), shown_size(max)))
    }
}

fn parse_size(text: &str) -> Option<u64> {
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (number, unit) = text.split_at(digits);
    let shift = match unit.trim_start() {
        "" | "B" => 0,
        "KiB" => 10,
        "MiB" => 20,
        "GiB" => 30,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(1 << shift)
}

/// Formats `bytes` in the largest unit that divides it.
pub(super) fn shown_size(bytes: u64) -> String {
    let units = [(30, "GiB"), (20, "MiB"), (10, "KiB")];
    let whole = units.into_iter().find(|(shift, _)| bytes > 0 && bytes.trailing_zeros() >= *shift);
    whole.map_or_else(|| format!("{bytes} bytes"), |(shift, unit)| format!("{}{unit}", bytes >> shift))
}

/// A parser of whole numbers from `min` to `max`.
pub(super) fn whole<T: TryFrom<u64>>(min: u64, max: u64) -> impl FnOnce(&Value) -> Result<T, String> {
    move |value| {
        let number = value.as_number(|value| match value {
            Value::Integer(number) => Some(*number),
            _ => None,
        });
        let number = number.and_then(|number| u64::try_from(number).ok());
        let fitting = number.filter(|number| (min..=max).contains(number));
        fitting.and_then(|number| T::try_from(number).ok()).ok_or_else(|| match max {
            // Far beyond any sensible value: not mentioned.
            4_294_967_295.. => format!("a whole number of at least {min}"),
            _ => format!("a whole number from {min} to {max}"),
        })
    }
}

/// A parser of numbers from `min` to `max`.
pub(super) fn number(min: f64, max: f64) -> impl FnOnce(&Value) -> Result<f64, String> {
    move |value| {
        let number = value.as_number(|value| match value {
            Value::Float(number) => Some(*number),
            // An integer beyond i32 is outside every setting's range.
            Value::Integer(number) => i32::try_from(*number).ok().map(f64::from),
            _ => None,
        });
        number.filter(|number| (min..=max).contains(number)).ok_or_else(|| format!("a number from {min} to {max}"))
    }
}

/// A parser of one of `words`.
pub(super) fn choice<T: Copy>(words: &'static [(&'static str, T)]) -> impl Fn(&Value) -> Result<T, String> {
    move |value| {
        let found = value.as_text().and_then(|text| words.iter().find(|(word, _)| *word == text));
        found.map(|(_, meaning)| *meaning).ok_or_else(|| {
            let words: Vec<_> = words.iter().map(|(word, _)| *word).collect();
            format!("one of {}", words.join(", "))
        })
    }
}

/// A parser of texts of 1 to `max` printable characters.
pub(super) fn name(max: usize) -> impl FnOnce(&Value) -> Result<String, String> {
    move |value| {
        let fits =
            |text: &&str| !text.trim().is_empty() && text.chars().count() <= max && !text.chars().any(char::is_control);
        let quoted = if matches!(value, Value::Text(_)) { "" } else { " (in quotes if it is a number)" };
        value
            .as_text()
            .filter(fits)
            .map(str::to_owned)
            .ok_or_else(|| format!("a text of 1 to {max} printable characters{quoted}"))
    }
}

/// Parses an address to listen on.
pub(super) fn address(value: &Value) -> Result<SocketAddr, String> {
    let address = value.as_text().and_then(|text| text.parse().ok());
    address.ok_or_else(|| "ADDRESS:PORT such as 127.0.0.1:4000 or [::1]:4000".to_owned())
}

/// Parses a day (its first moment in UTC) or a moment.
pub(super) fn moment(value: &Value) -> Result<Timestamp, String> {
    let moment = value.as_text().and_then(parse_moment);
    moment.ok_or_else(|| "a day such as 2027-01-01 or a moment such as 2027-01-01T12:00:00Z".to_owned())
}

/// Parses a day such as `2027-01-01`, which means its first moment in UTC, or a moment with an offset such as
/// `2027-01-01T12:00:00Z`.
#[must_use]
pub fn parse_moment(text: &str) -> Option<Timestamp> {
    text.parse::<Timestamp>().ok().or_else(|| {
        // jiff's dates also accept a time of day without an offset, which would be ignored silently.
        let day = text.parse::<Date>().ok().filter(|_| text.len() == "2027-01-01".len())?;
        Some(day.to_zoned(TimeZone::UTC).ok()?.timestamp())
    })
}

/// Parses the base URL of an upstream.
pub(super) fn base_url(value: &Value) -> Result<BaseUrl, String> {
    let text = value.as_text().ok_or("a URL such as https://api.openai.com/v1")?;
    text.parse().map_err(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Value {
        Value::Text(Text { text: text.to_owned(), written: None })
    }

    fn from_variable(held: &str) -> Value {
        Value::Text(Text { text: held.to_owned(), written: Some("${X}".to_owned()) })
    }

    #[test]
    fn percentages_have_a_percent_sign() {
        assert_eq!(percent(&text("20%")), Ok(20));
        assert_eq!(percent(&from_variable("100%")), Ok(100));
        for wrong in [text("101%"), text("20"), text("%"), text("+5%"), text("2.5%"), Value::Integer(20)] {
            assert_eq!(percent(&wrong).unwrap_err(), "a share from 0% to 100%");
        }
    }

    #[test]
    fn booleans_may_come_from_variables() {
        assert_eq!(flag(&Value::Bool(true)), Ok(true));
        assert_eq!(flag(&from_variable("false")), Ok(false));
        assert!(flag(&text("true")).is_err() && flag(&from_variable("1")).is_err());
    }

    #[test]
    fn sizes_are_whole_bytes_or_binary_units() {
        let read = |value: &Value| size::<u64>(0, u64::MAX)(value);
        assert_eq!(read(&text("16MiB")), Ok(16 << 20));
        assert_eq!(read(&text("64 KiB")), Ok(64 << 10));
        assert_eq!(read(&Value::Integer(5)), Ok(5));
        assert_eq!(read(&from_variable("5")), Ok(5));
        for wrong in ["MiB", "1MB", "1.5MiB", "-1", "99999999999GiB"] {
            assert!(read(&text(wrong)).is_err(), "{wrong}");
        }
        let error = size::<u64>(1 << 10, 1 << 30)(&Value::Integer(10)).unwrap_err();
        assert_eq!(error, "a size from 1KiB to 1GiB");
    }

    #[test]
    fn numbers_keep_to_their_range_and_may_come_from_variables() {
        assert_eq!(whole::<usize>(8, 1024)(&Value::Integer(8)), Ok(8));
        assert_eq!(whole::<usize>(8, 1024)(&from_variable("9")), Ok(9));
        for wrong in [Value::Integer(7), Value::Integer(-8), Value::Float(9.0), text("9"), from_variable("x")] {
            assert!(whole::<usize>(8, 1024)(&wrong).is_err());
        }
        assert_eq!(number(0.1, 10.0)(&Value::Integer(3)), Ok(3.0));
        assert!(number(0.1, 10.0)(&Value::Float(f64::NAN)).is_err());
    }

    #[test]
    fn days_begin_at_midnight_utc() {
        let day = parse_moment("2027-01-01").unwrap();
        assert_eq!(day, "2027-01-01T00:00:00Z".parse().unwrap());
        assert_eq!(parse_moment("2027-01-01T01:00:00+01:00"), Some(day));
        for wrong in ["2027-02-30", "tomorrow", "2027-01-01T12:00:00", "90d", ""] {
            assert_eq!(parse_moment(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn errors_show_no_secret() {
        for value in [text("sk-verysecret"), text("https://u:verysecret@host"), from_variable("verysecret")] {
            assert!(!shown(&value).contains("verysecret"));
        }
        assert_eq!(shown(&from_variable("x")), r#"the value of "${X}""#);
        assert_eq!(shown(&text(&"x".repeat(90))).chars().count(), 63);
    }
}
