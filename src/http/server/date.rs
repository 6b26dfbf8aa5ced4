//! The `Date` header of responses.

use std::cell::RefCell;

use jiff::Timestamp;
use jiff::fmt::rfc2822::DateTimePrinter;

/// The formatted date, cached for each thread and renewed once a second.
struct CachedDate {
    /// Unix time; none at first.
    second: Option<i64>,
    text: String,
}

thread_local! {
    static DATE: RefCell<CachedDate> = const { RefCell::new(CachedDate { second: None, text: String::new() }) };
}

/// Calls `then` with the date in the form `Fri, 27 Nov 2026 21:00:00 GMT` (RFC 9110, section 5.6.7).
pub(super) fn with_date<T>(now: Timestamp, then: impl FnOnce(&str) -> T) -> T {
    let second = now.as_second();
    DATE.with_borrow_mut(|date| {
        if date.second != Some(second) {
            date.second = Some(second);
            // Every time that a clock returns can be formatted.
            date.text = DateTimePrinter::new().timestamp_to_rfc9110_string(&now).unwrap_or_default();
        }
        then(&date.text)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_date_changes_with_the_second() {
        for (ms, text) in [
            (784_111_777_000, "Sun, 06 Nov 1994 08:49:37 GMT"),
            (784_111_777_999, "Sun, 06 Nov 1994 08:49:37 GMT"),
            (784_111_778_000, "Sun, 06 Nov 1994 08:49:38 GMT"),
        ] {
            with_date(Timestamp::from_millisecond(ms).unwrap(), |date| assert_eq!(date, text));
        }
    }
}
