//! The state of the dialogue: resolves what "those", "it" and "and cats?" refer to and turns clauses into questions.

use super::clause::Clause;
use super::interpretation::{Interpretation, Unsupported};
use crate::responder::query::{Attribute, Conditions, Intent, Query, Question, Selection};
use crate::wire::resource::filter::Sort;

/// The most alternatives of a query, since follow-ups multiply them. More than a question has in practice.
const MAX_ALTERNATIVES: usize = 16;

/// The referents of later sentences.
#[derive(Clone, Debug, Default)]
pub(super) struct DialogueState {
    /// The last question to the inventory, for "and cats?" and "those".
    list: Option<Question>,
    /// The last question about particular pets, if it came after `list`: for "it".
    about: Option<Question>,
    /// The names that the last answer showed, in their order: for "the second one".
    shown_names: Vec<String>,
}

impl DialogueState {
    /// Sets the names that the assistant's last answer showed.
    pub(super) fn set_shown_names(&mut self, names: Vec<String>) {
        self.shown_names = names;
    }

    /// Interprets the next sentence and updates the state. `continues`: it refines the sentence before it.
    ///
    /// # Errors
    /// [`Unsupported`] if it refers to something that is not in the dialogue, or contains no question.
    pub(super) fn interpret(&mut self, clause: &Clause, continues: bool) -> Result<Interpretation, Unsupported> {
        let question = match self.question_about_known_pet(clause)? {
            Some(question) => {
                self.about = Some(question.clone());
                question
            }
            None => {
                if clause.is_empty() && !(clause.show && self.list.is_some() && clause.social.is_none()) {
                    return clause.social.map(Interpretation::Social).ok_or(Unsupported::NotUnderstood);
                }
                let question = self.question_about_inventory(clause, continues)?;
                self.list = Some(question.clone());
                self.about = None;
                question
            }
        };
        self.shown_names.clear();
        Ok(Interpretation::Question(question))
    }

    /// The question, if it is about pets that are named or were the subject before.
    fn question_about_known_pet(&self, clause: &Clause) -> Result<Option<Question>, Unsupported> {
        let is_singular = clause.pronoun.is_some() || clause.ordinal.is_some();
        let mut query = if !clause.names.is_empty() {
            Query::by_names(&clause.names)
        } else if let Some(index) = clause.ordinal {
            self.pet_at(index)?
        } else if let Some(gender) = clause.pronoun {
            let mut query = self.antecedent()?;
            query.any_of =
                gender.map(|gender| Conditions { gender: vec![gender], ..Conditions::default() }).into_iter().collect();
            query
        } else if let Some(about) = self.about.as_ref().filter(|_| continues_about_pet(clause)) {
            // "How old?", "good with kids?" after "tell me about ...".
            about.query.clone()
        } else {
            return Ok(None);
        };
        let has_conditions = (!clause.any_of.is_empty() && !asks_for_kind(clause)) || !clause.none_of.is_empty();
        if clause.how_many || clause.sort.is_some() || (has_conditions && (clause.show || clause.have)) {
            query = if clause.names.is_empty() { Query::within_results_of(&query) } else { query };
            query.any_of = product(&query.any_of, &clause.any_of, |old, new| old.inherit(new));
            query.none_of.clone_from(&clause.none_of);
            (query.sort, query.selection) = (clause.sort.unwrap_or(query.sort), clause.selection);
            let intent = if clause.how_many { Intent::Count } else { Intent::List };
            return Ok(Some(Question { intent, query, single: false }));
        }
        // "Is it a dog or a cat?" is answered with the pet's facts.
        let intent = if has_conditions && !clause.has_or {
            Intent::Check { any_of: clause.any_of.clone(), none_of: clause.none_of.clone() }
        } else {
            match clause.asked.as_slice() {
                [one] => Intent::About(Some(*one)),
                [] if clause.follow_up && !clause.describe => {
                    self.about.as_ref().map_or(Intent::About(None), |about| about.intent.clone())
                }
                _ => Intent::About(None),
            }
        };
        Ok(Some(Question { intent, query, single: is_singular && clause.names.is_empty() }))
    }

    /// "the second one": by the last answer's names, otherwise by the order of the last query.
    fn pet_at(&self, ordinal: i32) -> Result<Query, Unsupported> {
        let index = usize::try_from(ordinal)
            .unwrap_or_else(|_| self.shown_names.len().saturating_sub(ordinal.unsigned_abs() as usize));
        if let Some(name) = self.shown_names.get(index) {
            return Ok(Query::by_names(std::slice::from_ref(name)));
        }
        let list = self.list.as_ref().ok_or(Unsupported::NoContext)?;
        Ok(Query { selection: Some(Selection::Nth(ordinal)), ..Query::within_results_of(&list.query) })
    }

    /// The pets that "it" may refer to.
    fn antecedent(&self) -> Result<Query, Unsupported> {
        if let Some(about) = &self.about {
            return Ok(Query::within_results_of(&about.query));
        }
        match self.shown_names.as_slice() {
            [one] => Ok(Query::within_results_of(&Query::by_names(std::slice::from_ref(one)))),
            _ => self.list.as_ref().map(|list| Query::within_results_of(&list.query)).ok_or(Unsupported::NoContext),
        }
    }

    /// A question to the inventory; a follow-up inherits from the last one.
    fn question_about_inventory(&self, clause: &Clause, continues: bool) -> Result<Question, Unsupported> {
        let last = self.list.as_ref();
        if clause.those {
            // "those" are several named pets if they were the last subject, otherwise the last list.
            let named = self.about.as_ref().filter(|about| about.query.any_of.iter().any(|named| named.name.len() > 1));
            let referent = named.or(last).or(self.about.as_ref()).ok_or(Unsupported::NoContext)?;
            let mut query = Query::within_results_of(&referent.query);
            apply(&mut query, clause);
            return Ok(Question { intent: intent_of(clause).unwrap_or(Intent::List), query, single: false });
        }
        let is_follow_up = continues || clause.follow_up || clause.ones || (is_bare(clause) && !clause.have);
        let Some(last) = last.filter(|_| is_follow_up) else {
            let only_asks = Clause { asked: clause.asked.clone(), ..Clause::default() };
            if *clause == only_asks && intent_of(clause) == Some(Intent::List) {
                // "How old?" without a pet.
                return Err(Unsupported::NoContext);
            }
            let mut query = Query {
                any_of: clause.any_of.clone(),
                none_of: clause.none_of.clone(),
                any_status: clause.any_status,
                ..Query::default()
            };
            (query.sort, query.selection) = (clause.sort.unwrap_or_default(), clause.selection);
            return Ok(Question { intent: intent_of(clause).unwrap_or(Intent::List), query, single: false });
        };
        let intent = intent_of(clause).unwrap_or_else(|| last.intent.clone());
        let last_selects = matches!(last.query.selection, Some(Selection::First(_)));
        let mut query = if last_selects && !clause.follow_up && !clause.noun {
            Query::within_results_of(&last.query)
        } else {
            last.query.clone()
        };
        if intent_of(clause).is_some()
            && clause.sort.is_none()
            && !clause.noun
            && query.selection == Some(Selection::FirstWithTies)
        {
            query = Query::within_results_of(&last.query);
        }
        apply(&mut query, clause);
        Ok(Question { intent, query, single: false })
    }
}

/// Whether the sentence names no pets, so that it may refer to those of the sentence before.
fn is_bare(clause: &Clause) -> bool {
    !clause.noun && (!clause.generic_noun || clause.ones) && clause.names.is_empty()
}

/// Whether it can be a further question about a particular pet: "how old?", "good with kids?", "and how much?".
fn continues_about_pet(clause: &Clause) -> bool {
    let only_asks = clause.any_of.is_empty() && clause.none_of.is_empty() && clause.sort.is_none() && !clause.how_many;
    is_bare(clause) && !clause.those && !clause.is_empty() && (!clause.follow_up || only_asks)
}

/// "What kind of dog is it?": the species is no condition to check.
fn asks_for_kind(clause: &Clause) -> bool {
    let only_species = |all: &Conditions| Conditions { species: all.species.clone(), ..Conditions::default() } == *all;
    !clause.asked.is_empty() && clause.any_of.iter().all(only_species)
}

/// The intent that the sentence states, if any.
fn intent_of(clause: &Clause) -> Option<Intent> {
    let mut values: Vec<Attribute> = clause.asked.clone();
    values.dedup();
    let asked =
        match values.as_slice() {
            [
                one @ (Attribute::Species | Attribute::Breed | Attribute::Color | Attribute::Size | Attribute::Gender),
            ] if !has_condition_on(clause, *one) => Some(*one),
            _ => None,
        };
    match (clause.how_many, asked) {
        (true, Some(attribute)) => Some(Intent::CountValues(attribute)),
        (true, None) => Some(Intent::Count),
        (false, Some(attribute)) => Some(Intent::Values(attribute)),
        (false, None) => {
            (clause.show || clause.have || clause.sort.is_some() || !values.is_empty()).then_some(Intent::List)
        }
    }
}

/// Whether the sentence states a condition on the attribute: "black in color".
fn has_condition_on(clause: &Clause, attribute: Attribute) -> bool {
    clause.any_of.iter().any(|conditions| match attribute {
        Attribute::Breed => !conditions.breed.is_empty(),
        Attribute::Color => !conditions.color.is_empty(),
        Attribute::Size => !conditions.size.is_empty(),
        Attribute::Gender => !conditions.gender.is_empty(),
        _ => false,
    })
}

/// Replaces the query's conditions on all attributes that the clause constrains.
fn apply(query: &mut Query, clause: &Clause) {
    if clause.noun {
        // A new species or breed replaces the old species, breed and name.
        for conditions in &mut query.any_of {
            (conditions.species, conditions.breed, conditions.name) = (Vec::new(), Vec::new(), Vec::new());
        }
        query.none_of.retain(|conditions| conditions.species.is_empty() && conditions.breed.is_empty());
    }
    // "and black ones?" removes "not black".
    query.none_of.retain(|excluded| !clause.any_of.iter().any(|wanted| wanted.shares_attribute(excluded)));
    query.any_of = product(&query.any_of, &clause.any_of, |old, new| old.override_with(new));
    if query.any_of.iter().all(Conditions::is_empty) {
        query.any_of.clear();
    }
    query.none_of.extend(clause.none_of.iter().cloned());
    query.any_status |= clause.any_status;
    if let Some(order) = clause.sort {
        (query.sort, query.selection) = (order, clause.selection);
    } else if clause.selection.is_some() {
        query.selection = clause.selection;
    } else if clause.how_many && query.selection == Some(Selection::FirstWithTies) {
        (query.sort, query.selection) = (Sort::Created, None);
    }
}

/// Combines every alternative of `left` with every one of `right`, at most [`MAX_ALTERNATIVES`]; an empty list counts
/// as one without conditions.
fn product(left: &[Conditions], right: &[Conditions], merge: impl Fn(&mut Conditions, &Conditions)) -> Vec<Conditions> {
    let unconstrained = [Conditions::default()];
    let left = if left.is_empty() { &unconstrained } else { left };
    let right = if right.is_empty() { &unconstrained } else { right };
    let mut all = Vec::new();
    for (one, other) in left.iter().flat_map(|one| right.iter().map(move |other| (one, other))) {
        let mut merged = one.clone();
        merge(&mut merged, other);
        if !all.contains(&merged) {
            all.push(merged);
        }
    }
    all.truncate(MAX_ALTERNATIVES);
    all
}
