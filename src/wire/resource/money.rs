//! Exact amounts of money: decimals in the API, whole ten-thousandths of the currency's unit (`e4`) in the database.
//!
//! ```
//! use petstream::wire::resource::money::{decimals, fits};
//!
//! assert_eq!(decimals("USD"), 2);
//! assert!(fits("149.990".parse().unwrap(), "USD"), "zeros at the end don't count");
//! assert!(!fits("149.5".parse().unwrap(), "JPY"));
//! ```

use rust_decimal::prelude::ToPrimitive;
use rust_decimal::{Decimal, RoundingStrategy};

/// Decimal places of a stored price, see `0001_pets.sql`.
const STORED_PLACES: u32 = 4;
/// Least number of decimal places that a price is displayed with: cents.
const MIN_PLACES: u32 = 2;

/// The number of decimal places of `currency` (an ISO 4217 code): 0 to 4; 2 for an unknown code.
#[must_use]
pub fn decimals(currency: &str) -> u32 {
    match currency {
        "BIF" | "CLP" | "DJF" | "GNF" | "ISK" | "JPY" | "KMF" | "KRW" | "PYG" | "RWF" | "UGX" | "UYI" | "VND"
        | "VUV" | "XAF" | "XOF" | "XPF" => 0,
        "BHD" | "IQD" | "JOD" | "KWD" | "LYD" | "OMR" | "TND" => 3,
        "CLF" | "UYW" => 4,
        _ => 2,
    }
}

/// Whether `price` has no more decimal places than `currency`; zeros at the end don't count.
#[must_use]
pub fn fits(price: Decimal, currency: &str) -> bool {
    price.normalize().scale() <= decimals(currency)
}

/// `price` as it is displayed and read back from the database: at least two decimal places, no further zeros.
pub(super) fn display(price: Decimal) -> Decimal {
    from_e4(floor_e4(price))
}

/// The price of that many ten-thousandths, with at least two decimal places (`Decimal` keeps zeros).
pub(crate) fn from_e4(price_e4: i64) -> Decimal {
    let mut price = Decimal::new(price_e4, STORED_PLACES).normalize();
    if price.scale() < MIN_PLACES {
        price.rescale(MIN_PLACES);
    }
    price
}

/// `price` in ten-thousandths, rounded down; clamped to the range of `i64`.
pub(crate) fn floor_e4(price: Decimal) -> i64 {
    to_e4(price, RoundingStrategy::ToNegativeInfinity)
}

/// `price` in ten-thousandths, rounded up; clamped to the range of `i64`.
pub(crate) fn ceil_e4(price: Decimal) -> i64 {
    to_e4(price, RoundingStrategy::ToPositiveInfinity)
}

fn to_e4(price: Decimal, rounding: RoundingStrategy) -> i64 {
    let rounded = price.round_dp_with_strategy(STORED_PLACES, rounding);
    let price_e4 = rounded.checked_mul(Decimal::from(10_i64.pow(STORED_PLACES))).and_then(|scaled| scaled.to_i64());
    price_e4.unwrap_or(if price.is_sign_negative() { i64::MIN } else { i64::MAX })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decimal(text: &str) -> Decimal {
        text.parse().unwrap()
    }

    #[test]
    fn prices_have_at_least_two_decimals_and_stay_exact() {
        for (price_e4, text) in
            [(0, "0.00"), (1_499_900, "149.99"), (1_000_000, "100.00"), (15_000, "1.50"), (15_001, "1.5001")]
        {
            assert_eq!(from_e4(price_e4).to_string(), text);
            assert_eq!(floor_e4(decimal(text)), price_e4);
            assert_eq!(ceil_e4(decimal(text)), price_e4);
        }
    }

    #[test]
    fn a_bound_between_two_stored_prices_is_rounded_inwards() {
        assert_eq!(floor_e4(decimal("0.00019")), 1);
        assert_eq!(ceil_e4(decimal("0.00011")), 2);
        assert_eq!(floor_e4(decimal("-0.00011")), -2);
    }

    #[test]
    fn a_bound_beyond_all_stored_prices_is_clamped() {
        assert_eq!(ceil_e4(Decimal::MAX), i64::MAX);
        assert_eq!(floor_e4(Decimal::MIN), i64::MIN);
        assert_eq!(floor_e4(decimal("922337203685477.5808")), i64::MAX);
    }

    #[test]
    fn amounts_have_no_more_decimals_than_their_currency() {
        for (price, currency, fit) in [
            ("1.99", "USD", true),
            ("1.990", "USD", true),
            ("1.999", "USD", false),
            ("100.00", "JPY", true),
            ("100.5", "JPY", false),
            ("1.999", "KWD", true),
            ("1.9999", "KWD", false),
            ("1.9999", "CLF", true),
        ] {
            assert_eq!(fits(decimal(price), currency), fit, "{price} {currency}");
        }
        assert_eq!(display(decimal("1.990")).to_string(), "1.99");
        assert_eq!(display(decimal("100")).to_string(), "100.00");
    }
}
