//! From an interpretation to the rows that answer it.

use std::collections::BTreeMap;

use super::pet;
use crate::petstore::PetStore;
use crate::responder::language::{Interpretation, Social, Unsupported};
use crate::responder::query::{Attribute, Conditions, Intent, Query, Question};
use crate::responder::rows::scan;
use crate::store::StoreError;
use crate::wire::resource::pet::{Pet, Species};

/// The most pets that one answer lists; it states the total number.
pub(super) const MAX_LISTED_PETS: usize = 20;
/// The most values of an attribute that one answer lists.
pub(super) const MAX_LISTED_VALUES: usize = 100;

/// The content of an answer, before it is rendered.
#[derive(Clone, Debug)]
pub(in crate::responder) enum AnswerContent {
    /// The first [`MAX_LISTED_PETS`] pets of a question, and their total number.
    Pets { question: Question, pets: Vec<Pet>, total: usize },
    /// The values of an attribute, each with its number of pets, and the total number of values.
    Values { question: Question, attribute: Attribute, values: Vec<(String, usize)>, total: usize },
    /// A question about one pet to which several pets match.
    Ambiguous,
    /// A reply to small talk, with the species that are available and the number of pets.
    Social { kind: Social, species: Vec<Species>, total: usize },
    /// No answer, for this reason.
    Declined(Unsupported),
}

/// Reads the data of an interpretation from the database.
///
/// # Errors
/// [`StoreError`] if the database fails.
pub(in crate::responder) async fn look_up(
    pets: &PetStore,
    interpretation: Interpretation,
) -> Result<AnswerContent, StoreError> {
    match interpretation {
        Interpretation::Declined(reason) => Ok(AnswerContent::Declined(reason)),
        Interpretation::Social(kind) => {
            let mut counts: BTreeMap<Species, usize> = BTreeMap::new();
            scan(pets, &Query::default(), &mut |pet| *counts.entry(pet.species).or_default() += 1).await?;
            let total = counts.values().sum();
            Ok(AnswerContent::Social { kind, species: counts.into_keys().collect(), total })
        }
        Interpretation::Question(question) => match question.intent {
            Intent::Values(attribute) | Intent::CountValues(attribute) => find_values(pets, question, attribute).await,
            _ => find_pets(pets, question).await,
        },
    }
}

async fn find_pets(pets: &PetStore, question: Question) -> Result<AnswerContent, StoreError> {
    let (mut found, mut total) = (Vec::new(), 0);
    scan(pets, &question.query, &mut |pet| {
        total += 1;
        if found.len() < MAX_LISTED_PETS {
            found.push(pet);
        }
    })
    .await?;
    if question.single && total > 1 {
        return Ok(AnswerContent::Ambiguous);
    }
    Ok(AnswerContent::Pets { question, pets: found, total })
}

async fn find_values(pets: &PetStore, question: Question, attribute: Attribute) -> Result<AnswerContent, StoreError> {
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    scan(pets, &question.query, &mut |pet| *counts.entry(pet::value(&pet, attribute)).or_default() += 1).await?;
    let total = counts.len();
    let values = counts.into_iter().take(MAX_LISTED_VALUES).collect();
    Ok(AnswerContent::Values { question, attribute, values, total })
}

/// Whether the pet meets the conditions of an [`Intent::Check`].
pub(super) fn satisfies(pet: &Pet, any_of: &[Conditions], none_of: &[Conditions]) -> bool {
    Query { any_of: any_of.to_vec(), none_of: none_of.to_vec(), ..Query::default() }.matches(pet)
}
