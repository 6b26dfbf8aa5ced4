//! Noun phrases: which condition belongs to which noun, and how far a negation reaches.
//!
//! - Words beside each other hold together: "small black dogs".
//! - Values of one attribute are alternatives: "black and brown cats".
//! - Nouns are alternatives: "cats and dogs". Conditions before the first noun or behind the last
//!   hold for all, unless another noun has its own: "small dogs and large cats".
//! - "or" between conditions of different attributes is declined; nothing is guessed.

use super::Unsupported;
use super::clause::Clause;
use crate::responder::query::Conditions;

/// A part of a sentence, as far as noun phrases go.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Part {
    /// A species or breed.
    Noun(Conditions),
    /// "pets", "ones".
    Pets,
    Trait(Conditions),
    /// A pet's name, lower case.
    Name(String),
    /// Denies the condition that follows.
    Not,
    /// Denies the noun phrase that follows.
    No,
    And,
    Or,
    /// Ends the reach of a negation.
    But,
    Comma,
    /// Something else stood here.
    Gap,
}

/// A noun with the conditions before and behind it.
#[derive(Clone, Debug, Default)]
struct Phrase {
    pre: Conditions,
    noun: Option<Conditions>,
    post: Conditions,
    /// A noun or "pets" has been met: what follows stands behind it.
    headed: bool,
}

/// Which negation is open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Denial {
    Not,
    No,
}

#[derive(Default)]
struct Composer {
    phrases: Vec<Phrase>,
    open: Phrase,
    none: Vec<Conditions>,
    names: Vec<String>,
    denial: Option<Denial>,
    /// The negation has denied something already, so that it need not be answered for.
    denied: bool,
    /// What was denied last: "or" and "and" go on denying the same attribute.
    last_denied: Option<Conditions>,
    /// The conjunction before the part at hand.
    joint: Option<Part>,
    last: Option<Conditions>,
}

/// Puts the parts together into the clause's conditions, exclusions and names.
///
/// # Errors
/// [`Unsupported::Combination`] for "or" across attributes, [`Unsupported::NotUnderstood`] for a negation of nothing.
pub(super) fn compose(parts: &[Part], clause: &mut Clause) -> Result<(), Unsupported> {
    let mut composer = Composer::default();
    let mut at = 0;
    while at < parts.len() {
        at += composer.take(&parts[at..])?;
    }
    composer.end_denial()?;
    let last = std::mem::take(&mut composer.open);
    composer.phrases.push(last);
    clause.none = composer.none;
    clause.names = composer.names;
    clause.any = alternatives(composer.phrases);
    Ok(())
}

impl Composer {
    fn take(&mut self, parts: &[Part]) -> Result<usize, Unsupported> {
        match &parts[0] {
            Part::Noun(noun) => return self.noun(noun).map(|()| 1),
            Part::Trait(condition) => return self.condition(condition, parts),
            Part::Name(name) => self.name(name),
            Part::Pets => {
                // "no pets under $100" denies what follows; "not ... pets" is over.
                self.open.headed = true;
                self.joint = None;
            }
            Part::Not | Part::No => {
                self.end_denial()?;
                self.denial = Some(if parts[0] == Part::Not { Denial::Not } else { Denial::No });
                self.denied = false;
            }
            Part::And | Part::Or | Part::Comma => self.joint = Some(parts[0].clone()),
            Part::But => {
                self.end_denial()?;
                self.joint = None;
            }
            Part::Gap => {}
        }
        Ok(1)
    }

    /// A negation must deny something.
    fn end_denial(&mut self) -> Result<(), Unsupported> {
        if self.denial.take().is_some() && !self.denied {
            return Err(Unsupported::NotUnderstood);
        }
        self.last_denied = None;
        Ok(())
    }

    fn name(&mut self, name: &str) {
        self.joint = None;
        if self.denial.is_some() {
            self.none.push(Conditions { name: vec![name.to_owned()], ..Conditions::default() });
            self.denied = true;
        } else {
            self.names.push(name.to_owned());
        }
    }

    /// Whether the open negation reaches what comes now.
    fn denies(&self, condition: &Conditions) -> bool {
        self.denial.is_some()
            && (!self.denied
                || (self.joint.is_some() && self.last_denied.as_ref().is_some_and(|last| last.overlaps(condition))))
    }

    fn deny(&mut self, condition: Conditions) {
        self.last_denied = Some(condition.clone());
        // "Not good with kids" is a fact of its own, and is better said so.
        if let Some(kids) = condition.kids.filter(|_| Conditions { kids: None, ..condition.clone() }.is_empty()) {
            let place = if self.open.headed { &mut self.open.post } else { &mut self.open.pre };
            place.kids = Some(!kids);
        } else {
            self.none.push(condition);
        }
        self.denied = true;
        self.joint = None;
    }

    fn noun(&mut self, noun: &Conditions) -> Result<(), Unsupported> {
        if self.denies(noun) {
            self.deny(noun.clone());
            return Ok(());
        }
        self.end_denial_if_denied();
        let parted = self.joint.take().is_some();
        let other_species =
            self.open.noun.as_ref().is_some_and(|open| {
                !open.species.is_empty() && !noun.species.is_empty() && open.species != noun.species
            });
        if self.open.noun.is_some() && (parted || other_species) {
            let done = std::mem::take(&mut self.open);
            self.phrases.push(done);
        }
        self.open.noun.get_or_insert_default().join(noun);
        self.open.headed = true;
        self.last = None;
        Ok(())
    }

    fn condition(&mut self, condition: &Conditions, parts: &[Part]) -> Result<usize, Unsupported> {
        if self.denies(condition) {
            let mut denied = condition.clone();
            let mut length = 1;
            // "no small dogs" is about small dogs, "not small dogs" about dogs.
            if self.denial == Some(Denial::No) {
                while let Some(Part::Trait(more) | Part::Noun(more)) = parts.get(length) {
                    denied.join(more);
                    length += 1;
                }
            }
            self.deny(denied);
            return Ok(length);
        }
        self.end_denial_if_denied();
        let joint = self.joint.take();
        if joint.is_some() && self.open.headed && heads(parts) {
            let done = std::mem::take(&mut self.open);
            self.phrases.push(done);
            self.last = None;
        } else if joint == Some(Part::Or) && !self.last.as_ref().is_some_and(|last| is_choice(last, condition)) {
            return Err(Unsupported::Combination);
        }
        let place = if self.open.headed { &mut self.open.post } else { &mut self.open.pre };
        place.join(condition);
        self.last = Some(condition.clone());
        Ok(1)
    }

    fn end_denial_if_denied(&mut self) {
        if self.denied {
            (self.denial, self.last_denied) = (None, None);
        }
    }
}

/// Whether "or" between the two is a choice of values, and not of ranges or attributes.
fn is_choice(one: &Conditions, two: &Conditions) -> bool {
    let listed =
        |conditions: &Conditions| conditions.price.is_open() && conditions.age.is_open() && conditions.kids.is_none();
    listed(one) && listed(two) && one.overlaps(two)
}

/// Whether the conditions at the beginning lead to a noun: "large black cats".
fn heads(parts: &[Part]) -> bool {
    parts
        .iter()
        .find(|part| !matches!(part, Part::Trait(_) | Part::Gap))
        .is_some_and(|part| matches!(part, Part::Noun(_) | Part::Pets))
}

/// The phrases as alternatives, with the conditions that they share.
fn alternatives(mut phrases: Vec<Phrase>) -> Vec<Conditions> {
    if phrases.iter().skip(1).all(|phrase| phrase.pre.is_empty())
        && let Some(first) = phrases.first().map(|phrase| phrase.pre.clone())
    {
        for phrase in &mut phrases {
            phrase.pre.fill(&first);
        }
    }
    if let Some(last) = phrases.last().map(|phrase| phrase.post.clone()) {
        for phrase in &mut phrases {
            phrase.post.fill(&last);
        }
    }
    let mut alternatives: Vec<Conditions> = Vec::new();
    for phrase in phrases {
        let mut all = phrase.noun.unwrap_or_default();
        all.join(&phrase.pre);
        all.join(&phrase.post);
        // "cats and dogs" is one condition with two species.
        let twin = alternatives.iter_mut().find(|other| {
            let same = Conditions { species: Vec::new(), ..(*other).clone() }
                == Conditions { species: Vec::new(), ..all.clone() };
            same && other.breed.is_empty() && !other.species.is_empty() && !all.species.is_empty()
        });
        match twin {
            Some(twin) => twin.join(&all),
            None if all.is_empty() => {}
            None => alternatives.push(all),
        }
    }
    alternatives
}
