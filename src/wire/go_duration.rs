//! Durations as Go prints them, which is how the API writes `x-ratelimit-reset-*`: `120ms`, `33.023s`, `6m0s`.
//!
//! Source: `time.Duration.String` of the Go standard library. <https://pkg.go.dev/time#Duration.String>

use std::fmt::Write;
use std::time::Duration;

/// `duration`, rounded up to milliseconds.
#[must_use]
pub fn go_duration(duration: Duration) -> String {
    let ms = duration.as_nanos().div_ceil(1_000_000);
    if ms == 0 {
        return "0s".to_owned();
    }
    if ms < 1_000 {
        return format!("{ms}ms");
    }
    let (hours, minutes, seconds, rest) = (ms / 3_600_000, ms / 60_000 % 60, ms / 1_000 % 60, ms % 1_000);
    let mut text = String::new();
    // Writing to a String can't fail.
    if hours > 0 {
        let _ = write!(text, "{hours}h");
    }
    if ms >= 60_000 {
        let _ = write!(text, "{minutes}m");
    }
    let _ = match rest {
        0 => write!(text, "{seconds}s"),
        _ => write!(text, "{}s", format!("{seconds}.{rest:03}").trim_end_matches('0')),
    };
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_go_prints_them() {
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
        assert_eq!(go_duration(Duration::from_nanos(1)), "1ms", "never less than the wait");
    }
}
