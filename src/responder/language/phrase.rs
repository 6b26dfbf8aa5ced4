//! Noun phrases: which condition belongs to which noun, and the scope of negations.
//!
//! - Adjacent conditions apply together: "small black dogs".
//! - Values of one attribute are alternatives: "black and brown cats".
//! - Nouns are alternatives: "cats and dogs". Conditions before the first noun or after the last apply to all nouns,
//!   unless another noun has its own: "small dogs and large cats".
//! - "or" between conditions on different attributes is not supported, since its scope would be a guess.

use super::clause::Clause;
use super::interpretation::Unsupported;
use crate::responder::query::Conditions;

/// A part of a sentence, as input of the analysis of noun phrases.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Part {
    /// A species or breed.
    Noun(Conditions),
    /// "pets", "ones".
    Pets,
    /// A condition on another attribute.
    Trait(Conditions),
    /// A pet's name, normalized.
    Name(String),
    /// Negates the condition that follows.
    Not,
    /// Negates the noun phrase that follows.
    No,
    And,
    Or,
    /// Ends the scope of a negation.
    But,
    Comma,
    /// A word without influence on noun phrases.
    Gap,
}

/// A noun with the conditions before and after it.
#[derive(Clone, Debug, Default)]
struct NounPhrase {
    before: Conditions,
    noun: Option<Conditions>,
    after: Conditions,
    /// A noun or "pets" has been read: further conditions follow it.
    after_noun: bool,
}

/// The negation whose scope includes the next part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Negation {
    Not,
    No,
}

#[derive(Default)]
struct PhraseBuilder {
    finished: Vec<NounPhrase>,
    current: NounPhrase,
    none_of: Vec<Conditions>,
    names: Vec<String>,
    negation: Option<Negation>,
    /// The negation has excluded something already.
    applied: bool,
    /// The last exclusion: after "or" and "and", the negation still applies to the same attribute.
    last_excluded: Option<Conditions>,
    /// The conjunction before the current part.
    conjunction: Option<Part>,
    /// The last condition of the current noun phrase.
    last_condition: Option<Conditions>,
}

/// Fills the clause's conditions, exclusions and names from the parts of a sentence.
///
/// # Errors
/// [`Unsupported::Combination`] for "or" across attributes, [`Unsupported::NotUnderstood`] for a negation without
/// anything that it applies to.
pub(super) fn compose(parts: &[Part], clause: &mut Clause) -> Result<(), Unsupported> {
    let mut builder = PhraseBuilder::default();
    let mut at = 0;
    while at < parts.len() {
        at += builder.take(&parts[at..])?;
    }
    builder.close_negation()?;
    let last = std::mem::take(&mut builder.current);
    builder.finished.push(last);
    clause.none_of = builder.none_of;
    clause.names = builder.names;
    clause.any_of = alternatives(builder.finished);
    Ok(())
}

impl PhraseBuilder {
    /// Handles the first of `parts`, or several; returns their number.
    fn take(&mut self, parts: &[Part]) -> Result<usize, Unsupported> {
        match &parts[0] {
            Part::Noun(noun) => return self.noun(noun).map(|()| 1),
            Part::Trait(condition) => return self.condition(condition, parts),
            Part::Name(name) => self.name(name),
            Part::Pets => {
                // The condition after "no pets" is still negated: "no pets under $100".
                self.current.after_noun = true;
                self.conjunction = None;
            }
            Part::Not | Part::No => {
                self.close_negation()?;
                self.negation = Some(if parts[0] == Part::Not { Negation::Not } else { Negation::No });
                self.applied = false;
            }
            Part::And | Part::Or | Part::Comma => self.conjunction = Some(parts[0].clone()),
            Part::But => {
                self.close_negation()?;
                self.conjunction = None;
            }
            Part::Gap => {}
        }
        Ok(1)
    }

    /// Ends the scope of the negation, which must have excluded something.
    fn close_negation(&mut self) -> Result<(), Unsupported> {
        if self.negation.take().is_some() && !self.applied {
            return Err(Unsupported::NotUnderstood);
        }
        self.last_excluded = None;
        Ok(())
    }

    fn name(&mut self, name: &str) {
        self.conjunction = None;
        if self.negation.is_some() {
            self.none_of.push(Conditions { name: vec![name.to_owned()], ..Conditions::default() });
            self.applied = true;
        } else {
            self.names.push(name.to_owned());
        }
    }

    /// Whether the condition is in the scope of the negation.
    fn is_negated(&self, condition: &Conditions) -> bool {
        self.negation.is_some()
            && (!self.applied
                || (self.conjunction.is_some()
                    && self.last_excluded.as_ref().is_some_and(|last| last.shares_attribute(condition))))
    }

    fn exclude(&mut self, condition: Conditions) {
        self.last_excluded = Some(condition.clone());
        // "not good with kids" is the opposite value rather than an exclusion.
        if let Some(kids) = condition.kids.filter(|_| Conditions { kids: None, ..condition.clone() }.is_empty()) {
            let target = if self.current.after_noun { &mut self.current.after } else { &mut self.current.before };
            target.kids = Some(!kids);
        } else {
            self.none_of.push(condition);
        }
        self.applied = true;
        self.conjunction = None;
    }

    fn noun(&mut self, noun: &Conditions) -> Result<(), Unsupported> {
        if self.is_negated(noun) {
            self.exclude(noun.clone());
            return Ok(());
        }
        self.close_applied_negation();
        let is_separate = self.conjunction.take().is_some();
        let other_species = self.current.noun.as_ref().is_some_and(|current| {
            !current.species.is_empty() && !noun.species.is_empty() && current.species != noun.species
        });
        if self.current.noun.is_some() && (is_separate || other_species) {
            let finished = std::mem::take(&mut self.current);
            self.finished.push(finished);
        }
        self.current.noun.get_or_insert_default().merge(noun);
        self.current.after_noun = true;
        self.last_condition = None;
        Ok(())
    }

    fn condition(&mut self, condition: &Conditions, parts: &[Part]) -> Result<usize, Unsupported> {
        if self.is_negated(condition) {
            let mut excluded = condition.clone();
            let mut length = 1;
            // "no small dogs" excludes small dogs; "not small dogs" asks for dogs.
            if self.negation == Some(Negation::No) {
                while let Some(Part::Trait(more) | Part::Noun(more)) = parts.get(length) {
                    excluded.merge(more);
                    length += 1;
                }
            }
            self.exclude(excluded);
            return Ok(length);
        }
        self.close_applied_negation();
        let conjunction = self.conjunction.take();
        if conjunction.is_some() && self.current.after_noun && leads_to_noun(parts) {
            let finished = std::mem::take(&mut self.current);
            self.finished.push(finished);
            self.last_condition = None;
        } else if conjunction == Some(Part::Or)
            && !self.last_condition.as_ref().is_some_and(|last| is_choice(last, condition))
        {
            return Err(Unsupported::Combination);
        }
        let target = if self.current.after_noun { &mut self.current.after } else { &mut self.current.before };
        target.merge(condition);
        self.last_condition = Some(condition.clone());
        Ok(1)
    }

    fn close_applied_negation(&mut self) {
        if self.applied {
            (self.negation, self.last_excluded) = (None, None);
        }
    }
}

/// Whether "or" between the two separates values of one attribute, not ranges or different attributes.
fn is_choice(left: &Conditions, right: &Conditions) -> bool {
    let is_list =
        |conditions: &Conditions| conditions.price.is_open() && conditions.age.is_open() && conditions.kids.is_none();
    is_list(left) && is_list(right) && left.shares_attribute(right)
}

/// Whether the conditions at the start precede a noun: "large black cats".
fn leads_to_noun(parts: &[Part]) -> bool {
    parts
        .iter()
        .find(|part| !matches!(part, Part::Trait(_) | Part::Gap))
        .is_some_and(|part| matches!(part, Part::Noun(_) | Part::Pets))
}

/// The noun phrases as alternative conditions; those before the first and after the last apply to all.
fn alternatives(mut phrases: Vec<NounPhrase>) -> Vec<Conditions> {
    if phrases.iter().skip(1).all(|phrase| phrase.before.is_empty())
        && let Some(first) = phrases.first().map(|phrase| phrase.before.clone())
    {
        for phrase in &mut phrases {
            phrase.before.inherit(&first);
        }
    }
    if let Some(last) = phrases.last().map(|phrase| phrase.after.clone()) {
        for phrase in &mut phrases {
            phrase.after.inherit(&last);
        }
    }
    let mut alternatives: Vec<Conditions> = Vec::new();
    for phrase in phrases {
        let mut all = phrase.noun.unwrap_or_default();
        all.merge(&phrase.before);
        all.merge(&phrase.after);
        // "cats and dogs" is one condition with two species.
        let mergeable = alternatives.iter_mut().find(|other| {
            let same = Conditions { species: Vec::new(), ..(*other).clone() }
                == Conditions { species: Vec::new(), ..all.clone() };
            same && other.breed.is_empty() && !other.species.is_empty() && !all.species.is_empty()
        });
        match mergeable {
            Some(mergeable) => mergeable.merge(&all),
            None if all.is_empty() => {}
            None => alternatives.push(all),
        }
    }
    alternatives
}
