//! Concepts: the meaning of a word or phrase by itself, before the sentence is parsed.

use std::sync::Arc;

use rust_decimal::Decimal;

use crate::responder::query::{Attribute, Conditions, Range, RangeLimit};
use crate::wire::resource::filter::Sort;
use crate::wire::resource::pet::{Gender, Size, Species, Status};

/// A stage of life. Answers state its bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::responder) enum LifeStage {
    /// Under 1 year.
    Baby,
    /// Under 2 years.
    Young,
    /// From 1 year to under 7.
    Adult,
    /// 7 years or more.
    Senior,
}

/// The comparison that an amount takes part in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::responder) enum Comparison {
    Under,
    Over,
    AtMost,
    AtLeast,
    Between,
    Around,
    Exactly,
}

/// The attribute that an amount measures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::responder) enum Measure {
    Price,
    Age,
}

/// The unit of an amount.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::responder) enum Unit {
    Dollar,
    Year,
    Month,
    /// A unit of time other than months and years. The inventory records months.
    OtherTime,
    /// A currency other than US dollars.
    ForeignCurrency,
}

/// Small talk: phrases that are not questions to the inventory.
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
    YoungOf(Species),
    /// A group of breeds by words in their names: "snakes" are boas, pythons and all breeds with "snake" in their name.
    BreedGroup(Species, &'static [&'static str]),
    /// A breed of the inventory, or words of its name.
    Breed(Arc<str>),
    Size(Size),
    /// A color under its several names.
    Color(&'static [&'static str]),
    /// A color of the inventory, or a word of it.
    InventoryColor(Arc<str>),
    Gender(Gender),
    Status(Status),
    /// "any status", "including adopted".
    AnyStatus,
    LifeStage(LifeStage),
    /// "free": a price of 0.
    Free,
    /// "good with": the companion follows.
    GoodWith,
    /// "bad with", "unsafe for".
    BadWith,
    /// "-friendly": the companion precedes it.
    Friendly,
    Kids,
    /// "likes kids".
    LikesKids,
    /// A family, which counts as one with kids.
    Family,
    /// The name of a pet in the inventory.
    Name(Arc<str>),
    /// "named", "called": a name follows.
    NameCue,
    /// "not": negates the next condition.
    Not,
    /// "no", "except": negates the whole noun phrase that follows.
    No,
    And,
    Or,
    /// "but", "only": ends the scope of a negation.
    But,
    Comma,
    /// "a", "one": an article, or the number 1 before a unit.
    Article,
    Number(Decimal),
    Money(Decimal),
    Unit(Unit),
    /// "and a half" after a number.
    AndHalf,
    /// "under", or "cheaper than" with its attribute.
    Comparison(Comparison, Option<Measure>),
    /// "or less", after an amount.
    OrLess,
    /// "or more", after an amount.
    OrMore,
    /// "from": the start of a range, otherwise a stop word.
    From,
    /// "about": precedes a pet or an approximate amount.
    About,
    /// "with", "I have": an upper bound if a sum of money follows, otherwise a stop word.
    PriceSum,
    /// "to" between two amounts.
    To,
    /// The first in a sort order: "cheapest".
    Superlative(Sort),
    /// A sort order without a selection: "cheap", "cheapest first".
    Order(Sort),
    /// "top": the first in a sort order that the sentence names.
    Top,
    /// "sorted by".
    SortBy,
    /// The direction of a sort order; `true`: descending.
    Direction(bool),
    /// An attribute that is asked for: "how old", "price", "breeds".
    Ask(Attribute),
    /// "what kind of": asks for breeds if the sentence names a species, otherwise for species.
    AskKind,
    HowMany,
    /// "which", "show me": asks for a list.
    Show,
    /// "do you have": asks for a list, also of all pets.
    Have,
    /// "tell me about".
    Describe,
    /// "what is a", "what are": with nothing but a noun, a request for a definition.
    WhatIs,
    /// "how about", "instead": marks a follow-up.
    FollowUp,
    /// "those", "they": the pets of an earlier turn.
    Those,
    /// "ones": stands for a noun of an earlier turn.
    Ones,
    /// "other": supported only together with an exclusion ("other than cats", "other pets besides cats").
    Other,
    /// "it", "she": one pet of an earlier turn, with the pronoun's gender.
    It(Option<Gender>),
    /// "the first one" (0), "the last one" (-1); a negative index counts from the end.
    Ordinal(i32),
    Social(Social),
    /// "as JSON": the format of the answer.
    Json,
    /// A word without influence on the meaning.
    StopWord,
    /// A word that no lexicon contains.
    Unknown(Arc<str>),
}

impl Concept {
    /// Whether it names a species or breed.
    pub(super) const fn is_noun(&self) -> bool {
        matches!(self, Self::Species(_) | Self::YoungOf(_) | Self::BreedGroup(..) | Self::Breed(_))
    }

    /// Whether it may stand between a number and its noun.
    pub(super) const fn is_adjective(&self) -> bool {
        matches!(
            self,
            Self::StopWord
                | Self::Size(_)
                | Self::Color(_)
                | Self::InventoryColor(_)
                | Self::Gender(_)
                | Self::Status(_)
                | Self::LifeStage(_)
                | Self::Order(_)
                | Self::Free
                | Self::And
                | Self::Comma
        )
    }

    /// Whether its presence shows that a sentence is about pets.
    pub(super) const fn is_about_pets(&self) -> bool {
        self.is_noun() || matches!(self, Self::Pets | Self::Ones | Self::Those | Self::Name(_) | Self::It(_))
    }

    /// The condition that the concept expresses by itself, if any.
    pub(super) fn condition(&self) -> Option<Conditions> {
        let unconstrained = Conditions::default();
        let owned = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
        Some(match self {
            Self::Species(species) => Conditions { species: vec![*species], ..unconstrained },
            Self::YoungOf(species) => {
                Conditions { species: vec![*species], age: LifeStage::Baby.range(), ..unconstrained }
            }
            Self::BreedGroup(species, breeds) => {
                Conditions { species: vec![*species], breed: owned(breeds), ..unconstrained }
            }
            Self::Breed(breed) => Conditions { breed: vec![breed.as_ref().to_owned()], ..unconstrained },
            Self::Size(size) => Conditions { size: vec![*size], ..unconstrained },
            Self::Color(colors) => Conditions { color: owned(colors), ..unconstrained },
            Self::InventoryColor(color) => Conditions { color: vec![color.as_ref().to_owned()], ..unconstrained },
            Self::Gender(gender) => Conditions { gender: vec![*gender], ..unconstrained },
            Self::Status(status) => Conditions { status: vec![*status], ..unconstrained },
            Self::LifeStage(this) => Conditions { age: this.range(), ..unconstrained },
            Self::Free => Conditions {
                price: Range::new(None, Some(RangeLimit { value: Decimal::ZERO, exclusive: false })),
                ..unconstrained
            },
            _ => return None,
        })
    }
}

impl LifeStage {
    /// The range of ages, in months.
    fn range(self) -> Range {
        let at = |months: u32, exclusive| Some(RangeLimit { value: Decimal::from(months), exclusive });
        match self {
            Self::Baby => Range::new(None, at(12, true)),
            Self::Young => Range::new(None, at(24, true)),
            Self::Adult => Range::new(at(12, false), at(84, true)),
            Self::Senior => Range::new(at(84, false), None),
        }
    }
}
