//! Concepts to a clause: amounts, company, numbers and orders are put together, the rest becomes
//! parts of noun phrases.

use std::sync::Arc;

use rust_decimal::prelude::ToPrimitive;

use super::Unsupported;
use super::amount::{amount, number};
use super::clause::Clause;
use super::concept::{Bound, Concept, Social, Stage, Unit};
use super::phrase::{Part, compose};
use crate::petstore::filter::Sort;
use crate::petstore::pet::Size;
use crate::responder::query::{Attribute, Conditions, Take};

/// Understands the concepts of a sentence.
///
/// # Errors
/// [`Unsupported`] where a part of it is not understood: then nothing of it may be answered.
pub(super) fn clause(concepts: &[Concept]) -> Result<Clause, Unsupported> {
    let mut folder = Parser { concepts, at: 0, clause: Clause::default(), parts: Vec::new() };
    folder.check()?;
    while folder.at < concepts.len() {
        folder.step()?;
    }
    let Parser { mut clause, parts, .. } = folder;
    compose(&parts, &mut clause)?;
    clause.noun = clause.any.iter().any(|conditions| !conditions.species.is_empty() || !conditions.breed.is_empty());
    Ok(clause)
}

struct Parser<'a> {
    concepts: &'a [Concept],
    at: usize,
    clause: Clause,
    parts: Vec<Part>,
}

impl Parser<'_> {
    fn peek(&self, ahead: usize) -> Option<&Concept> {
        self.concepts.get(self.at + ahead)
    }

    /// The next concept behind `from` that is not skipped, and how far away it is.
    fn next_real(&self, from: usize) -> Option<(usize, &Concept)> {
        (from..)
            .map_while(|ahead| self.peek(ahead).map(|concept| (ahead, concept)))
            .find(|(_, c)| !matches!(c, Concept::Skip | Concept::One | Concept::Purse))
    }

    /// Declines a sentence with unknown words, or one that asks for an encyclopaedia.
    fn check(&self) -> Result<(), Unsupported> {
        if self.concepts.contains(&Concept::Unit(Unit::Foreign)) {
            return Err(Unsupported::Currency);
        }
        let unknown: Vec<Arc<str>> = self
            .concepts
            .iter()
            .filter_map(|concept| match concept {
                Concept::Unknown(word) => Some(word.clone()),
                _ => None,
            })
            .collect();
        let about_pets = self.concepts.iter().any(Concept::is_about_pets);
        if !unknown.is_empty() {
            let told = self
                .concepts
                .windows(2)
                .any(|pair| matches!(pair, [Concept::Tell | Concept::NameCue | Concept::About, Concept::Unknown(_)]));
            // "How old is Rover?": the only thing not understood is whom it is about.
            let fact = !about_pets
                && self.concepts.iter().any(|c| matches!(c, Concept::Ask(_) | Concept::Status(_) | Concept::GoodWith));
            return Err(match (unknown.as_slice(), about_pets) {
                ([name], _) if told || fact => Unsupported::NoSuchName(name.clone()),
                (_, true) if unknown.len() <= 3 => Unsupported::Words(unknown),
                _ => Unsupported::NotUnderstood,
            });
        }
        let real: Vec<&Concept> =
            self.concepts.iter().filter(|c| !matches!(c, Concept::Skip | Concept::One | Concept::Comma)).collect();
        let encyclopaedic = matches!(real.as_slice(), [Concept::WhatIs, nouns @ ..] if !nouns.is_empty() && nouns.iter().all(|c| c.is_noun()));
        let article = self
            .concepts
            .iter()
            .position(|c| matches!(c, Concept::WhatIs))
            .is_some_and(|at| !matches!(self.concepts.get(at + 1), Some(Concept::Skip)));
        if encyclopaedic && article { Err(Unsupported::NotUnderstood) } else { Ok(()) }
    }

    fn step(&mut self) -> Result<(), Unsupported> {
        let rest = &self.concepts[self.at..];
        if let Some((conditions, length)) = amount(rest)? {
            self.parts.push(Part::Trait(conditions));
            self.at += length;
            return Ok(());
        }
        let concept = rest[0].clone();
        let used = match concept {
            Concept::GoodWith | Concept::BadWith => self.company(matches!(concept, Concept::GoodWith))?,
            Concept::Kids | Concept::Family => self.kids()?,
            Concept::Friendly => return Err(Unsupported::Words(vec!["friendly".into()])),
            Concept::Number(_) => self.count()?,
            Concept::Money(_) | Concept::Unit(_) | Concept::AndHalf | Concept::OrLess | Concept::OrMore => {
                return Err(Unsupported::NotUnderstood);
            }
            // "the cheaper between Rex and Fido"
            Concept::Bound(Bound::Between, None) if self.concepts.iter().any(|c| matches!(c, Concept::Name(_))) => 1,
            Concept::Bound(..) => return Err(Unsupported::Words(Vec::new())),
            Concept::SortBy => self.sort_by()?,
            Concept::Top => self.top()?,
            Concept::Size(_) | Concept::Stage(_) if matches!(self.peek(1), Some(Concept::Kids)) => self.which_kids()?,
            Concept::LikesKids => {
                self.push_trait(kids(true));
                1
            }
            Concept::Extreme(sort) => self.extreme(sort),
            Concept::Nth(place) => self.nth(place)?,
            Concept::Not if self.is_inversion() => 1,
            // "Dogs and their prices", "a dog, but only if it is small": of what this sentence names.
            Concept::Those | Concept::It(_)
                if self.concepts[..self.at].iter().any(|c| c.is_noun() || *c == Concept::Pets) =>
            {
                self.parts.push(Part::Gap);
                1
            }
            Concept::Other if self.concepts.iter().any(|c| matches!(c, Concept::No)) => 1,
            Concept::Other => return Err(Unsupported::Words(vec!["other".into()])),
            Concept::Social(social) => self.social(social)?,
            other => self.simple(other)?,
        };
        self.at += used;
        Ok(())
    }

    fn push_trait(&mut self, conditions: Conditions) {
        self.parts.push(Part::Trait(conditions));
    }

    /// "good with" and whom.
    fn company(&mut self, good: bool) -> Result<usize, Unsupported> {
        let mut ahead = 1;
        // Small and young children are kids; older ones are not what the inventory speaks of.
        while matches!(
            self.peek(ahead),
            Some(
                Concept::Skip
                    | Concept::One
                    | Concept::Purse
                    | Concept::Number(_)
                    | Concept::Size(Size::Small)
                    | Concept::Stage(Stage::Young | Stage::Baby)
            )
        ) {
            ahead += 1;
        }
        if !matches!(self.peek(ahead), Some(Concept::Kids | Concept::Family)) {
            return Err(Unsupported::Company);
        }
        self.push_trait(kids(good));
        let after = ahead + 1 + usize::from(matches!(self.peek(ahead + 1), Some(Concept::Friendly)));
        self.no_other_company(after)?;
        Ok(after)
    }

    /// "small children" are kids, and no small pets; of older ones the inventory does not speak.
    fn which_kids(&self) -> Result<usize, Unsupported> {
        match self.peek(0) {
            Some(Concept::Size(Size::Small) | Concept::Stage(Stage::Young | Stage::Baby)) => Ok(1),
            _ => Err(Unsupported::Company),
        }
    }

    /// "good with kids and cats" asks more than "good with kids", or something else: nobody can tell.
    fn no_other_company(&self, from: usize) -> Result<(), Unsupported> {
        let joined = matches!(self.peek(from), Some(Concept::And | Concept::Or | Concept::Comma));
        let company = joined
            && matches!(self.next_real(from + 1), Some((_, concept)) if concept.is_noun() || matches!(concept, Concept::Pets | Concept::Other | Concept::Stage(_)));
        if company { Err(Unsupported::Company) } else { Ok(()) }
    }

    fn kids(&mut self) -> Result<usize, Unsupported> {
        let friendly = usize::from(matches!(self.peek(1), Some(Concept::Friendly)));
        let negated = matches!(self.parts.iter().rev().find(|part| **part != Part::Gap), Some(Part::Not | Part::No));
        if negated && friendly == 0 {
            // "I have no kids" says nothing about the pet.
            return Err(Unsupported::Words(vec!["no kids".into()]));
        }
        self.push_trait(kids(true));
        Ok(1 + friendly)
    }

    /// A bare number counts the pets that are wanted, or belongs to nothing.
    fn count(&mut self) -> Result<usize, Unsupported> {
        let (value, length) = number(&self.concepts[self.at..]).ok_or(Unsupported::NotUnderstood)?;
        if matches!(self.peek(length), Some(Concept::Kids)) {
            return Ok(length);
        }
        let follows = (length..).map_while(|ahead| self.peek(ahead)).find(|c| !c.is_adjective());
        let before = self.concepts[..self.at].iter().rev().find(|c| !matches!(c, Concept::Skip));
        let counted = matches!(follows, Some(c) if c.is_noun() || matches!(c, Concept::Pets | Concept::Ones | Concept::Extreme(_) | Concept::Those | Concept::Family))
            || matches!(before, Some(Concept::Extreme(_)));
        let wanted = value.to_usize().filter(|wanted| *wanted > 0 && value.is_integer());
        match wanted {
            Some(wanted) if counted => {
                self.clause.take = Some(Take::First(wanted));
                self.parts.push(Part::Gap);
                Ok(length)
            }
            _ => Err(Unsupported::NotUnderstood),
        }
    }

    fn sort_by(&mut self) -> Result<usize, Unsupported> {
        let (ahead, order) = match self.next_real(1) {
            Some((ahead, Concept::Ask(Attribute::Price))) => (ahead, [Sort::PriceAscending, Sort::PriceDescending]),
            Some((ahead, Concept::Ask(Attribute::Age))) => (ahead, [Sort::AgeAscending, Sort::AgeDescending]),
            Some((ahead, Concept::Ask(Attribute::Name))) => (ahead, [Sort::Name, Sort::Name]),
            Some((_, Concept::Lean(_) | Concept::Extreme(_))) => return Ok(1),
            _ => return Err(Unsupported::Words(vec!["by".into()])),
        };
        let (length, descending) = match self.next_real(ahead + 1) {
            Some((further, Concept::Direction(descending))) => (further + 1, *descending),
            _ => (ahead + 1, false),
        };
        self.clause.order = Some(order[usize::from(descending)]);
        Ok(length)
    }

    /// "Top three" of an order; without one, nobody can tell which are on top.
    fn top(&self) -> Result<usize, Unsupported> {
        let ordered =
            self.concepts.iter().any(|c| matches!(c, Concept::Extreme(_) | Concept::Lean(_) | Concept::SortBy));
        if ordered { Ok(1) } else { Err(Unsupported::Words(vec!["top".into()])) }
    }

    fn extreme(&mut self, sort: Sort) -> usize {
        self.parts.push(Part::Gap);
        // "from cheapest to dearest" is an order.
        if let Some((ahead, Concept::Extreme(_))) = self.next_real(1)
            && matches!(self.peek(ahead - 1).or(self.peek(1)), Some(Concept::To))
        {
            self.clause.order = Some(sort);
            return ahead + 1;
        }
        if matches!((self.peek(1), self.peek(2)), (Some(Concept::To), Some(Concept::Extreme(_)))) {
            self.clause.order = Some(sort);
            return 3;
        }
        self.clause.order = Some(sort);
        self.clause.take = self.clause.take.or(Some(Take::Extreme));
        1
    }

    fn nth(&mut self, place: i32) -> Result<usize, Unsupported> {
        self.parts.push(Part::Gap);
        match self.peek(1) {
            Some(Concept::Extreme(sort)) => {
                (self.clause.order, self.clause.take) = (Some(*sort), Some(Take::Nth(place)));
                Ok(2)
            }
            Some(Concept::Number(value)) if place == 0 => {
                self.clause.take = value.to_usize().map(Take::First);
                Ok(2)
            }
            Some(Concept::Number(_)) => Err(Unsupported::NotUnderstood),
            _ => {
                self.clause.nth = Some(place);
                Ok(1)
            }
        }
    }

    /// "Isn't Rex available?", "don't you have cats?": the "not" asks and denies nothing.
    fn is_inversion(&self) -> bool {
        let opens = self.concepts[..self.at]
            .iter()
            .all(|c| matches!(c, Concept::Skip | Concept::Show | Concept::Comma | Concept::Cue));
        opens
            && self.at > 0
            && matches!(
                self.peek(1),
                Some(Concept::Skip | Concept::It(_) | Concept::Name(_) | Concept::Those | Concept::Have)
            )
    }

    /// Greetings and thanks stand at an edge of the sentence; elsewhere ("a nice dog") they would be conditions.
    fn social(&mut self, social: Social) -> Result<usize, Unsupported> {
        let parted = |concept: Option<&Concept>| {
            matches!(
                concept,
                None | Some(
                    Concept::Comma
                        | Concept::Social(_)
                        | Concept::And
                        | Concept::But
                        | Concept::Skip
                        | Concept::Show
                        | Concept::Cue
                        | Concept::HowMany
                        | Concept::Have
                )
            )
        };
        let opens =
            self.concepts[..self.at].iter().all(|c| matches!(c, Concept::Skip | Concept::Comma | Concept::Social(_)));
        if matches!(social, Social::Thanks | Social::Assent)
            && !(parted(self.peek(1)) && (opens || self.peek(1).is_none()))
        {
            return Err(Unsupported::NotUnderstood);
        }
        // Asking for help says more than saying hello.
        if self.clause.social != Some(Social::Help) {
            self.clause.social = Some(social);
        }
        self.parts.push(Part::Comma);
        Ok(1)
    }

    fn simple(&mut self, concept: Concept) -> Result<usize, Unsupported> {
        let clause = &mut self.clause;
        let mut part = Part::Gap;
        match concept {
            Concept::Pets => (clause.pets, part) = (true, Part::Pets),
            Concept::Name(name) => part = Part::Name(name.as_ref().to_owned()),
            Concept::AnyStatus => clause.any_status = true,
            Concept::Not => part = Part::Not,
            // "No, I meant cats."
            Concept::No if self.at == 0 && matches!(self.concepts.get(1), Some(Concept::Comma)) => {}
            Concept::No => part = Part::No,
            Concept::And => {
                clause.cue |= self.at == 0;
                part = Part::And;
            }
            Concept::Or => {
                clause.cue |= self.at == 0;
                clause.either = true;
                part = Part::Or;
            }
            Concept::But => {
                clause.cue |= self.at == 0;
                part = Part::But;
            }
            Concept::Comma => part = Part::Comma,
            Concept::Lean(sort) => clause.order = Some(sort),
            Concept::Direction(descending) if clause.asks.contains(&Attribute::Price) => {
                clause.order = Some(if descending { Sort::PriceDescending } else { Sort::PriceAscending });
            }
            Concept::Direction(_) => return Err(Unsupported::NotUnderstood),
            Concept::Ask(attribute) => clause.asks.push(attribute),
            Concept::AskKind => clause.asks.push(if self.concepts.iter().any(Concept::is_noun) {
                Attribute::Breed
            } else {
                Attribute::Species
            }),
            Concept::HowMany => clause.how_many = true,
            Concept::Show => clause.show = true,
            Concept::Have => clause.have = true,
            Concept::Tell | Concept::About => clause.tell = true,
            Concept::Cue => (clause.cue, part) = (true, Part::But),
            Concept::Those => clause.those = true,
            Concept::Ones => (clause.ones, part) = (true, Part::Pets),
            Concept::It(gender) => clause.it = Some(gender),
            other => {
                if let Some(found) = other.condition() {
                    part = if other.is_noun() { Part::Noun(found) } else { Part::Trait(found) };
                }
            }
        }
        if matches!(part, Part::Noun(_)) && matches!(self.peek(1), Some(Concept::Friendly)) {
            return Err(Unsupported::Company);
        }
        self.parts.push(part);
        Ok(1)
    }
}

fn kids(good: bool) -> Conditions {
    Conditions { kids: Some(good), ..Conditions::default() }
}
