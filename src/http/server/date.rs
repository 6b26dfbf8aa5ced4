//! The `Date` of answers.

use std::cell::RefCell;

use jiff::Timestamp;
use jiff::fmt::rfc2822::DateTimePrinter;

/// A date in words; one for each thread, made once a second.
struct Date {
    /// Since 1970; none at first.
    second: Option<i64>,
    words: String,
}

thread_local! {
    static DATE: RefCell<Date> = const { RefCell::new(Date { second: None, words: String::new() }) };
}

/// Gives the date as `Fri, 27 Nov 2026 21:00:00 GMT` (RFC 9110, section 5.6.7).
pub(super) fn with_date<T>(now: Timestamp, then: impl FnOnce(&str) -> T) -> T {
    let second = now.as_second();
    DATE.with_borrow_mut(|date| {
        if date.second != Some(second) {
            date.second = Some(second);
            // Every time that can come of a clock has such words.
            date.words = DateTimePrinter::new().timestamp_to_rfc9110_string(&now).unwrap_or_default();
        }
        then(&date.words)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_changes_with_the_second() {
        for (ms, words) in [
            (784_111_777_000, "Sun, 06 Nov 1994 08:49:37 GMT"),
            (784_111_777_999, "Sun, 06 Nov 1994 08:49:37 GMT"),
            (784_111_778_000, "Sun, 06 Nov 1994 08:49:38 GMT"),
        ] {
            with_date(Timestamp::from_millisecond(ms).unwrap(), |date| assert_eq!(date, words));
        }
    }
}
