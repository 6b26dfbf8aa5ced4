//! A question as data: which pets, in which order, and what is asked about them.
//!
//! [`Query`] says more than a [`PetFilter`] can (alternatives, exclusions, "of those"), so a filter
//! only narrows what the database reads and [`Query::admits`] decides.

use rust_decimal::Decimal;

use crate::petstore::filter::{PetFilter, Sort};
use crate::petstore::pet::{Gender, Pet, Size, Species, Status};

/// The smallest step of a stored price: "under $200" is at most $199.9999.
const PRICE_STEP: Decimal = Decimal::from_parts(1, 0, 0, false, 4);

/// One end of a range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Limit {
    pub(super) value: Decimal,
    /// The value itself is outside.
    pub(super) strict: bool,
}

/// A range of prices, or of ages in months.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Range {
    pub(super) low: Option<Limit>,
    pub(super) high: Option<Limit>,
}

impl Range {
    pub(super) const fn new(low: Option<Limit>, high: Option<Limit>) -> Self {
        Self { low, high }
    }

    pub(super) const fn is_open(&self) -> bool {
        self.low.is_none() && self.high.is_none()
    }

    pub(super) fn contains(&self, value: Decimal) -> bool {
        self.low.is_none_or(|low| value > low.value || (value == low.value && !low.strict))
            && self.high.is_none_or(|high| value < high.value || (value == high.value && !high.strict))
    }

    /// Both ranges at once.
    fn meet(&mut self, other: &Self) {
        for (mine, theirs, keep_theirs) in [
            (&mut self.low, other.low, Decimal::gt as fn(&Decimal, &Decimal) -> bool),
            (&mut self.high, other.high, Decimal::lt as fn(&Decimal, &Decimal) -> bool),
        ] {
            match (&mine, theirs) {
                (None, Some(_)) => *mine = theirs,
                (Some(a), Some(b)) if keep_theirs(&b.value, &a.value) || (a.value == b.value && b.strict) => {
                    *mine = theirs;
                }
                _ => {}
            }
        }
    }
}

/// Conditions on one pet: joined by AND, the values of a list by OR; empty means any.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Conditions {
    pub(super) species: Vec<Species>,
    pub(super) status: Vec<Status>,
    pub(super) size: Vec<Size>,
    pub(super) gender: Vec<Gender>,
    /// Lower case; a run of whole words of the breed.
    pub(super) breed: Vec<String>,
    /// Lower case; a run of whole words of the colour.
    pub(super) color: Vec<String>,
    /// Lower case; the whole name.
    pub(super) name: Vec<String>,
    /// In whole units of the currency.
    pub(super) price: Range,
    /// In months.
    pub(super) age: Range,
    pub(super) kids: Option<bool>,
}

/// Calls a macro with every list of [`Conditions`].
macro_rules! lists {
    ($run:ident) => {
        $run!(species, status, size, gender, breed, color, name)
    };
}

impl Conditions {
    pub(super) fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Adds the other's conditions: values to lists, ranges narrowed.
    pub(super) fn join(&mut self, other: &Self) {
        macro_rules! join {
            ($($list:ident),+) => {$(
                for value in &other.$list {
                    if !self.$list.contains(value) {
                        self.$list.push(value.clone());
                    }
                }
            )+};
        }
        lists!(join);
        self.price.meet(&other.price);
        self.age.meet(&other.age);
        self.kids = other.kids.or(self.kids);
    }

    /// Takes over the other's conditions on what this one leaves open.
    pub(super) fn fill(&mut self, other: &Self) {
        let mut taken = other.clone();
        taken.replace(self);
        *self = taken;
    }

    /// Puts the other's conditions in place of those on the same attribute.
    pub(super) fn replace(&mut self, other: &Self) {
        macro_rules! replace {
            ($($list:ident),+) => {$(
                if !other.$list.is_empty() {
                    self.$list.clone_from(&other.$list);
                }
            )+};
        }
        lists!(replace);
        if !other.price.is_open() {
            self.price = other.price;
        }
        if !other.age.is_open() {
            self.age = other.age;
        }
        self.kids = other.kids.or(self.kids);
    }

    /// Whether both say something about one attribute.
    pub(super) fn overlaps(&self, other: &Self) -> bool {
        macro_rules! overlap {
            ($($list:ident),+) => { false $(|| (!self.$list.is_empty() && !other.$list.is_empty()))+ };
        }
        lists!(overlap)
            || (!self.price.is_open() && !other.price.is_open())
            || (!self.age.is_open() && !other.age.is_open())
            || (self.kids.is_some() && other.kids.is_some())
    }

    /// Whether the pet meets all conditions.
    pub(super) fn admits(&self, pet: &Pet) -> bool {
        fn among<T: PartialEq>(list: &[T], value: &T) -> bool {
            list.is_empty() || list.contains(value)
        }
        among(&self.species, &pet.species)
            && among(&self.status, &pet.status)
            && among(&self.size, &pet.size)
            && among(&self.gender, &pet.gender)
            && (self.breed.is_empty() || self.breed.iter().any(|breed| has_words(&pet.breed, breed)))
            && (self.color.is_empty() || self.color.iter().any(|color| has_words(&pet.color, color)))
            && (self.name.is_empty() || self.name.iter().any(|name| spelled(&pet.name) == *name))
            && self.price.contains(pet.price)
            && self.age.contains(Decimal::from(pet.age_months))
            && self.kids.is_none_or(|kids| kids == pet.good_with_kids)
    }

    /// What the database can narrow by: admits at least what [`Self::admits`] does.
    pub(super) fn to_filter(&self) -> PetFilter {
        PetFilter {
            species: self.species.clone(),
            status: self.status.clone(),
            size: self.size.clone(),
            gender: self.gender.clone(),
            min_price: self.price.low.map(|low| if low.strict { low.value + PRICE_STEP } else { low.value }),
            max_price: self.price.high.map(|high| if high.strict { high.value - PRICE_STEP } else { high.value }),
            good_with_kids: self.kids,
            ..PetFilter::default()
        }
    }
}

/// The words of a text as the tokeniser sees them: lower case, without punctuation.
pub(super) fn spelled(text: &str) -> String {
    let lower = text.to_lowercase().replace(['\'', '’'], "");
    lower.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ")
}

/// Whether the words of `part` stand side by side in `text`: "red" is in "red tabby" and not in "feathered".
fn has_words(text: &str, part: &str) -> bool {
    format!(" {} ", spelled(text)).contains(&format!(" {part} "))
}

/// Which of the pets that match are meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Take {
    /// The first by the order, and all that tie with it: "the cheapest".
    Extreme,
    /// The first so many: "the three cheapest".
    First(usize),
    /// One, counted from the start (0 is the first) or, if negative, from the end (-1 is the last).
    Nth(i32),
}

/// Which pets, in which order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Query {
    /// At least one of these; empty: all pets.
    pub(super) any: Vec<Conditions>,
    /// None of these.
    pub(super) none: Vec<Conditions>,
    /// Only among the pets that this query finds.
    pub(super) within: Option<Box<Query>>,
    /// Status was spoken of, if only to say that it does not matter: the default does not apply.
    pub(super) any_status: bool,
    pub(super) sort: Sort,
    pub(super) take: Option<Take>,
}

impl Query {
    /// The pets of these names, whatever their status.
    pub(super) fn named(names: &[String]) -> Self {
        let conditions = Conditions { name: names.to_vec(), ..Conditions::default() };
        Self { any: vec![conditions], any_status: true, ..Self::default() }
    }

    /// The pets that this query finds, as the set in which another looks.
    pub(super) fn inside(within: &Self) -> Self {
        Self { within: Some(Box::new(within.clone())), any_status: true, sort: within.sort, ..Self::default() }
    }

    /// This query and those it looks within, the innermost first.
    pub(super) fn chain(&self) -> Vec<&Self> {
        let mut chain: Vec<&Self> = std::iter::successors(Some(self), |query| query.within.as_deref()).collect();
        chain.reverse();
        chain
    }

    /// Makes "available" explicit where no status is spoken of.
    #[must_use]
    pub(super) fn with_default_status(mut self) -> Self {
        if self.any_status || self.none.iter().any(|conditions| !conditions.status.is_empty()) {
            return self;
        }
        if self.any.is_empty() {
            self.any.push(Conditions::default());
        }
        for conditions in &mut self.any {
            if conditions.status.is_empty() {
                conditions.status = vec![Status::Available];
            }
        }
        self
    }

    /// Whether the pet is meant, [`Self::within`] and [`Self::take`] aside.
    pub(super) fn admits(&self, pet: &Pet) -> bool {
        (self.any.is_empty() || self.any.iter().any(|conditions| conditions.admits(pet)))
            && !self.none.iter().any(|conditions| conditions.admits(pet))
    }
}

/// Something that every pet has.
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

/// What is asked about the pets of a query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Intent {
    /// Which they are.
    List,
    /// How many they are.
    Count,
    /// Which values of an attribute occur among them.
    Values(Attribute),
    /// How many values of an attribute occur among them.
    CountValues(Attribute),
    /// Everything about a particular pet, or one attribute of it.
    About(Option<Attribute>),
    /// Whether a particular pet is so; what is asked is the query's, what must hold is here.
    Check { any: Vec<Conditions>, none: Vec<Conditions> },
}

/// A question that the inventory can answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Question {
    pub(super) intent: Intent,
    pub(super) query: Query,
    /// Exactly one pet is meant ("it", "she"): if the query finds several, nobody can tell which.
    pub(super) single: bool,
}
