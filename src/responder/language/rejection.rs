//! Recognizes sentences that can't be answered before they are parsed: unknown words, foreign currencies, definitions.

use std::sync::Arc;

use super::concept::{Concept, Unit};
use super::interpretation::Unsupported;

/// With more unknown words than this, the answer does not name them.
const MAX_NAMED_WORDS: usize = 3;

/// Rejects a sentence that the inventory can't answer.
///
/// # Errors
/// [`Unsupported`] with the reason.
pub(super) fn reject_unanswerable(concepts: &[Concept]) -> Result<(), Unsupported> {
    if concepts.contains(&Concept::Unit(Unit::ForeignCurrency)) {
        return Err(Unsupported::Currency);
    }
    let unknown: Vec<Arc<str>> = concepts
        .iter()
        .filter_map(|concept| match concept {
            Concept::Unknown(word) => Some(word.clone()),
            _ => None,
        })
        .collect();
    if !unknown.is_empty() {
        return Err(unknown_words(concepts, unknown));
    }
    if asks_for_definition(concepts) { Err(Unsupported::NotUnderstood) } else { Ok(()) }
}

fn unknown_words(concepts: &[Concept], unknown: Vec<Arc<str>>) -> Unsupported {
    let is_about_pets = concepts.iter().any(Concept::is_about_pets);
    let is_after_name_cue = concepts
        .windows(2)
        .any(|pair| matches!(pair, [Concept::Describe | Concept::NameCue | Concept::About, Concept::Unknown(_)]));
    // "How old is Rover?": an attribute is asked for, so the only unknown word is probably a name.
    let asks_for_attribute = !is_about_pets
        && concepts.iter().any(|c| matches!(c, Concept::Ask(_) | Concept::Status(_) | Concept::GoodWith));
    match (unknown.as_slice(), is_about_pets) {
        ([name], _) if is_after_name_cue || asks_for_attribute => Unsupported::NoSuchName(name.clone()),
        (_, true) if unknown.len() <= MAX_NAMED_WORDS => Unsupported::Words(unknown),
        _ => Unsupported::NotUnderstood,
    }
}

/// "What is a dog?", but not "What are the dogs?".
fn asks_for_definition(concepts: &[Concept]) -> bool {
    let content: Vec<&Concept> =
        concepts.iter().filter(|c| !matches!(c, Concept::StopWord | Concept::Article | Concept::Comma)).collect();
    let only_nouns = matches!(
        content.as_slice(),
        [Concept::WhatIs, nouns @ ..] if !nouns.is_empty() && nouns.iter().all(|c| c.is_noun())
    );
    let without_determiner = concepts
        .iter()
        .position(|c| matches!(c, Concept::WhatIs))
        .is_some_and(|at| !matches!(concepts.get(at + 1), Some(Concept::StopWord)));
    only_nouns && without_determiner
}
