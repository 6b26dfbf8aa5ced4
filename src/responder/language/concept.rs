//! What a word or phrase means on its own, before the sentence is looked at.

use std::sync::Arc;

use rust_decimal::Decimal;

use crate::petstore::filter::Sort;
use crate::petstore::pet::{Gender, Size, Species, Status};
use crate::responder::query::{Attribute, Conditions, Limit, Range};

/// A stage of life. The bounds are said in every answer that uses them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::responder) enum Stage {
    /// Under 1 year.
    Baby,
    /// Under 2 years.
    Young,
    /// From 1 year to under 7.
    Adult,
    /// 7 years or more.
    Senior,
}

/// How an amount bounds what it is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::responder) enum Bound {
    Under,
    Over,
    AtMost,
    AtLeast,
    Between,
    Around,
    Exactly,
}

/// What an amount is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::responder) enum Measure {
    Price,
    Age,
}

/// What an amount is counted in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::responder) enum Unit {
    Dollar,
    Year,
    Month,
    /// Weeks and days: finer than the inventory records.
    Fine,
    /// A currency that no price is in.
    Foreign,
}

/// Words that are no question to the inventory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::responder) enum Social {
    Hello,
    Thanks,
    /// "OK", "great".
    Assent,
    Help,
}

/// The meaning of a word or phrase.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::responder) enum Concept {
    /// "pets", "animals", "anything".
    Pets,
    Species(Species),
    /// A species under one year: "puppies".
    Young(Species),
    /// A kind that is known by words of its breeds: "snakes" are boas, pythons and whatever says snake.
    Kind(Species, &'static [&'static str]),
    /// A breed, or words of one, from the inventory.
    Breed(Arc<str>),
    Size(Size),
    /// A colour under its several names.
    Color(&'static [&'static str]),
    /// A colour from the inventory.
    LiveColor(Arc<str>),
    Gender(Gender),
    Status(Status),
    AnyStatus,
    Stage(Stage),
    /// Costs nothing.
    Free,
    /// "good with": needs to be told with whom.
    GoodWith,
    BadWith,
    /// "-friendly", after whom.
    Friendly,
    Kids,
    /// "likes kids".
    LikesKids,
    /// A family: one with kids, as an adjective or alone.
    Family,
    /// The name of a pet in the inventory.
    Name(Arc<str>),
    /// "named", "called": what follows is a name.
    NameCue,
    /// "not": the word that follows.
    Not,
    /// "no", "except": the whole noun phrase that follows.
    No,
    And,
    Or,
    /// "but", "only": ends the reach of a negation.
    But,
    Comma,
    /// "a", "one".
    One,
    Number(Decimal),
    Money(Decimal),
    Unit(Unit),
    /// "and a half" after a number.
    AndHalf,
    Bound(Bound, Option<Measure>),
    /// "or less", after an amount.
    OrLess,
    /// "or more", after an amount.
    OrMore,
    /// "from": begins a range, otherwise nothing.
    From,
    /// "about": a pet, or an amount.
    About,
    /// "with", "I have": before money, a bound.
    Purse,
    /// "to" between two amounts.
    To,
    /// The first of an order: "cheapest".
    Extreme(Sort),
    /// An order without a choice: "cheap", "cheapest first".
    Lean(Sort),
    /// "top" of an order that is named.
    Top,
    /// "sorted by".
    SortBy,
    /// Ascending, or descending.
    Direction(bool),
    /// "how old", "price", "breeds".
    Ask(Attribute),
    /// "what kind of": breeds of a species that is named, otherwise species.
    AskKind,
    HowMany,
    /// "which", "show me": a list is wanted.
    Show,
    /// "do you have": a list is wanted, even of everything.
    Have,
    /// "tell me about".
    Tell,
    /// "what is a", "what are": of a bare noun, a question for an encyclopaedia.
    WhatIs,
    /// "how about", "and", "instead" where it begins a follow-up.
    Cue,
    /// The pets last spoken of.
    Those,
    /// "ones": a noun to be found in what was said before.
    Ones,
    /// "other": means something only beside an exclusion ("other than cats", "other pets besides cats").
    Other,
    /// The one pet last spoken of.
    It(Option<Gender>),
    /// "the first one", "the last one"; negative counts from the end.
    Nth(i32),
    Social(Social),
    /// "as JSON": a matter of the format that was asked for.
    Json,
    /// Adds nothing.
    Skip,
    /// Not understood.
    Unknown(Arc<str>),
}

impl Concept {
    /// Names a kind of animal.
    pub(super) const fn is_noun(&self) -> bool {
        matches!(self, Self::Species(_) | Self::Young(_) | Self::Kind(..) | Self::Breed(_))
    }

    /// May stand between a number and its noun.
    pub(super) const fn is_adjective(&self) -> bool {
        matches!(
            self,
            Self::Skip
                | Self::Size(_)
                | Self::Color(_)
                | Self::LiveColor(_)
                | Self::Gender(_)
                | Self::Status(_)
                | Self::Stage(_)
                | Self::Lean(_)
                | Self::Free
                | Self::And
                | Self::Comma
        )
    }

    /// Shows that a sentence is about pets.
    pub(super) const fn is_about_pets(&self) -> bool {
        self.is_noun() || matches!(self, Self::Pets | Self::Ones | Self::Those | Self::Name(_) | Self::It(_))
    }

    /// The condition that a concept is by itself.
    pub(super) fn condition(&self) -> Option<Conditions> {
        let none = Conditions::default();
        let owned = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
        Some(match self {
            Self::Species(species) => Conditions { species: vec![*species], ..none },
            Self::Young(species) => Conditions { species: vec![*species], age: Stage::Baby.range(), ..none },
            Self::Kind(species, breeds) => Conditions { species: vec![*species], breed: owned(breeds), ..none },
            Self::Breed(breed) => Conditions { breed: vec![breed.as_ref().to_owned()], ..none },
            Self::Size(size) => Conditions { size: vec![*size], ..none },
            Self::Color(colors) => Conditions { color: owned(colors), ..none },
            Self::LiveColor(color) => Conditions { color: vec![color.as_ref().to_owned()], ..none },
            Self::Gender(gender) => Conditions { gender: vec![*gender], ..none },
            Self::Status(status) => Conditions { status: vec![*status], ..none },
            Self::Stage(this) => Conditions { age: this.range(), ..none },
            Self::Free => {
                Conditions { price: Range::new(None, Some(Limit { value: Decimal::ZERO, strict: false })), ..none }
            }
            _ => return None,
        })
    }
}

impl Stage {
    /// The ages in months.
    fn range(self) -> Range {
        let at = |months: u32, strict| Some(Limit { value: Decimal::from(months), strict });
        match self {
            Self::Baby => Range::new(None, at(12, true)),
            Self::Young => Range::new(None, at(24, true)),
            Self::Adult => Range::new(at(12, false), at(84, true)),
            Self::Senior => Range::new(at(84, false), None),
        }
    }
}
