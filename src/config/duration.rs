//! Durations: parsers for settings, and their format in errors.

use std::time::Duration;

use super::yaml::Value;

/// Longest duration of most settings: more is a mistake, and additions to clocks must not overflow.
const MAX_DURATION: Duration = Duration::from_secs(DAY);
const DAY: u64 = 24 * 60 * 60;

/// Parses a duration such as `500ms`, `2s`, `10m`, `1h` or `90d`.
fn parse_duration(text: &str) -> Option<Duration> {
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (number, unit) = text.split_at(digits);
    let number: u64 = number.parse().ok()?;
    match unit {
        "ms" => Some(Duration::from_millis(number)),
        "s" => Some(Duration::from_secs(number)),
        "m" => Some(Duration::from_secs(number.checked_mul(60)?)),
        "h" => Some(Duration::from_secs(number.checked_mul(3600)?)),
        "d" => Some(Duration::from_secs(number.checked_mul(DAY)?)),
        _ => None,
    }
}

/// Parses a duration from 1 ms to 24 h.
pub(super) fn duration(value: &Value) -> Result<Duration, String> {
    let text = value.as_text().ok_or("a duration such as 30s")?;
    let duration = parse_duration(text).ok_or("a duration such as 30s")?;
    let fits = !duration.is_zero() && duration <= MAX_DURATION;
    fits.then_some(duration).ok_or_else(|| "a duration from 1ms to 24h".to_owned())
}

/// A parser of durations from `min` to `max`.
pub(super) fn duration_between(min: Duration, max: Duration) -> impl FnOnce(&Value) -> Result<Duration, String> {
    move |value| {
        let duration = value.as_text().and_then(parse_duration).ok_or("a duration such as 30s")?;
        let fits = (min..=max).contains(&duration);
        fits.then_some(duration)
            .ok_or_else(|| format!("a duration from {} to {}", shown_duration(min), shown_duration(max)))
    }
}

/// A parser of two durations from `min` to `max`, the longer one last: `250ms..2s`.
pub(super) fn duration_range(
    min: Duration,
    max: Duration,
) -> impl FnOnce(&Value) -> Result<(Duration, Duration), String> {
    move |value| {
        let text = value.as_text().and_then(|text| text.split_once(".."));
        let both = text.and_then(|(from, to)| Some((parse_duration(from.trim())?, parse_duration(to.trim())?)));
        let both = both.ok_or("two durations such as 250ms..2s")?;
        let fits = min <= both.0 && both.0 <= both.1 && both.1 <= max;
        let (min, max) = (shown_duration(min), shown_duration(max));
        fits.then_some(both).ok_or_else(|| format!("two durations from {min} to {max}, the longer one last"))
    }
}

/// Parses a retention time from 1 h to 3650 d; `0s` is none: records are kept without end.
pub(super) fn retention(value: &Value) -> Result<Option<Duration>, String> {
    const HOUR: Duration = Duration::from_secs(60 * 60);
    const TEN_YEARS: Duration = Duration::from_secs(3650 * DAY);
    let duration = value.as_text().and_then(parse_duration).ok_or("a duration such as 90d")?;
    let fits = duration.is_zero() || (HOUR..=TEN_YEARS).contains(&duration);
    fits.then_some((!duration.is_zero()).then_some(duration))
        .ok_or_else(|| "a duration from 1h to 3650d; 0s to keep it for ever".to_owned())
}

/// Formats `duration` in the largest unit that divides it.
pub(super) fn shown_duration(duration: Duration) -> String {
    let seconds = duration.as_secs();
    if duration.subsec_millis() > 0 {
        return format!("{}ms", duration.as_millis());
    }
    let units = [(DAY, "d"), (3600, "h"), (60, "m")];
    let whole = units.into_iter().find(|(unit, _)| seconds > 0 && seconds.is_multiple_of(*unit));
    whole.map_or_else(|| format!("{seconds}s"), |(unit, name)| format!("{}{name}", seconds / unit))
}

/// Parses a timeout of at most 24 h; `0s` is none: there is no timeout.
pub(super) fn timeout(value: &Value) -> Result<Option<Duration>, String> {
    let text = value.as_text().ok_or("a duration such as 30s")?;
    let duration = parse_duration(text).ok_or("a duration such as 30s")?;
    let fits = duration <= MAX_DURATION;
    fits.then_some((!duration.is_zero()).then_some(duration))
        .ok_or_else(|| "a duration of at most 24h; 0s for no deadline".to_owned())
}

#[cfg(test)]
mod tests {
    use super::super::yaml::Text;
    use super::*;

    fn text(text: &str) -> Value {
        Value::Text(Text { text: text.to_owned(), written: None })
    }

    #[test]
    fn durations_need_a_unit() {
        for (written, millis) in [("500ms", 500), ("2s", 2000), ("10m", 600_000), ("1h", 3_600_000), ("1d", 86_400_000)]
        {
            assert_eq!(duration(&text(written)), Ok(Duration::from_millis(millis)));
        }
        for written in ["", "s", "1", "1.5s", "-1s", "1 s", "2w", "1S", "18446744073709551615h"] {
            assert_eq!(duration(&text(written)).unwrap_err(), "a duration such as 30s", "{written}");
        }
        assert_eq!(duration(&Value::Integer(30)).unwrap_err(), "a duration such as 30s");
        assert!(duration(&text("25h")).is_err() && duration(&text("2d")).is_err() && duration(&text("0s")).is_err());
        assert_eq!(timeout(&text("0s")), Ok(None));
        assert!(timeout(&text("0")).is_err() && timeout(&text("25h")).is_err());
    }

    #[test]
    fn errors_about_durations_name_the_bounds() {
        let (min, max) = (Duration::ZERO, Duration::from_secs(300));
        assert_eq!(duration_between(min, max)(&text("0s")), Ok(min));
        assert_eq!(duration_between(min, max)(&text("5m")), Ok(max));
        assert_eq!(duration_between(min, max)(&text("301s")).unwrap_err(), "a duration from 0s to 5m");
        assert_eq!(duration_between(min, max)(&Value::Integer(5)).unwrap_err(), "a duration such as 30s");
        for shown in ["0s", "1ms", "1500ms", "90s", "2m", "25h", "2d"] {
            assert_eq!(shown_duration(parse_duration(shown).unwrap()), shown);
        }
    }

    #[test]
    fn ranges_are_two_durations_in_ascending_order() {
        let read = |written: &str| duration_range(Duration::from_millis(1), Duration::from_secs(60))(&text(written));
        assert_eq!(read("250ms..2s"), Ok((Duration::from_millis(250), Duration::from_secs(2))));
        assert_eq!(read("1s .. 1s"), Ok((Duration::from_secs(1), Duration::from_secs(1))));
        for wrong in ["250ms", "..2s", "1..2s", "1s-2s", "1s..2s..3s"] {
            assert_eq!(read(wrong).unwrap_err(), "two durations such as 250ms..2s", "{wrong}");
        }
        for wrong in ["2s..1s", "0s..1s", "1s..61s"] {
            assert_eq!(read(wrong).unwrap_err(), "two durations from 1ms to 1m, the longer one last", "{wrong}");
        }
    }

    #[test]
    fn a_retention_of_zero_keeps_records_without_end() {
        assert_eq!(retention(&text("90d")), Ok(Some(Duration::from_secs(90 * DAY))));
        assert_eq!(retention(&text("0s")), Ok(None));
        for wrong in ["59m", "3651d", "0", "18446744073709551615d"] {
            assert!(retention(&text(wrong)).is_err(), "{wrong}");
        }
    }
}
