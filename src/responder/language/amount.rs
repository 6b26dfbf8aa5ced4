//! Parses amounts: "under $200", "between 1 and 3 years old", "2 years or younger".

use rust_decimal::Decimal;

use super::concept::{Comparison, Concept, Measure, Unit};
use super::interpretation::Unsupported;
use crate::responder::query::{Attribute, Conditions, Range, RangeLimit};

const MONTHS_PER_YEAR: Decimal = Decimal::from_parts(12, 0, 0, false, 0);
/// The smallest amount without a unit that counts as a price ("under 200"); a smaller one could also be an age.
const MIN_UNITLESS_PRICE: Decimal = Decimal::from_parts(20, 0, 0, false, 0);
/// "about $200" means within a tenth of it.
const PRICE_TOLERANCE: Decimal = Decimal::from_parts(1, 0, 0, false, 1);
/// "about 2 years" means within a quarter of it.
const AGE_TOLERANCE: Decimal = Decimal::from_parts(25, 0, 0, false, 2);

/// A number with its unit.
#[derive(Clone, Copy, Debug)]
struct Quantity {
    value: Decimal,
    unit: Option<Unit>,
}

/// Parses an amount at the start of `concepts`; returns the condition and the number of concepts. `None` if there is no
/// amount; a number without unit and comparison is not one.
///
/// # Errors
/// [`Unsupported`] for an amount that the inventory can't be compared with (weeks, euros) or whose attribute is unclear
/// ("under 2").
pub(super) fn amount(concepts: &[Concept]) -> Result<Option<(Conditions, usize)>, Unsupported> {
    let Some(phrase) = AmountPhrase::parse(concepts) else { return Ok(None) };
    let Some(measure) = phrase.measure()? else { return Ok(None) };
    let range = phrase.range(measure);
    let conditions = match measure {
        Measure::Price => Conditions { price: range, ..Conditions::default() },
        Measure::Age => Conditions { age: range, ..Conditions::default() },
    };
    Ok(Some((conditions, phrase.length)))
}

/// The parts of an amount.
#[derive(Debug)]
struct AmountPhrase {
    subject: Option<Measure>,
    comparison: Option<Comparison>,
    first: Quantity,
    /// The end of a range.
    second: Option<Quantity>,
    /// Number of concepts.
    length: usize,
}

impl AmountPhrase {
    fn parse(concepts: &[Concept]) -> Option<Self> {
        let mut at = 0;
        let mut subject = None;
        let mut comparison = None;
        match concepts.first()? {
            Concept::Ask(Attribute::Price) => subject = Some(Measure::Price),
            Concept::Ask(Attribute::Age) => subject = Some(Measure::Age),
            _ => {}
        }
        if subject.is_some() {
            at = 1 + count_stop_words(&concepts[1..]);
        }
        loop {
            match concepts.get(at) {
                Some(Concept::Comparison(this, measure)) => (comparison, subject) = (Some(*this), measure.or(subject)),
                Some(Concept::About) => comparison = Some(Comparison::Around),
                Some(Concept::From) => comparison = Some(Comparison::AtLeast),
                Some(Concept::PriceSum) if is_followed_by_price(&concepts[at + 1..]) => {
                    (comparison, subject) = (Some(Comparison::AtMost), Some(Measure::Price));
                }
                _ => break,
            }
            at += 1;
            at += count_stop_words(&concepts[at..]);
        }
        let (mut first, length) = quantity(&concepts[at..])?;
        at += length;
        if comparison != Some(Comparison::Between)
            && let Some((months, length)) = and_months(first, &concepts[at..])
        {
            first = months;
            at += length;
        }
        // "2 or more years" is "2 years or more".
        if let (None, [more @ (Concept::OrLess | Concept::OrMore), Concept::Unit(unit), ..]) =
            (first.unit, &concepts[at..])
        {
            first.unit = Some(*unit);
            let comparison = if *more == Concept::OrLess { Comparison::AtMost } else { Comparison::AtLeast };
            return Some(Self { subject, comparison: Some(comparison), first, second: None, length: at + 2 });
        }
        let mut second = None;
        let is_range = match concepts.get(at) {
            Some(Concept::To) => true,
            Some(Concept::And) => comparison == Some(Comparison::Between),
            _ => false,
        };
        if is_range && let Some((quantity, length)) = quantity(&concepts[at + 1..]) {
            second = Some(quantity);
            at += 1 + length;
        }
        let (postfix, length) = postfix(&concepts[at..]);
        Some(Self { subject, comparison: postfix.or(comparison), first, second, length: at + length })
    }

    /// The attribute that the amount measures; `None` for a number without unit and comparison.
    fn measure(&self) -> Result<Option<Measure>, Unsupported> {
        let units = [Some(self.first), self.second].into_iter().flatten().filter_map(|quantity| quantity.unit);
        let mut stated = None;
        for unit in units {
            let this = match unit {
                Unit::Dollar => Measure::Price,
                Unit::Year | Unit::Month => Measure::Age,
                Unit::OtherTime => return Err(Unsupported::FineAge),
                Unit::ForeignCurrency => return Err(Unsupported::Currency),
            };
            if stated.is_some_and(|other| other != this) {
                return Err(Unsupported::NotUnderstood);
            }
            stated = Some(this);
        }
        match (stated, self.subject) {
            (Some(stated), Some(subject)) if stated != subject => Err(Unsupported::NotUnderstood),
            (Some(measure), _) | (None, Some(measure)) => Ok(Some(measure)),
            (None, None) if self.comparison.is_none() && self.second.is_none() => Ok(None),
            (None, None) if self.first.value >= MIN_UNITLESS_PRICE => Ok(Some(Measure::Price)),
            (None, None) => Err(Unsupported::WhichUnit),
        }
    }

    fn range(&self, measure: Measure) -> Range {
        let unit = self.second.and_then(|second| second.unit).or(self.first.unit);
        let scaled = |quantity: Quantity| match (measure, quantity.unit.or(unit)) {
            (Measure::Age, Some(Unit::Month)) | (Measure::Price, _) => quantity.value,
            (Measure::Age, _) => quantity.value.saturating_mul(MONTHS_PER_YEAR),
        };
        let value = scaled(self.first);
        let limit = |value, exclusive| Some(RangeLimit { value, exclusive });
        if let Some(second) = self.second.map(scaled) {
            return Range::new(limit(value.min(second), false), limit(value.max(second), false));
        }
        match self.comparison.unwrap_or(Comparison::Exactly) {
            Comparison::Under => Range::new(None, limit(value, true)),
            Comparison::Over => Range::new(limit(value, true), None),
            Comparison::AtMost => Range::new(None, limit(value, false)),
            Comparison::AtLeast => Range::new(limit(value, false), None),
            Comparison::Around => {
                let near =
                    value.saturating_mul(if measure == Measure::Price { PRICE_TOLERANCE } else { AGE_TOLERANCE });
                Range::new(limit(value - near, false), limit(value + near, false))
            }
            // A pet is two years old until its third birthday.
            Comparison::Exactly | Comparison::Between
                if measure == Measure::Age && unit != Some(Unit::Month) && value.is_integer() =>
            {
                Range::new(limit(value, false), limit(value + MONTHS_PER_YEAR, true))
            }
            Comparison::Exactly | Comparison::Between => Range::new(limit(value, false), limit(value, false)),
        }
    }
}

fn count_stop_words(concepts: &[Concept]) -> usize {
    concepts.iter().take_while(|concept| matches!(concept, Concept::StopWord)).count()
}

fn is_followed_by_price(concepts: &[Concept]) -> bool {
    let at =
        concepts.iter().take_while(|c| matches!(c, Concept::StopWord | Concept::Comparison(..) | Concept::But)).count();
    match concepts.get(at) {
        Some(Concept::Money(_)) => true,
        Some(Concept::Number(_)) => matches!(concepts.get(at + 1), Some(Concept::Unit(Unit::Dollar))),
        _ => false,
    }
}

/// "$200", "200 dollars", "two and a half years", "a year", with the number of concepts.
fn quantity(concepts: &[Concept]) -> Option<(Quantity, usize)> {
    let (value, mut at) = match concepts.first()? {
        Concept::Money(value) => {
            let repeats_unit = matches!(concepts.get(1), Some(Concept::Unit(Unit::Dollar)));
            return Some((Quantity { value: *value, unit: Some(Unit::Dollar) }, 1 + usize::from(repeats_unit)));
        }
        Concept::Article
            if matches!(concepts.get(1), Some(Concept::Unit(_) | Concept::AndHalf | Concept::Number(_))) =>
        {
            match concepts.get(1) {
                Some(Concept::Number(_)) => number(&concepts[1..]).map(|(value, length)| (value, length + 1))?,
                _ => (Decimal::ONE, 1),
            }
        }
        Concept::Number(_) => number(concepts)?,
        _ => return None,
    };
    let mut value = value;
    if matches!(concepts.get(at), Some(Concept::AndHalf)) {
        value += Decimal::new(5, 1);
        at += 1;
    }
    let unit = match concepts.get(at) {
        Some(Concept::Unit(unit)) => Some(*unit),
        _ => None,
    };
    at += usize::from(unit.is_some());
    if unit.is_some() && matches!(concepts.get(at), Some(Concept::AndHalf)) {
        value += Decimal::new(5, 1);
        at += 1;
    }
    Some((Quantity { value, unit }, at))
}

/// "and 6 months" after years: the sum in months, with the number of concepts.
fn and_months(years: Quantity, concepts: &[Concept]) -> Option<(Quantity, usize)> {
    let joint = usize::from(matches!(concepts.first(), Some(Concept::And | Concept::Comma)));
    let (more, length) = quantity(concepts.get(joint..)?)?;
    let fits = years.unit == Some(Unit::Year) && more.unit == Some(Unit::Month) && more.value < MONTHS_PER_YEAR;
    let value = years.value.saturating_mul(MONTHS_PER_YEAR) + more.value;
    fits.then_some((Quantity { value, unit: Some(Unit::Month) }, joint + length))
}

/// A number of one or more words ("two hundred fifty"), with the number of concepts.
pub(super) fn number(concepts: &[Concept]) -> Option<(Decimal, usize)> {
    let hundred = Decimal::ONE_HUNDRED;
    let Some(&Concept::Number(mut total)) = concepts.first() else { return None };
    let mut at = 1;
    while let Some(Concept::Number(next)) = concepts.get(at) {
        if *next == hundred || *next == Decimal::ONE_THOUSAND {
            total = total.saturating_mul(*next);
        } else if (total >= hundred && (total % hundred).is_zero() && *next < hundred)
            || (total >= Decimal::from(20)
                && total < hundred
                && (total % Decimal::TEN).is_zero()
                && *next < Decimal::TEN)
        {
            total += *next;
        } else {
            break;
        }
        at += 1;
    }
    Some((total, at))
}

/// "or less" after an amount, with the number of concepts.
fn postfix(concepts: &[Concept]) -> (Option<Comparison>, usize) {
    let at = count_stop_words(concepts);
    let comparison = match concepts.get(at) {
        Some(Concept::OrLess) => Comparison::AtMost,
        Some(Concept::OrMore) => Comparison::AtLeast,
        // "200 max", but not "200, at most 3 years".
        Some(Concept::Comparison(comparison @ (Comparison::AtMost | Comparison::AtLeast), None))
            if quantity(&concepts[at + 1..]).is_none() =>
        {
            *comparison
        }
        _ => return (None, 0),
    };
    (Some(comparison), at + 1)
}
