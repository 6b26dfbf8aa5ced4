//! The `Date` of answers.

use std::cell::RefCell;
use std::time::{Duration, SystemTime};

use jiff::Timestamp;
use jiff::fmt::rfc2822::DateTimePrinter;

/// A date in words; one for each thread, made once a second.
struct Date {
    /// Since 1970; none at first.
    second: Option<u64>,
    words: String,
}

thread_local! {
    static DATE: RefCell<Date> = const { RefCell::new(Date { second: None, words: String::new() }) };
}

/// Gives the date as `Fri, 27 Nov 2026 21:00:00 GMT` (RFC 9110, section 5.6.7).
pub(super) fn with_date<T>(now: SystemTime, then: impl FnOnce(&str) -> T) -> T {
    let second = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
    DATE.with_borrow_mut(|date| {
        if date.second != Some(second) {
            date.second = Some(second);
            date.words = in_words(second);
        }
        then(&date.words)
    })
}

fn in_words(second: u64) -> String {
    let time = Timestamp::UNIX_EPOCH.saturating_add(Duration::from_secs(second)).unwrap_or_default();
    // Every timestamp that can come of a clock has such words.
    DateTimePrinter::new().timestamp_to_rfc9110_string(&time).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_changes_with_the_second() {
        let at = |second| SystemTime::UNIX_EPOCH + Duration::from_millis(second);
        for (ms, words) in [
            (784_111_777_000, "Sun, 06 Nov 1994 08:49:37 GMT"),
            (784_111_777_999, "Sun, 06 Nov 1994 08:49:37 GMT"),
            (784_111_778_000, "Sun, 06 Nov 1994 08:49:38 GMT"),
        ] {
            with_date(at(ms), |date| assert_eq!(date, words));
        }
    }
}
