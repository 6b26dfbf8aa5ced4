//! Durations in Go's format, which OpenAI's API uses in `x-ratelimit-reset-*`: `120ms`, `33.023s`, `6m0s`.
//!
//! Source: `time.Duration.String` of the Go standard library. <https://pkg.go.dev/time#Duration.String>

use std::fmt::{self, Write};
use std::time::Duration;

/// Formats `duration`, rounded up to milliseconds.
///
/// ```
/// use std::time::Duration;
/// use petstream::wire::go_duration::go_duration;
///
/// assert_eq!(go_duration(Duration::from_secs(360)), "6m0s");
/// assert_eq!(go_duration(Duration::from_micros(1_500)), "2ms");
/// ```
#[must_use]
pub fn go_duration(duration: Duration) -> String {
    let mut text = String::new();
    // Writing to a String can't fail.
    let _ = write_go_duration(&mut text, duration);
    text
}

/// Appends what [`go_duration`] returns to `to`.
///
/// # Errors
/// Those of `to`.
pub fn write_go_duration(to: &mut impl Write, duration: Duration) -> fmt::Result {
    let ms =
        duration.as_secs().saturating_mul(1_000).saturating_add(u64::from(duration.subsec_nanos().div_ceil(1_000_000)));
    let mut digits = itoa::Buffer::new();
    match ms {
        0 => return to.write_str("0s"),
        1..1_000 => {
            to.write_str(digits.format(ms))?;
            return to.write_str("ms");
        }
        _ => {}
    }
    let (hours, minutes, seconds, rest) = (ms / 3_600_000, ms / 60_000 % 60, ms / 1_000 % 60, ms % 1_000);
    if hours > 0 {
        to.write_str(digits.format(hours))?;
        to.write_str("h")?;
    }
    if ms >= 60_000 {
        to.write_str(digits.format(minutes))?;
        to.write_str("m")?;
    }
    to.write_str(digits.format(seconds))?;
    if rest > 0 {
        to.write_str(".")?;
        // 1000 is added for leading zeros; the first digit is left out.
        to.write_str(digits.format(1_000 + rest)[1..].trim_end_matches('0'))?;
    }
    to.write_str("s")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_formatted_as_in_go() {
        let cases = [
            (0, "0s"),
            (1, "1ms"),
            (120, "120ms"),
            (1_000, "1s"),
            (1_500, "1.5s"),
            (33_023, "33.023s"),
            (60_000, "1m0s"),
            (360_000, "6m0s"),
            (61_010, "1m1.01s"),
            (3_723_000, "1h2m3s"),
            (3_600_000, "1h0m0s"),
        ];
        for (ms, text) in cases {
            assert_eq!(go_duration(Duration::from_millis(ms)), text);
        }
        assert_eq!(go_duration(Duration::from_nanos(1)), "1ms", "rounded up");
    }
}
