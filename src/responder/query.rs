//! A question as data: which pets, in which order, and which of their properties.
//!
//! A [`Query`] expresses more than a [`PetFilter`] can (alternatives, exclusions, nested queries). The filter therefore
//! only narrows what the database reads; [`Query::matches`] decides.

use rust_decimal::Decimal;

use crate::wire::resource::filter::{PetFilter, Sort};
use crate::wire::resource::pet::{Gender, Pet, Size, Species, Status};

/// The resolution of stored prices: "under $200" is at most $199.9999.
const PRICE_STEP: Decimal = Decimal::from_parts(1, 0, 0, false, 4);

/// One end of a range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct RangeLimit {
    pub(super) value: Decimal,
    /// The value itself is outside the range.
    pub(super) exclusive: bool,
}

/// A range of prices, or of ages in months.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Range {
    pub(super) low: Option<RangeLimit>,
    pub(super) high: Option<RangeLimit>,
}

impl Range {
    pub(super) const fn new(low: Option<RangeLimit>, high: Option<RangeLimit>) -> Self {
        Self { low, high }
    }

    pub(super) const fn is_open(&self) -> bool {
        self.low.is_none() && self.high.is_none()
    }

    pub(super) fn contains(&self, value: Decimal) -> bool {
        self.low.is_none_or(|low| value > low.value || (value == low.value && !low.exclusive))
            && self.high.is_none_or(|high| value < high.value || (value == high.value && !high.exclusive))
    }

    /// Narrows this range to its intersection with `other`.
    fn intersect(&mut self, other: &Self) {
        for (own, new, is_tighter) in [
            (&mut self.low, other.low, Decimal::gt as fn(&Decimal, &Decimal) -> bool),
            (&mut self.high, other.high, Decimal::lt as fn(&Decimal, &Decimal) -> bool),
        ] {
            match (&own, new) {
                (None, Some(_)) => *own = new,
                (Some(a), Some(b)) if is_tighter(&b.value, &a.value) || (a.value == b.value && b.exclusive) => {
                    *own = new;
                }
                _ => {}
            }
        }
    }
}

/// Conditions on one pet. All must hold; of a list, one value must match, and an empty list matches any pet.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Conditions {
    pub(super) species: Vec<Species>,
    pub(super) status: Vec<Status>,
    pub(super) size: Vec<Size>,
    pub(super) gender: Vec<Gender>,
    /// Normalized; consecutive whole words of the breed.
    pub(super) breed: Vec<String>,
    /// Normalized; consecutive whole words of the color.
    pub(super) color: Vec<String>,
    /// Normalized; the whole name.
    pub(super) name: Vec<String>,
    /// In whole units of the currency.
    pub(super) price: Range,
    /// In months.
    pub(super) age: Range,
    pub(super) kids: Option<bool>,
}

/// Calls a macro with the names of all list fields of [`Conditions`].
macro_rules! lists {
    ($run:ident) => {
        $run!(species, status, size, gender, breed, color, name)
    };
}

impl Conditions {
    pub(super) fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Adds the other's conditions: list values are appended, ranges intersected.
    pub(super) fn merge(&mut self, other: &Self) {
        macro_rules! merge {
            ($($list:ident),+) => {$(
                for value in &other.$list {
                    if !self.$list.contains(value) {
                        self.$list.push(value.clone());
                    }
                }
            )+};
        }
        lists!(merge);
        self.price.intersect(&other.price);
        self.age.intersect(&other.age);
        self.kids = other.kids.or(self.kids);
    }

    /// Adopts the other's conditions on attributes that this one does not constrain.
    pub(super) fn inherit(&mut self, other: &Self) {
        let mut inherited = other.clone();
        inherited.override_with(self);
        *self = inherited;
    }

    /// Replaces the conditions on each attribute that the other constrains.
    pub(super) fn override_with(&mut self, other: &Self) {
        macro_rules! override_lists {
            ($($list:ident),+) => {$(
                if !other.$list.is_empty() {
                    self.$list.clone_from(&other.$list);
                }
            )+};
        }
        lists!(override_lists);
        if !other.price.is_open() {
            self.price = other.price;
        }
        if !other.age.is_open() {
            self.age = other.age;
        }
        self.kids = other.kids.or(self.kids);
    }

    /// Whether both constrain a common attribute.
    pub(super) fn shares_attribute(&self, other: &Self) -> bool {
        macro_rules! overlap {
            ($($list:ident),+) => { false $(|| (!self.$list.is_empty() && !other.$list.is_empty()))+ };
        }
        lists!(overlap)
            || (!self.price.is_open() && !other.price.is_open())
            || (!self.age.is_open() && !other.age.is_open())
            || (self.kids.is_some() && other.kids.is_some())
    }

    /// Whether the pet meets all conditions.
    pub(super) fn matches(&self, pet: &Pet) -> bool {
        fn among<T: PartialEq>(list: &[T], value: &T) -> bool {
            list.is_empty() || list.contains(value)
        }
        among(&self.species, &pet.species)
            && among(&self.status, &pet.status)
            && among(&self.size, &pet.size)
            && among(&self.gender, &pet.gender)
            && (self.breed.is_empty() || self.breed.iter().any(|breed| contains_words(&pet.breed, breed)))
            && (self.color.is_empty() || self.color.iter().any(|color| contains_words(&pet.color, color)))
            && (self.name.is_empty() || self.name.iter().any(|name| normalize_words(&pet.name) == *name))
            && self.price.contains(pet.price)
            && self.age.contains(Decimal::from(pet.age_months))
            && self.kids.is_none_or(|kids| kids == pet.good_with_kids)
    }

    /// A filter for the database that admits every pet that [`Self::matches`] does, and possibly more.
    pub(super) fn to_filter(&self) -> PetFilter {
        PetFilter {
            species: self.species.clone(),
            status: self.status.clone(),
            size: self.size.clone(),
            gender: self.gender.clone(),
            min_price: self.price.low.map(|low| if low.exclusive { low.value + PRICE_STEP } else { low.value }),
            max_price: self.price.high.map(|high| if high.exclusive { high.value - PRICE_STEP } else { high.value }),
            good_with_kids: self.kids,
            ..PetFilter::default()
        }
    }
}

/// The words of a text as the lexer produces them: lower case, without punctuation, separated by one space.
pub(super) fn normalize_words(text: &str) -> String {
    let lower = text.to_lowercase().replace(['\'', '’'], "");
    lower.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ")
}

/// Whether `text` contains the words of `part` in sequence: "red" is in "red tabby" but not in "feathered".
fn contains_words(text: &str, part: &str) -> bool {
    format!(" {} ", normalize_words(text)).contains(&format!(" {part} "))
}

/// Which of the matching pets a query selects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Selection {
    /// The first in the sort order and all that are equal to it: "the cheapest".
    FirstWithTies,
    /// The first `n`: "the three cheapest".
    First(usize),
    /// One by its index, from the start (0 is the first) or, if negative, from the end (-1 is the last).
    Nth(i32),
}

/// A set of pets and its order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Query {
    /// A pet must match at least one of these; empty: all pets.
    pub(super) any_of: Vec<Conditions>,
    /// A pet must match none of these.
    pub(super) none_of: Vec<Conditions>,
    /// Only pets that this query finds.
    pub(super) within: Option<Box<Query>>,
    /// The question mentions the status, also as "any", so the default (available) does not apply.
    pub(super) any_status: bool,
    pub(super) sort: Sort,
    pub(super) selection: Option<Selection>,
}

impl Query {
    /// The pets of these names, with any status.
    pub(super) fn by_names(names: &[String]) -> Self {
        let conditions = Conditions { name: names.to_vec(), ..Conditions::default() };
        Self { any_of: vec![conditions], any_status: true, ..Self::default() }
    }

    /// A query for the pets that `within` finds, to be narrowed further.
    pub(super) fn within_results_of(within: &Self) -> Self {
        Self { within: Some(Box::new(within.clone())), any_status: true, sort: within.sort, ..Self::default() }
    }

    /// This query and the ones nested in it, the innermost first.
    pub(super) fn nesting(&self) -> Vec<&Self> {
        let mut nesting: Vec<&Self> = std::iter::successors(Some(self), |query| query.within.as_deref()).collect();
        nesting.reverse();
        nesting
    }

    /// Adds the condition "available" unless the question mentions a status.
    #[must_use]
    pub(super) fn with_default_status(mut self) -> Self {
        if self.any_status || self.none_of.iter().any(|conditions| !conditions.status.is_empty()) {
            return self;
        }
        if self.any_of.is_empty() {
            self.any_of.push(Conditions::default());
        }
        for conditions in &mut self.any_of {
            if conditions.status.is_empty() {
                conditions.status = vec![Status::Available];
            }
        }
        self
    }

    /// Whether the pet meets the conditions; [`Self::within`] and [`Self::selection`] are not considered.
    pub(super) fn matches(&self, pet: &Pet) -> bool {
        (self.any_of.is_empty() || self.any_of.iter().any(|conditions| conditions.matches(pet)))
            && !self.none_of.iter().any(|conditions| conditions.matches(pet))
    }
}

/// An attribute that every pet has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Attribute {
    Species,
    Breed,
    Color,
    Size,
    Gender,
    Age,
    Price,
    Status,
    Name,
}

/// The property of the pets of a query that a question is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Intent {
    /// The pets themselves.
    List,
    /// Their number.
    Count,
    /// The distinct values of an attribute among them.
    Values(Attribute),
    /// The number of distinct values of an attribute among them.
    CountValues(Attribute),
    /// All facts about a particular pet, or one attribute of it.
    About(Option<Attribute>),
    /// Whether a particular pet (the query's) meets these conditions.
    Check { any_of: Vec<Conditions>, none_of: Vec<Conditions> },
}

/// A question that the inventory can answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Question {
    pub(super) intent: Intent,
    pub(super) query: Query,
    /// The question refers to exactly one pet ("it", "she"); if the query finds several, the reference is ambiguous.
    pub(super) single: bool,
}
