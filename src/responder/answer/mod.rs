//! Readings to answers: the rows that a question is about, then their text.

mod describe;
mod escape;
mod json;
mod markdown;
mod pet;

use std::collections::BTreeMap;

use serde_json::Value;

use super::language::{Reading, Social, Unsupported};
use super::query::{Attribute, Conditions, Intent, Query, Question};
use super::rows::scan;
use crate::petstore::PetStore;
use crate::petstore::pet::{Pet, Species};
use crate::store::StoreError;

/// Pets that one answer lists; beyond, their number is said.
const LISTED: usize = 20;
/// Values of an attribute that one answer lists.
const LISTED_VALUES: usize = 100;

/// An answer, every fact of which comes from the rows in it.
#[derive(Clone, Debug)]
pub(super) enum Answer {
    /// The first pets that a question is about, and how many there are.
    Pets { question: Question, pets: Vec<Pet>, total: usize },
    /// The values of an attribute, with how many pets have each.
    Values { question: Question, attribute: Attribute, values: Vec<(String, usize)>, total: usize },
    /// Several pets could be meant where one is asked about.
    Ambiguous,
    /// Small talk, with the species that can be had and the number of pets.
    Social { kind: Social, species: Vec<Species>, total: usize },
    /// No answer, with the reason.
    Declined(Unsupported),
}

/// Looks up what the reading asks.
///
/// # Errors
/// What the database says.
pub(super) async fn look_up(pets: &PetStore, reading: Reading) -> Result<Answer, StoreError> {
    match reading {
        Reading::Declined(decline) => Ok(Answer::Declined(decline)),
        Reading::Social(kind) => {
            let mut counts: BTreeMap<Species, usize> = BTreeMap::new();
            scan(pets, &Query::default(), &mut |pet| *counts.entry(pet.species).or_default() += 1).await?;
            let total = counts.values().sum();
            Ok(Answer::Social { kind, species: counts.into_keys().collect(), total })
        }
        Reading::Question(question) => match question.intent {
            Intent::Values(attribute) | Intent::CountValues(attribute) => values(pets, question, attribute).await,
            _ => rows(pets, question).await,
        },
    }
}

async fn rows(pets: &PetStore, question: Question) -> Result<Answer, StoreError> {
    let (mut found, mut total) = (Vec::new(), 0);
    scan(pets, &question.query, &mut |pet| {
        total += 1;
        if found.len() < LISTED {
            found.push(pet);
        }
    })
    .await?;
    if question.single && total > 1 {
        return Ok(Answer::Ambiguous);
    }
    Ok(Answer::Pets { question, pets: found, total })
}

async fn values(pets: &PetStore, question: Question, attribute: Attribute) -> Result<Answer, StoreError> {
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    scan(pets, &question.query, &mut |pet| *counts.entry(pet::value(&pet, attribute)).or_default() += 1).await?;
    let total = counts.len();
    let values = counts.into_iter().take(LISTED_VALUES).collect();
    Ok(Answer::Values { question, attribute, values, total })
}

/// Whether the pet is as asked.
fn holds(pet: &Pet, any: &[Conditions], none: &[Conditions]) -> bool {
    Query { any: any.to_vec(), none: none.to_vec(), ..Query::default() }.admits(pet)
}

/// Said where only a part of a long message was read.
const PART: &str = "Your message is long; of it I answer this question only:";

/// The answers as Markdown, one below the other; `part`: they are to a part of the message.
pub(super) fn to_markdown(answers: &[Answer], part: bool) -> String {
    let note = part.then(|| PART.to_owned());
    note.into_iter().chain(answers.iter().map(markdown::render)).collect::<Vec<_>>().join("\n\n")
}

/// The answers as one JSON object.
pub(super) fn to_json(answers: &[Answer]) -> String {
    match answers {
        [one] => json::render(one).to_string(),
        several => {
            serde_json::json!({ "answers": several.iter().map(json::render).collect::<Vec<Value>>() }).to_string()
        }
    }
}
