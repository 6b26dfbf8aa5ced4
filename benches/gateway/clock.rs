//! The time of day in nanoseconds, which all processes of a machine share, and its form as digits in a token or event.

use std::time::{SystemTime, UNIX_EPOCH};

/// Digits of a timestamp; enough until the year 2286.
pub(crate) const DIGITS: usize = 19;

/// Nanoseconds since 1970.
pub(crate) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos() as u64)
}

/// Fills `field` with the decimal digits of `number`, with leading zeros.
pub(crate) fn write_digits(field: &mut [u8], mut number: u64) {
    for digit in field.iter_mut().rev() {
        *digit = b'0' + (number % 10) as u8;
        number /= 10;
    }
}

/// Reads the digits that [`write_digits`] has written. None where a byte is not a digit.
pub(crate) fn read_digits(field: &[u8]) -> Option<u64> {
    field.iter().try_fold(0_u64, |number, digit| {
        let digit = digit.is_ascii_digit().then(|| u64::from(digit - b'0'))?;
        number.checked_mul(10)?.checked_add(digit)
    })
}
