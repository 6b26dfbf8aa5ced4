//! Sentences in their conversation: what "those", "it" and "and cats?" go back to.

use super::Unsupported;
use super::clause::Clause;
use super::concept::Social;
use crate::petstore::filter::Sort;
use crate::responder::query::{Attribute, Conditions, Intent, Query, Question, Take};

/// What a sentence comes to.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::responder) enum Reading {
    /// A question to the inventory.
    Question(Question),
    /// A greeting, thanks, a call for help.
    Social(Social),
    /// Not to be answered, with the reason.
    Declined(Unsupported),
}

/// What has been spoken of so far.
#[derive(Clone, Debug, Default)]
pub(super) struct Dialogue {
    /// The last question about pets in general, for "and cats?" and "those".
    list: Option<Question>,
    /// The last question about particular pets, if it came later than the list: for "it".
    about: Option<Question>,
    /// The names that the last answer showed, in their order.
    shown: Vec<String>,
}

impl Dialogue {
    /// Takes note of the names that an answer showed.
    pub(super) fn heard(&mut self, shown: Vec<String>) {
        self.shown = shown;
    }

    /// Reads the next sentence and remembers it; `joined` if it goes on from the sentence before it.
    ///
    /// # Errors
    /// [`Unsupported`] if it refers to something that was not said, or asks nothing.
    pub(super) fn read(&mut self, clause: &Clause, joined: bool) -> Result<Reading, Unsupported> {
        let question = match self.particular(clause)? {
            Some(question) => {
                self.about = Some(question.clone());
                question
            }
            None => {
                if clause.is_empty() && !(clause.show && self.list.is_some() && clause.social.is_none()) {
                    return clause.social.map(Reading::Social).ok_or(Unsupported::NotUnderstood);
                }
                let question = self.general(clause, joined)?;
                self.list = Some(question.clone());
                self.about = None;
                question
            }
        };
        self.shown.clear();
        Ok(Reading::Question(question))
    }

    /// A question about a named pet, or one that was spoken of.
    fn particular(&self, clause: &Clause) -> Result<Option<Question>, Unsupported> {
        let one = clause.it.is_some() || clause.nth.is_some();
        let mut query = if !clause.names.is_empty() {
            Query::named(&clause.names)
        } else if let Some(place) = clause.nth {
            self.place(place)?
        } else if let Some(gender) = clause.it {
            let mut query = self.antecedent()?;
            query.any =
                gender.map(|gender| Conditions { gender: vec![gender], ..Conditions::default() }).into_iter().collect();
            query
        } else if let Some(about) = self.about.as_ref().filter(|_| goes_on(clause)) {
            // "How old?", "good with kids?" after "tell me about ...".
            about.query.clone()
        } else {
            return Ok(None);
        };
        let check = (!clause.any.is_empty() && !is_kind_asked(clause)) || !clause.none.is_empty();
        if clause.how_many || clause.order.is_some() || (check && (clause.show || clause.have)) {
            query = if clause.names.is_empty() { Query::inside(&query) } else { query };
            query.any = product(&query.any, &clause.any, |known, said| known.fill(said));
            query.none.clone_from(&clause.none);
            (query.sort, query.take) = (clause.order.unwrap_or(query.sort), clause.take);
            let intent = if clause.how_many { Intent::Count } else { Intent::List };
            return Ok(Some(Question { intent, query, single: false }));
        }
        // "Is it a dog or a cat?" is answered by what it is.
        let intent = if check && !clause.either {
            Intent::Check { any: clause.any.clone(), none: clause.none.clone() }
        } else {
            match clause.asks.as_slice() {
                [one] => Intent::About(Some(*one)),
                [] if clause.cue && !clause.tell => {
                    self.about.as_ref().map_or(Intent::About(None), |about| about.intent.clone())
                }
                _ => Intent::About(None),
            }
        };
        Ok(Some(Question { intent, query, single: one && clause.names.is_empty() }))
    }

    /// "The second one".
    fn place(&self, place: i32) -> Result<Query, Unsupported> {
        let index =
            usize::try_from(place).unwrap_or_else(|_| self.shown.len().saturating_sub(place.unsigned_abs() as usize));
        if let Some(name) = self.shown.get(index) {
            return Ok(Query::named(std::slice::from_ref(name)));
        }
        let list = self.list.as_ref().ok_or(Unsupported::NoContext)?;
        Ok(Query { take: Some(Take::Nth(place)), ..Query::inside(&list.query) })
    }

    /// What "it" is among.
    fn antecedent(&self) -> Result<Query, Unsupported> {
        if let Some(about) = &self.about {
            return Ok(Query::inside(&about.query));
        }
        match self.shown.as_slice() {
            [one] => Ok(Query::inside(&Query::named(std::slice::from_ref(one)))),
            _ => self.list.as_ref().map(|list| Query::inside(&list.query)).ok_or(Unsupported::NoContext),
        }
    }

    fn general(&self, clause: &Clause, joined: bool) -> Result<Question, Unsupported> {
        let last = self.list.as_ref();
        if clause.those {
            // Several pets that were named are "they"; of one, a list came before it.
            let named = self.about.as_ref().filter(|about| about.query.any.iter().any(|named| named.name.len() > 1));
            let around = named.or(last).or(self.about.as_ref()).ok_or(Unsupported::NoContext)?;
            let mut query = Query::inside(&around.query);
            apply(&mut query, clause);
            return Ok(Question { intent: wish(clause).unwrap_or(Intent::List), query, single: false });
        }
        let refers = joined || clause.cue || clause.ones || (is_bare(clause) && !clause.have);
        let Some(last) = last.filter(|_| refers) else {
            let asks = Clause { asks: clause.asks.clone(), ..Clause::default() };
            if *clause == asks && wish(clause) == Some(Intent::List) {
                // "How old?", of nobody.
                return Err(Unsupported::NoContext);
            }
            let mut query = Query {
                any: clause.any.clone(),
                none: clause.none.clone(),
                any_status: clause.any_status,
                ..Query::default()
            };
            (query.sort, query.take) = (clause.order.unwrap_or_default(), clause.take);
            return Ok(Question { intent: wish(clause).unwrap_or(Intent::List), query, single: false });
        };
        let intent = wish(clause).unwrap_or_else(|| last.intent.clone());
        let chosen = matches!(last.query.take, Some(Take::First(_)));
        let mut query =
            if chosen && !clause.cue && !clause.noun { Query::inside(&last.query) } else { last.query.clone() };
        if wish(clause).is_some() && clause.order.is_none() && !clause.noun && query.take == Some(Take::Extreme) {
            query = Query::inside(&last.query);
        }
        apply(&mut query, clause);
        Ok(Question { intent, query, single: false })
    }
}

/// Whether the sentence names no kind of pet: it may go on from the one before.
fn is_bare(clause: &Clause) -> bool {
    !clause.noun && (!clause.pets || clause.ones) && clause.names.is_empty()
}

/// Whether it can go on asking about a particular pet: "how old?", "good with kids?", "and how much?".
fn goes_on(clause: &Clause) -> bool {
    let only_asks = clause.any.is_empty() && clause.none.is_empty() && clause.order.is_none() && !clause.how_many;
    is_bare(clause) && !clause.those && !clause.is_empty() && (!clause.cue || only_asks)
}

/// "What kind of dog is it?": the dog is taken for granted.
fn is_kind_asked(clause: &Clause) -> bool {
    let bare = |all: &Conditions| Conditions { species: all.species.clone(), ..Conditions::default() } == *all;
    !clause.asks.is_empty() && clause.any.iter().all(bare)
}

/// What the sentence says it wants, if it does.
fn wish(clause: &Clause) -> Option<Intent> {
    let mut values: Vec<Attribute> = clause.asks.clone();
    values.dedup();
    let asked =
        match values.as_slice() {
            [
                one @ (Attribute::Species | Attribute::Breed | Attribute::Color | Attribute::Size | Attribute::Gender),
            ] if !speaks_of(clause, *one) => Some(*one),
            _ => None,
        };
    match (clause.how_many, asked) {
        (true, Some(attribute)) => Some(Intent::CountValues(attribute)),
        (true, None) => Some(Intent::Count),
        (false, Some(attribute)) => Some(Intent::Values(attribute)),
        (false, None) => {
            (clause.show || clause.have || clause.order.is_some() || !values.is_empty()).then_some(Intent::List)
        }
    }
}

/// Whether a condition on the attribute is named beside it: "black in colour".
fn speaks_of(clause: &Clause, attribute: Attribute) -> bool {
    clause.any.iter().any(|conditions| match attribute {
        Attribute::Breed => !conditions.breed.is_empty(),
        Attribute::Color => !conditions.color.is_empty(),
        Attribute::Size => !conditions.size.is_empty(),
        Attribute::Gender => !conditions.gender.is_empty(),
        _ => false,
    })
}

/// Puts the clause's conditions in place of the query's on the same attributes.
fn apply(query: &mut Query, clause: &Clause) {
    if clause.noun {
        // Another animal is wanted: its kind replaces the old one, breed and all.
        for conditions in &mut query.any {
            (conditions.species, conditions.breed, conditions.name) = (Vec::new(), Vec::new(), Vec::new());
        }
        query.none.retain(|conditions| conditions.species.is_empty() && conditions.breed.is_empty());
    }
    // "And black ones?" takes back "not black".
    query.none.retain(|denied| !clause.any.iter().any(|wanted| wanted.overlaps(denied)));
    query.any = product(&query.any, &clause.any, |old, new| old.replace(new));
    if query.any.iter().all(Conditions::is_empty) {
        query.any.clear();
    }
    query.none.extend(clause.none.iter().cloned());
    query.any_status |= clause.any_status;
    if let Some(order) = clause.order {
        (query.sort, query.take) = (order, clause.take);
    } else if clause.take.is_some() {
        query.take = clause.take;
    } else if clause.how_many && query.take == Some(Take::Extreme) {
        (query.sort, query.take) = (Sort::Created, None);
    }
}

/// Every alternative of the one with every alternative of the other; none at all is one that is open.
fn product(left: &[Conditions], right: &[Conditions], merge: impl Fn(&mut Conditions, &Conditions)) -> Vec<Conditions> {
    let open = [Conditions::default()];
    let left = if left.is_empty() { &open } else { left };
    let right = if right.is_empty() { &open } else { right };
    let mut all = Vec::new();
    for (one, other) in left.iter().flat_map(|one| right.iter().map(move |other| (one, other))) {
        let mut merged = one.clone();
        merge(&mut merged, other);
        if !all.contains(&merged) {
            all.push(merged);
        }
    }
    // Bounded, however often alternatives are multiplied.
    all.truncate(MAX_ALTERNATIVES);
    all
}

/// More alternatives than a person means.
const MAX_ALTERNATIVES: usize = 16;
