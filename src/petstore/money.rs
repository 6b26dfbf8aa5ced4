//! Exact money: whole ten-thousandths in the database, decimals everywhere else.

use rust_decimal::prelude::ToPrimitive;
use rust_decimal::{Decimal, RoundingStrategy};

/// Decimal places of a stored price, see `0001_pets.sql`.
const PLACES: u32 = 4;
/// Decimal places that a price is shown with at least: cents.
const CENTS: u32 = 2;

/// How many decimals an amount of `currency` (an ISO 4217 code) may have: 0 to 4; 2 where the code is not known.
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

/// Whether `price` is an amount that can be paid in `currency`; zeros at its end don't count.
#[must_use]
pub fn fits(price: Decimal, currency: &str) -> bool {
    price.normalize().scale() <= decimals(currency)
}

/// `price` as it is read back from the database: with cents, without further zeros.
pub(super) fn shown(price: Decimal) -> Decimal {
    from_e4(rounded_down(price))
}

/// The price of that many ten-thousandths, written with cents: `Decimal` keeps its zeros.
pub(super) fn from_e4(price_e4: i64) -> Decimal {
    let mut price = Decimal::new(price_e4, PLACES).normalize();
    if price.scale() < CENTS {
        price.rescale(CENTS);
    }
    price
}

/// The most ten-thousandths that are not above `price`; the nearest there is when they are too many to store.
pub(super) fn rounded_down(price: Decimal) -> i64 {
    in_e4(price, RoundingStrategy::ToNegativeInfinity)
}

/// The fewest ten-thousandths that are not below `price`; the nearest there is when they are too many to store.
pub(super) fn rounded_up(price: Decimal) -> i64 {
    in_e4(price, RoundingStrategy::ToPositiveInfinity)
}

fn in_e4(price: Decimal, rounding: RoundingStrategy) -> i64 {
    let rounded = price.round_dp_with_strategy(PLACES, rounding);
    let price_e4 = rounded.checked_mul(Decimal::from(10_i64.pow(PLACES))).and_then(|scaled| scaled.to_i64());
    price_e4.unwrap_or(if price.is_sign_negative() { i64::MIN } else { i64::MAX })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decimal(text: &str) -> Decimal {
        text.parse().unwrap()
    }

    #[test]
    fn prices_are_written_with_cents_and_lose_nothing() {
        for (price_e4, text) in
            [(0, "0.00"), (1_499_900, "149.99"), (1_000_000, "100.00"), (15_000, "1.50"), (15_001, "1.5001")]
        {
            assert_eq!(from_e4(price_e4).to_string(), text);
            assert_eq!(rounded_down(decimal(text)), price_e4);
            assert_eq!(rounded_up(decimal(text)), price_e4);
        }
    }

    #[test]
    fn a_bound_between_two_prices_rounds_to_the_inside() {
        assert_eq!(rounded_down(decimal("0.00019")), 1);
        assert_eq!(rounded_up(decimal("0.00011")), 2);
        assert_eq!(rounded_down(decimal("-0.00011")), -2);
    }

    #[test]
    fn a_bound_beyond_all_prices_is_the_last_price() {
        assert_eq!(rounded_up(Decimal::MAX), i64::MAX);
        assert_eq!(rounded_down(Decimal::MIN), i64::MIN);
        assert_eq!(rounded_down(decimal("922337203685477.5808")), i64::MAX);
    }

    #[test]
    fn a_currency_says_how_many_decimals_its_amounts_have() {
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
        assert_eq!(shown(decimal("1.990")).to_string(), "1.99");
        assert_eq!(shown(decimal("100")).to_string(), "100.00");
    }
}
