//! Understanding of language: a conversation and the inventory's vocabulary -> questions as data.
//!
//! text -> [`words`] -> [`tag`] (by [`lexicon`], [`inventory`], [`spelling`]) -> concepts ->
//! [`clause`] (with [`amount`] and [`phrase`]) -> [`dialogue`] -> [`Reading`].
//!
//! Every word must be accounted for: one that means nothing here makes the question declined, so
//! that nothing is answered that was not asked. To teach a word, add it to the lexicon.

mod amount;
mod clause;
mod concept;
mod dialogue;
mod inventory;
mod lexicon;
mod phrase;
mod spelling;
mod tag;
pub(super) mod words;

use std::sync::Arc;

use self::clause::clause;
use self::concept::Concept;
pub(super) use self::concept::Social;
use self::dialogue::Dialogue;
pub(super) use self::dialogue::Reading;
pub(super) use self::inventory::Inventory;
use super::conversation::Turn;
use super::query::{Intent, spelled};

/// Why a question is not answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Decline {
    /// It is about something else, or said in a way that is not understood.
    NotUnderstood,
    /// It is about pets, but these words mean nothing to the inventory.
    Words(Vec<Arc<str>>),
    /// No pet has that name.
    NoSuchName(Arc<str>),
    /// "Good with" somebody else than kids.
    Company,
    /// "or" between different kinds of conditions.
    Combination,
    /// Prices in another currency.
    Currency,
    /// Ages in weeks or days.
    FineAge,
    /// "under 2": dollars or years?
    WhichUnit,
    /// "those", "it" with nothing to go back to.
    NoContext,
    /// There is no question.
    Nothing,
    /// JSON, where the request did not ask for that format.
    Format,
    /// Longer than [`LONGEST_MESSAGE`].
    TooLong,
}

/// The longest message that is looked at, in characters. A longer one is declined as a whole: half
/// of a question may be another question.
pub(super) const LONGEST_MESSAGE: usize = 2_000;
/// The most sentences of one message.
const MOST_SENTENCES: usize = 12;
/// The most answers to one message.
const MOST_ANSWERS: usize = 4;

/// How many times "of those" may follow upon "of those"; each costs a look through the inventory.
const DEEPEST: usize = 8;

/// What the last message of the user asks, in the light of those before it; never empty.
///
/// `json`: the answer is to be JSON, so that asking for it in words as well changes nothing.
pub(super) fn understand(turns: &[Turn], inventory: &Inventory, json: bool) -> Vec<Reading> {
    let mut dialogue = Dialogue::default();
    let mut readings = vec![Reading::Declined(Decline::Nothing)];
    for turn in turns {
        match turn {
            Turn::User(text) => readings = message(text, &mut dialogue, inventory, json),
            Turn::Assistant(text) => dialogue.heard(shown(text, inventory)),
        }
    }
    readings
}

fn message(text: &str, dialogue: &mut Dialogue, inventory: &Inventory, json: bool) -> Vec<Reading> {
    if text.chars().nth(LONGEST_MESSAGE).is_some() {
        return vec![Reading::Declined(Decline::TooLong)];
    }
    let sentences = words::sentences(text);
    if sentences.len() > MOST_SENTENCES {
        return vec![Reading::Declined(Decline::NotUnderstood)];
    }
    let before = dialogue.clone();
    let mut readings: Vec<(Reading, bool)> = Vec::new();
    for sentence in &sentences {
        let mut concepts = tag::tag(sentence, inventory);
        let spoken = concepts.len();
        concepts.retain(|concept| *concept != Concept::Json);
        if concepts.len() < spoken && !json {
            return vec![Reading::Declined(Decline::Format)];
        }
        if concepts.iter().all(|concept| *concept == Concept::Skip) && concepts.len() < spoken {
            continue;
        }
        let read = clause(&concepts).and_then(|clause| {
            // A sentence without a noun goes on from the one before it, or is gone on from.
            let open = matches!(readings.last(), Some((Reading::Question(_), true)));
            let narrows =
                !clause.noun && !clause.pets && clause.names.is_empty() && !clause.how_many && clause.order.is_none();
            let goes_on = matches!(readings.last(), Some((Reading::Question(_), _))) && narrows;
            let particular = !clause.names.is_empty() || clause.it.is_some() || clause.nth.is_some();
            let reading = dialogue.read(&clause, open || goes_on)?;
            let supersedes = (open || goes_on) && !particular && readings.last().is_some_and(|(last, _)| is_list(last));
            Ok((reading, narrows, supersedes && !clause.is_empty()))
        });
        match read {
            Ok((Reading::Social(_), ..)) if !readings.is_empty() => {}
            Ok((reading, bare, supersedes)) => {
                if supersedes || matches!(readings.last(), Some((Reading::Social(_), _))) {
                    readings.pop();
                }
                readings.push((reading, bare));
            }
            Err(decline) => {
                // What was said beside it may have been meant together.
                *dialogue = before;
                return vec![Reading::Declined(decline)];
            }
        }
    }
    readings.truncate(MOST_ANSWERS);
    let deep =
        |reading: &Reading| matches!(reading, Reading::Question(question) if question.query.chain().len() > DEEPEST);
    if readings.iter().any(|(reading, _)| deep(reading)) {
        return vec![Reading::Declined(Decline::NoContext)];
    }
    if readings.is_empty() {
        return vec![Reading::Declined(Decline::Nothing)];
    }
    readings.into_iter().map(|(reading, _)| reading).collect()
}

fn is_list(reading: &Reading) -> bool {
    matches!(reading, Reading::Question(question) if question.intent == Intent::List)
}

/// The names of pets that an answer shows in bold, in their order.
fn shown(text: &str, inventory: &Inventory) -> Vec<String> {
    if text.len() > 100_000 {
        return Vec::new();
    }
    let mut names: Vec<String> = Vec::new();
    for bold in text.split("**").skip(1).step_by(2) {
        let name = spelled(bold);
        if inventory.name(&name).is_some() && !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

#[cfg(test)]
mod tests;
