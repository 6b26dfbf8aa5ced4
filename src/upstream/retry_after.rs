//! When an upstream that refused a request wants to be asked again, in every form in which servers say it.
//!
//! | header | forms |
//! |---|---|
//! | `retry-after-ms` | milliseconds, also with a fraction |
//! | `retry-after` | seconds, also with a fraction; an HTTP date (RFC 9110, section 10.2.3) |
//! | `x-ratelimit-reset`, `x-ratelimit-reset-*` | a Go duration (`6m0s`), seconds, a moment: Unix seconds or milliseconds, RFC 3339 |
//!
//! The first of them that can be read counts. Numbers that only a clock reaches are moments in every header.

use std::time::Duration;

use http::StatusCode;
use httparse::Header;
use jiff::Timestamp;

/// The longest wait that is passed on: limits a day exist, and what is longer is a slip.
const MAX_WAIT: Duration = Duration::from_secs(24 * 60 * 60);
/// Plain numbers from here on are Unix seconds (1 September 2001), from [`UNIX_MS`] on Unix milliseconds.
const UNIX_SECONDS: f64 = 1e9;
const UNIX_MS: f64 = 1e11;
/// Longest value that is looked at, bytes. Dates have 29.
const MAX_LEN: usize = 64;

const RESET: &str = "x-ratelimit-reset";
const REMAINING: &str = "x-ratelimit-remaining";

/// What the fields of a refusal say, at most [`MAX_WAIT`]; none: nothing that can be read. The resets of rate limits are
/// on every answer of some servers, so they count for 429 only.
pub(super) fn read(status: StatusCode, fields: &[Header<'_>], now: Timestamp) -> Option<Duration> {
    let value = |name: &str| {
        let field = fields.iter().find(|field| field.name.eq_ignore_ascii_case(name))?;
        text(field.value)
    };
    let in_ms = value("retry-after-ms").and_then(number).and_then(|ms| span(ms / 1_000.0));
    let told = in_ms.or_else(|| value("retry-after").and_then(|value| wait(value, now)));
    let limited = status == StatusCode::TOO_MANY_REQUESTS;
    told.or_else(|| if limited { reset(fields, now) } else { None }).map(|wait| wait.min(MAX_WAIT))
}

/// When the limits that were hit are reset. Those of which nothing remains have been hit: the last of them counts. Where
/// no limit says so, the first reset does, since the others need not have been hit.
fn reset(fields: &[Header<'_>], now: Timestamp) -> Option<Duration> {
    let is_spent = |limit: &str| {
        let remaining = fields.iter().find(|field| suffix(field.name, REMAINING) == Some(limit));
        remaining.and_then(|field| number(text(field.value)?)).is_some_and(|left| left < 1.0)
    };
    let (mut spent, mut any) = (None, None);
    for field in fields {
        let Some(limit) = suffix(field.name, RESET) else { continue };
        let Some(wait) = text(field.value).and_then(|value| wait(value, now)) else { continue };
        any = Some(any.map_or(wait, |other: Duration| other.min(wait)));
        if is_spent(limit) {
            spent = spent.max(Some(wait));
        }
    }
    spent.or(any)
}

/// What follows `prefix` in a name: nothing, or a dash and more.
fn suffix<'a>(name: &'a str, prefix: &str) -> Option<&'a str> {
    let (start, rest) = name.split_at_checked(prefix.len())?;
    let fits = start.eq_ignore_ascii_case(prefix) && (rest.is_empty() || rest.starts_with('-'));
    fits.then_some(rest)
}

fn text(value: &[u8]) -> Option<&str> {
    let value = std::str::from_utf8(value).ok()?.trim();
    (value.len() <= MAX_LEN).then_some(value)
}

/// From `now` on; nothing for a moment that has passed.
fn wait(value: &str, now: Timestamp) -> Option<Duration> {
    if let Some(number) = number(value) {
        return match number {
            UNIX_MS.. => Some(until(number / 1_000.0, now)),
            UNIX_SECONDS.. => Some(until(number, now)),
            _ => span(number),
        };
    }
    if let Some(wait) = go_duration(value) {
        return Some(wait);
    }
    let moment = match value.parse::<Timestamp>() {
        Ok(moment) => moment,
        Err(_) => Timestamp::try_from(httpdate::parse_http_date(value).ok()?).ok()?,
    };
    Some(Duration::try_from(moment.duration_since(now)).unwrap_or_default())
}

fn until(unix_seconds: f64, now: Timestamp) -> Duration {
    span(unix_seconds - now.as_duration().as_secs_f64()).unwrap_or_default()
}

/// Digits, and perhaps a fraction: no sign, no exponent, no infinity.
fn number(value: &str) -> Option<f64> {
    let plain = value.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    value.parse().ok().filter(|_| plain)
}

fn span(seconds: f64) -> Option<Duration> {
    Duration::try_from_secs_f64(seconds.min(MAX_WAIT.as_secs_f64())).ok()
}

/// A duration as Go prints it: numbers with units, such as `1h0m0.5s`.
fn go_duration(mut value: &str) -> Option<Duration> {
    const UNITS: [(&str, f64); 7] =
        [("ns", 1e-9), ("us", 1e-6), ("µs", 1e-6), ("ms", 1e-3), ("s", 1.0), ("m", 60.0), ("h", 3_600.0)];
    let mut seconds = 0.0;
    // At least one number with its unit.
    loop {
        let end = value.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let count = number(&value[..end])?;
        let (unit, length) = UNITS.iter().find(|(unit, _)| value[end..].starts_with(unit))?;
        seconds += count * length;
        value = &value[end + unit.len()..];
        if value.is_empty() {
            return span(seconds);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-11-30T06:00:00Z.
    const NOW: i64 = 1_796_018_400;

    fn read_all(status: u16, fields: &[(&str, &str)]) -> Option<f64> {
        let fields: Vec<_> = fields.iter().map(|(name, value)| Header { name, value: value.as_bytes() }).collect();
        let now = Timestamp::from_second(NOW).unwrap();
        super::read(StatusCode::from_u16(status).unwrap(), &fields, now).map(|wait| wait.as_secs_f64())
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
    fn milliseconds_are_more_exact_and_come_first() {
        assert_eq!(read_all(429, &[("retry-after", "2"), ("Retry-After-Ms", "1250")]), Some(1.25));
        assert_eq!(read_all(503, &[("retry-after-ms", "0.5")]), Some(0.0005));
        assert_eq!(read_all(503, &[("retry-after-ms", "soon"), ("retry-after", "2")]), Some(2.0));
    }

    #[test]
    fn resets_of_rate_limits_are_read_in_the_forms_that_servers_use() {
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
            assert_eq!(read_all(503, &[("x-ratelimit-reset-requests", value)]), None, "only where a limit was hit");
        }
        assert_eq!(read_all(429, &[("x-ratelimit-resets", "5"), ("ratelimit-reset", "5")]), None);
    }

    #[test]
    fn the_limit_that_was_hit_says_when() {
        let both = [("x-ratelimit-reset-requests", "8.64s"), ("x-ratelimit-reset-tokens", "6m0s")];
        assert_eq!(read_all(429, &both), Some(8.64), "it is not known which: to ask too early costs least");
        let tokens =
            [both[0], both[1], ("x-ratelimit-remaining-requests", "99"), ("x-ratelimit-remaining-tokens", "0")];
        assert_eq!(read_all(429, &tokens), Some(360.0));
        let all = [both[0], both[1], ("x-ratelimit-remaining-requests", "0"), ("x-ratelimit-remaining-tokens", "0")];
        assert_eq!(read_all(429, &all), Some(360.0));
        assert_eq!(read_all(429, &[both[1], ("retry-after", "2")]), Some(2.0), "said of this very request");
    }
}
