//! The parser: fills the slots of a clause from the concepts of a sentence.
//!
//! Amounts, companions ("good with kids"), numbers and sort orders are parsed here; conditions, nouns and negations
//! become parts that [`compose`] combines into noun phrases. A construct that is not fully supported is an error.

use rust_decimal::prelude::ToPrimitive;

use super::amount::{amount, number};
use super::clause::Clause;
use super::concept::{Comparison, Concept, LifeStage, Social};
use super::interpretation::Unsupported;
use super::phrase::{Part, compose};
use super::rejection::reject_unanswerable;
use crate::responder::query::{Attribute, Conditions, Selection};
use crate::wire::resource::filter::Sort;
use crate::wire::resource::pet::Size;

/// Parses the concepts of a sentence.
///
/// # Errors
/// [`Unsupported`] if any part of the sentence is not understood.
pub(super) fn parse_clause(concepts: &[Concept]) -> Result<Clause, Unsupported> {
    reject_unanswerable(concepts)?;
    let mut parser = Parser { concepts, at: 0, clause: Clause::default(), parts: Vec::new() };
    while parser.at < concepts.len() {
        parser.step()?;
    }
    let Parser { mut clause, parts, .. } = parser;
    compose(&parts, &mut clause)?;
    clause.noun = clause.any_of.iter().any(|conditions| !conditions.species.is_empty() || !conditions.breed.is_empty());
    Ok(clause)
}

struct Parser<'a> {
    concepts: &'a [Concept],
    at: usize,
    clause: Clause,
    /// Input of [`compose`].
    parts: Vec<Part>,
}

impl Parser<'_> {
    fn peek(&self, ahead: usize) -> Option<&Concept> {
        self.concepts.get(self.at + ahead)
    }

    /// The next concept from the offset `from` on that is not a stop word, with its offset.
    fn next_content(&self, from: usize) -> Option<(usize, &Concept)> {
        (from..)
            .map_while(|ahead| self.peek(ahead).map(|concept| (ahead, concept)))
            .find(|(_, c)| !matches!(c, Concept::StopWord | Concept::Article | Concept::PriceSum))
    }

    /// Parses the next concept, or several that belong together.
    fn step(&mut self) -> Result<(), Unsupported> {
        let rest = &self.concepts[self.at..];
        if let Some((conditions, length)) = amount(rest)? {
            self.parts.push(Part::Trait(conditions));
            self.at += length;
            return Ok(());
        }
        let concept = rest[0].clone();
        let used = match concept {
            Concept::GoodWith | Concept::BadWith => self.companions(matches!(concept, Concept::GoodWith))?,
            Concept::Kids | Concept::Family => self.kids()?,
            Concept::Friendly => return Err(Unsupported::Words(vec!["friendly".into()])),
            Concept::Number(_) => self.pet_count()?,
            Concept::Money(_) | Concept::Unit(_) | Concept::AndHalf | Concept::OrLess | Concept::OrMore => {
                return Err(Unsupported::NotUnderstood);
            }
            // "the cheaper between Rex and Fido"
            Concept::Comparison(Comparison::Between, None)
                if self.concepts.iter().any(|c| matches!(c, Concept::Name(_))) =>
            {
                1
            }
            Concept::Comparison(..) => return Err(Unsupported::Words(Vec::new())),
            Concept::SortBy => self.sort_by()?,
            Concept::Top => self.top()?,
            Concept::Size(_) | Concept::LifeStage(_) if matches!(self.peek(1), Some(Concept::Kids)) => {
                self.kids_by_age()?
            }
            Concept::LikesKids => {
                self.push_trait(kids(true));
                1
            }
            Concept::Superlative(sort) => self.superlative(sort),
            Concept::Ordinal(index) => self.ordinal(index)?,
            Concept::Not if self.is_negative_question() => 1,
            // "dogs and their prices", "a dog, but only if it is small": refers to the same sentence.
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

    /// "good with" and the companions; returns the number of concepts, as the methods below do.
    fn companions(&mut self, good: bool) -> Result<usize, Unsupported> {
        let mut ahead = 1;
        // Small and young children are kids; of others the inventory has no data.
        while matches!(
            self.peek(ahead),
            Some(
                Concept::StopWord
                    | Concept::Article
                    | Concept::PriceSum
                    | Concept::Number(_)
                    | Concept::Size(Size::Small)
                    | Concept::LifeStage(LifeStage::Young | LifeStage::Baby)
            )
        ) {
            ahead += 1;
        }
        if !matches!(self.peek(ahead), Some(Concept::Kids | Concept::Family)) {
            return Err(Unsupported::Company);
        }
        self.push_trait(kids(good));
        let after = ahead + 1 + usize::from(matches!(self.peek(ahead + 1), Some(Concept::Friendly)));
        self.reject_other_companions(after)?;
        Ok(after)
    }

    /// In "small children", "small" is no condition on the pet. Other children are not supported.
    fn kids_by_age(&self) -> Result<usize, Unsupported> {
        match self.peek(0) {
            Some(Concept::Size(Size::Small) | Concept::LifeStage(LifeStage::Young | LifeStage::Baby)) => Ok(1),
            _ => Err(Unsupported::Company),
        }
    }

    /// "good with kids and cats" is ambiguous: cats as companions, or as a second noun.
    fn reject_other_companions(&self, from: usize) -> Result<(), Unsupported> {
        let joined = matches!(self.peek(from), Some(Concept::And | Concept::Or | Concept::Comma));
        let has_companion = joined
            && matches!(self.next_content(from + 1), Some((_, concept)) if concept.is_noun() || matches!(concept, Concept::Pets | Concept::Other | Concept::LifeStage(_)));
        if has_companion { Err(Unsupported::Company) } else { Ok(()) }
    }

    fn kids(&mut self) -> Result<usize, Unsupported> {
        let friendly = usize::from(matches!(self.peek(1), Some(Concept::Friendly)));
        let negated = matches!(self.parts.iter().rev().find(|part| **part != Part::Gap), Some(Part::Not | Part::No));
        if negated && friendly == 0 {
            // "I have no kids" is no condition on the pet.
            return Err(Unsupported::Words(vec!["no kids".into()]));
        }
        self.push_trait(kids(true));
        Ok(1 + friendly)
    }

    /// A number without a unit is the number of pets to list; elsewhere it is not supported.
    fn pet_count(&mut self) -> Result<usize, Unsupported> {
        let (value, length) = number(&self.concepts[self.at..]).ok_or(Unsupported::NotUnderstood)?;
        if matches!(self.peek(length), Some(Concept::Kids)) {
            return Ok(length);
        }
        let follows = (length..).map_while(|ahead| self.peek(ahead)).find(|c| !c.is_adjective());
        let before = self.concepts[..self.at].iter().rev().find(|c| !matches!(c, Concept::StopWord));
        let counted = matches!(follows, Some(c) if c.is_noun() || matches!(c, Concept::Pets | Concept::Ones | Concept::Superlative(_) | Concept::Those | Concept::Family))
            || matches!(before, Some(Concept::Superlative(_)));
        let number = value.to_usize().filter(|number| *number > 0 && value.is_integer());
        match number {
            Some(number) if counted => {
                self.clause.selection = Some(Selection::First(number));
                self.parts.push(Part::Gap);
                Ok(length)
            }
            _ => Err(Unsupported::NotUnderstood),
        }
    }

    fn sort_by(&mut self) -> Result<usize, Unsupported> {
        let (ahead, order) = match self.next_content(1) {
            Some((ahead, Concept::Ask(Attribute::Price))) => (ahead, [Sort::PriceAscending, Sort::PriceDescending]),
            Some((ahead, Concept::Ask(Attribute::Age))) => (ahead, [Sort::AgeAscending, Sort::AgeDescending]),
            Some((ahead, Concept::Ask(Attribute::Name))) => (ahead, [Sort::Name, Sort::Name]),
            Some((_, Concept::Order(_) | Concept::Superlative(_))) => return Ok(1),
            _ => return Err(Unsupported::Words(vec!["by".into()])),
        };
        let (length, descending) = match self.next_content(ahead + 1) {
            Some((further, Concept::Direction(descending))) => (further + 1, *descending),
            _ => (ahead + 1, false),
        };
        self.clause.sort = Some(order[usize::from(descending)]);
        Ok(length)
    }

    /// "top three" needs a sort order in the same sentence.
    fn top(&self) -> Result<usize, Unsupported> {
        let ordered =
            self.concepts.iter().any(|c| matches!(c, Concept::Superlative(_) | Concept::Order(_) | Concept::SortBy));
        if ordered { Ok(1) } else { Err(Unsupported::Words(vec!["top".into()])) }
    }

    fn superlative(&mut self, sort: Sort) -> usize {
        self.parts.push(Part::Gap);
        // "from cheapest to dearest" is a sort order.
        if let Some((ahead, Concept::Superlative(_))) = self.next_content(1)
            && matches!(self.peek(ahead - 1).or(self.peek(1)), Some(Concept::To))
        {
            self.clause.sort = Some(sort);
            return ahead + 1;
        }
        if matches!((self.peek(1), self.peek(2)), (Some(Concept::To), Some(Concept::Superlative(_)))) {
            self.clause.sort = Some(sort);
            return 3;
        }
        self.clause.sort = Some(sort);
        self.clause.selection = self.clause.selection.or(Some(Selection::FirstWithTies));
        1
    }

    fn ordinal(&mut self, index: i32) -> Result<usize, Unsupported> {
        self.parts.push(Part::Gap);
        match self.peek(1) {
            Some(Concept::Superlative(sort)) => {
                (self.clause.sort, self.clause.selection) = (Some(*sort), Some(Selection::Nth(index)));
                Ok(2)
            }
            Some(Concept::Number(value)) if index == 0 => {
                self.clause.selection = value.to_usize().map(Selection::First);
                Ok(2)
            }
            Some(Concept::Number(_)) => Err(Unsupported::NotUnderstood),
            _ => {
                self.clause.ordinal = Some(index);
                Ok(1)
            }
        }
    }

    /// "Isn't Rex available?", "don't you have cats?": this "not" is part of the question, not a negation.
    fn is_negative_question(&self) -> bool {
        let opens = self.concepts[..self.at]
            .iter()
            .all(|c| matches!(c, Concept::StopWord | Concept::Show | Concept::Comma | Concept::FollowUp));
        opens
            && self.at > 0
            && matches!(
                self.peek(1),
                Some(Concept::StopWord | Concept::It(_) | Concept::Name(_) | Concept::Those | Concept::Have)
            )
    }

    /// Greetings and thanks are at the start or end of the sentence; elsewhere ("a nice dog") they would be conditions.
    fn social(&mut self, social: Social) -> Result<usize, Unsupported> {
        let is_boundary = |concept: Option<&Concept>| {
            matches!(
                concept,
                None | Some(
                    Concept::Comma
                        | Concept::Social(_)
                        | Concept::And
                        | Concept::But
                        | Concept::StopWord
                        | Concept::Show
                        | Concept::FollowUp
                        | Concept::HowMany
                        | Concept::Have
                )
            )
        };
        let opens = self.concepts[..self.at]
            .iter()
            .all(|c| matches!(c, Concept::StopWord | Concept::Comma | Concept::Social(_)));
        if matches!(social, Social::Thanks | Social::Assent)
            && !(is_boundary(self.peek(1)) && (opens || self.peek(1).is_none()))
        {
            return Err(Unsupported::NotUnderstood);
        }
        // A request for help takes precedence over a greeting.
        if self.clause.social != Some(Social::Help) {
            self.clause.social = Some(social);
        }
        self.parts.push(Part::Comma);
        Ok(1)
    }

    /// A concept that fills one slot or is one part.
    fn simple(&mut self, concept: Concept) -> Result<usize, Unsupported> {
        let clause = &mut self.clause;
        let mut part = Part::Gap;
        match concept {
            Concept::Pets => (clause.generic_noun, part) = (true, Part::Pets),
            Concept::Name(name) => part = Part::Name(name.as_ref().to_owned()),
            Concept::AnyStatus => clause.any_status = true,
            Concept::Not => part = Part::Not,
            // "No, I meant cats."
            Concept::No if self.at == 0 && matches!(self.concepts.get(1), Some(Concept::Comma)) => {}
            Concept::No => part = Part::No,
            Concept::And => {
                clause.follow_up |= self.at == 0;
                part = Part::And;
            }
            Concept::Or => {
                clause.follow_up |= self.at == 0;
                clause.has_or = true;
                part = Part::Or;
            }
            Concept::But => {
                clause.follow_up |= self.at == 0;
                part = Part::But;
            }
            Concept::Comma => part = Part::Comma,
            Concept::Order(sort) => clause.sort = Some(sort),
            Concept::Direction(descending) if clause.asked.contains(&Attribute::Price) => {
                clause.sort = Some(if descending { Sort::PriceDescending } else { Sort::PriceAscending });
            }
            Concept::Direction(_) => return Err(Unsupported::NotUnderstood),
            Concept::Ask(attribute) => clause.asked.push(attribute),
            Concept::AskKind => clause.asked.push(if self.concepts.iter().any(Concept::is_noun) {
                Attribute::Breed
            } else {
                Attribute::Species
            }),
            Concept::HowMany => clause.how_many = true,
            Concept::Show => clause.show = true,
            Concept::Have => clause.have = true,
            Concept::Describe | Concept::About => clause.describe = true,
            Concept::FollowUp => (clause.follow_up, part) = (true, Part::But),
            Concept::Those => clause.those = true,
            Concept::Ones => (clause.ones, part) = (true, Part::Pets),
            Concept::It(gender) => clause.pronoun = Some(gender),
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
