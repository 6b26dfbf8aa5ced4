//! The wait until a retry that an upstream asks for in an error response, in all formats in use.
//!
//! | header | forms |
//! |---|---|
//! | `retry-after-ms` | milliseconds, also with a fraction |
//! | `retry-after` | seconds, also with a fraction; an HTTP date (RFC 9110, section 10.2.3) |
//! | `x-ratelimit-reset`, `x-ratelimit-reset-*` | a Go duration (`6m0s`), seconds, a time: Unix seconds or milliseconds, RFC 3339 |
//!
//! The first header with a valid value is used. Numbers as large as a Unix time are times in every header.

use std::time::Duration;

use http::StatusCode;
use httparse::Header;
use jiff::Timestamp;

/// Longest wait: limits per day exist, and a longer wait is an error of the upstream.
const MAX_WAIT: Duration = Duration::from_secs(24 * 60 * 60);
/// Numbers from here on are Unix seconds (9 September 2001).
const MIN_UNIX_SECONDS: f64 = 1e9;
/// Numbers from here on are Unix milliseconds.
const MIN_UNIX_MILLIS: f64 = 1e11;
/// Longest value that is parsed, bytes. Dates have 29.
const MAX_LEN: usize = 64;

const RESET: &str = "x-ratelimit-reset";
const REMAINING: &str = "x-ratelimit-remaining";

/// Reads the wait from the headers of an error response, at most [`MAX_WAIT`]; `None` if no header has a valid value.
/// Some servers send the resets of rate limits with every response, so these are read for 429 only.
pub(super) fn read(status: StatusCode, headers: &[Header<'_>], now: Timestamp) -> Option<Duration> {
    let value = |name: &str| {
        let header = headers.iter().find(|header| header.name.eq_ignore_ascii_case(name))?;
        header_text(header.value)
    };
    let millis = value("retry-after-ms").and_then(parse_number).and_then(|ms| duration(ms / 1_000.0));
    let retry_after = millis.or_else(|| value("retry-after").and_then(|value| parse_wait(value, now)));
    let is_rate_limit = status == StatusCode::TOO_MANY_REQUESTS;
    let wait = retry_after.or_else(|| if is_rate_limit { rate_limit_reset(headers, now) } else { None });
    wait.map(|wait| wait.min(MAX_WAIT))
}

/// The wait until the exceeded rate limits are reset. A limit is exceeded if nothing remains of it; the latest reset of
/// these is used. If no limit is marked so, the earliest of all resets is used, since the other limits may not be
/// exceeded.
fn rate_limit_reset(headers: &[Header<'_>], now: Timestamp) -> Option<Duration> {
    let is_exceeded = |limit: &str| {
        let remaining = headers.iter().find(|header| suffix(header.name, REMAINING) == Some(limit));
        remaining.and_then(|header| parse_number(header_text(header.value)?)).is_some_and(|left| left < 1.0)
    };
    let (mut latest_exceeded, mut earliest) = (None, None);
    for header in headers {
        let Some(limit) = suffix(header.name, RESET) else { continue };
        let Some(wait) = header_text(header.value).and_then(|value| parse_wait(value, now)) else { continue };
        earliest = Some(earliest.map_or(wait, |other: Duration| other.min(wait)));
        if is_exceeded(limit) {
            latest_exceeded = latest_exceeded.max(Some(wait));
        }
    }
    latest_exceeded.or(earliest)
}

/// The part of `name` after `prefix`, if that is empty or begins with a dash.
fn suffix<'a>(name: &'a str, prefix: &str) -> Option<&'a str> {
    let (start, rest) = name.split_at_checked(prefix.len())?;
    let fits = start.eq_ignore_ascii_case(prefix) && (rest.is_empty() || rest.starts_with('-'));
    fits.then_some(rest)
}

fn header_text(value: &[u8]) -> Option<&str> {
    let value = std::str::from_utf8(value).ok()?.trim();
    (value.len() <= MAX_LEN).then_some(value)
}

/// The wait from `now` on; zero for a time in the past.
fn parse_wait(value: &str, now: Timestamp) -> Option<Duration> {
    if let Some(number) = parse_number(value) {
        return match number {
            MIN_UNIX_MILLIS.. => Some(until_unix_time(number / 1_000.0, now)),
            MIN_UNIX_SECONDS.. => Some(until_unix_time(number, now)),
            _ => duration(number),
        };
    }
    if let Some(wait) = parse_go_duration(value) {
        return Some(wait);
    }
    let time = match value.parse::<Timestamp>() {
        Ok(time) => time,
        Err(_) => Timestamp::try_from(httpdate::parse_http_date(value).ok()?).ok()?,
    };
    Some(Duration::try_from(time.duration_since(now)).unwrap_or_default())
}

fn until_unix_time(unix_seconds: f64, now: Timestamp) -> Duration {
    duration(unix_seconds - now.as_duration().as_secs_f64()).unwrap_or_default()
}

/// Parses digits with an optional fraction: no sign, no exponent, no infinity.
fn parse_number(value: &str) -> Option<f64> {
    let is_decimal = value.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    value.parse().ok().filter(|_| is_decimal)
}

/// A duration of at most [`MAX_WAIT`].
fn duration(seconds: f64) -> Option<Duration> {
    Duration::try_from_secs_f64(seconds.min(MAX_WAIT.as_secs_f64())).ok()
}

/// Parses a duration as Go prints it: numbers with units, such as `1h0m0.5s`.
fn parse_go_duration(mut value: &str) -> Option<Duration> {
    const UNITS: [(&str, f64); 7] =
        [("ns", 1e-9), ("us", 1e-6), ("µs", 1e-6), ("ms", 1e-3), ("s", 1.0), ("m", 60.0), ("h", 3_600.0)];
    let mut seconds = 0.0;
    // At least one number with its unit.
    loop {
        let end = value.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let count = parse_number(&value[..end])?;
        let (unit, length) = UNITS.iter().find(|(unit, _)| value[end..].starts_with(unit))?;
        seconds += count * length;
        value = &value[end + unit.len()..];
        if value.is_empty() {
            return duration(seconds);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-11-30T06:00:00Z.
    const NOW: i64 = 1_796_018_400;

    fn read_all(status: u16, headers: &[(&str, &str)]) -> Option<f64> {
        let headers: Vec<_> = headers.iter().map(|(name, value)| Header { name, value: value.as_bytes() }).collect();
        let now = Timestamp::from_second(NOW).unwrap();
        super::read(StatusCode::from_u16(status).unwrap(), &headers, now).map(|wait| wait.as_secs_f64())
    }

    #[test]
    fn retry_after_is_read_in_every_form_and_bounded() {
        let cases = [
            ("7", Some(7.0)),
            ("0", Some(0.0)),
            ("0.25", Some(0.25)),
            (" 1.5 ", Some(1.5)),
            ("Mon, 30 Nov 2026 06:00:20 GMT", Some(20.0)),
            ("Monday, 30-Nov-26 06:00:20 GMT", Some(20.0)),
            ("Mon Nov 30 06:00:20 2026", Some(20.0)),
            ("Mon, 30 Nov 2026 05:00:00 GMT", Some(0.0)),
            ("Mon, 30 Nov 2099 00:00:00 GMT", Some(86_400.0)),
            ("2026-11-30T06:00:20Z", Some(20.0)),
            ("30s", Some(30.0)),
            ("999999999", Some(86_400.0)),
            ("99999999999999999999999999999999", Some(86_400.0)),
            ("1796018420", Some(20.0)),
            ("-1", None),
            ("1e9", None),
            ("inf", None),
            ("NaN", None),
            ("soon", None),
            ("", None),
            (".", None),
        ];
        for (value, expected) in cases {
            assert_eq!(read_all(429, &[("Retry-After", value)]), expected, "{value}");
            assert_eq!(read_all(503, &[("retry-after", value)]), expected, "{value}");
        }
        let long = format!("{}1", "0".repeat(MAX_LEN));
        assert_eq!(read_all(429, &[("retry-after", &long)]), None);
    }

    #[test]
    fn milliseconds_are_preferred_to_seconds() {
        assert_eq!(read_all(429, &[("retry-after", "2"), ("Retry-After-Ms", "1250")]), Some(1.25));
        assert_eq!(read_all(503, &[("retry-after-ms", "0.5")]), Some(0.0005));
        assert_eq!(read_all(503, &[("retry-after-ms", "soon"), ("retry-after", "2")]), Some(2.0));
    }

    #[test]
    fn resets_of_rate_limits_are_read_in_every_form_for_429_only() {
        let cases = [
            ("120ms", Some(0.12)),
            ("33.023s", Some(33.023)),
            ("6m0s", Some(360.0)),
            ("1h2m3.5s", Some(3_723.5)),
            ("500µs", Some(0.0005)),
            ("12", Some(12.0)),
            ("0.5", Some(0.5)),
            ("1796018430", Some(30.0)),
            ("1796018430500", Some(30.5)),
            ("1796018000", Some(0.0)),
            ("2026-11-30T06:00:10Z", Some(10.0)),
            ("6m0", None),
            ("m", None),
            ("5d", None),
        ];
        for (value, expected) in cases {
            for name in ["x-ratelimit-reset-requests", "X-RateLimit-Reset"] {
                assert_eq!(read_all(429, &[(name, value)]), expected, "{value}");
            }
            assert_eq!(read_all(503, &[("x-ratelimit-reset-requests", value)]), None, "only for a rate limit");
        }
        assert_eq!(read_all(429, &[("x-ratelimit-resets", "5"), ("ratelimit-reset", "5")]), None);
    }

    #[test]
    fn the_reset_of_the_exceeded_limit_is_used() {
        let both = [("x-ratelimit-reset-requests", "8.64s"), ("x-ratelimit-reset-tokens", "6m0s")];
        assert_eq!(read_all(429, &both), Some(8.64), "it is not known which limit is exceeded: the earliest reset");
        let tokens =
            [both[0], both[1], ("x-ratelimit-remaining-requests", "99"), ("x-ratelimit-remaining-tokens", "0")];
        assert_eq!(read_all(429, &tokens), Some(360.0));
        let all = [both[0], both[1], ("x-ratelimit-remaining-requests", "0"), ("x-ratelimit-remaining-tokens", "0")];
        assert_eq!(read_all(429, &all), Some(360.0));
        assert_eq!(read_all(429, &[both[1], ("retry-after", "2")]), Some(2.0), "retry-after takes precedence");
    }
}
