//! The tagger: replaces words by the concepts that they express.
//!
//! Typos are corrected first. Then, from left to right, the longest phrase of the lexicons or the longest pet name is
//! taken; where both match, the spelling and the neighbouring words decide.

use super::concept::Concept;
use super::inventory_lexicon::InventoryLexicon;
use super::lexer::{Word, WordKind};
use super::lexicon::{LEXICON, MAX_PHRASE_WORDS, number_word};

/// How many unknown words of a sentence are looked up as typos. With more, the sentence is not understood anyway, and
/// each look-up compares the word with all known ones.
const MAX_CORRECTIONS: usize = 6;

/// The concepts of a sentence. [`Concept::StopWord`] is kept, since it separates its neighbours.
pub(super) fn tag(words: &[Word], inventory: &InventoryLexicon) -> Vec<Concept> {
    let words = correct_typos(words, inventory);
    let mut concepts = Vec::with_capacity(words.len());
    let mut at = 0;
    while at < words.len() {
        let (concept, length) = tag_first(&words[at..], concepts.last(), inventory);
        concepts.push(concept);
        at += length;
    }
    concepts
}

/// The words with typos corrected.
fn correct_typos(words: &[Word], inventory: &InventoryLexicon) -> Vec<Word> {
    let mut words = words.to_vec();
    let mut looked_up = 0;
    for word in &mut words {
        let known = word.kind != WordKind::Letters
            || inventory.contains_word(&word.text)
            || inventory.name(&word.text).is_some();
        if !known && looked_up < MAX_CORRECTIONS {
            looked_up += 1;
            // A capitalized unknown word is rather a name than a typo of a word.
            let correction = inventory.correct_word(&word.text).filter(|_| !word.capitalized).map(str::to_owned);
            let correction = correction.or_else(|| inventory.correct_name(&word.text).map(ToString::to_string));
            if let Some(correction) = correction {
                word.text = correction;
            }
        }
    }
    words
}

/// The first concept of `words`, and the number of words that express it.
fn tag_first(words: &[Word], previous: Option<&Concept>, inventory: &InventoryLexicon) -> (Concept, usize) {
    match words[0].kind {
        WordKind::Number(value) => return (Concept::Number(value), 1),
        WordKind::Money(value) => return (Concept::Money(value), 1),
        WordKind::Comma => return (Concept::Comma, 1),
        WordKind::Letters => {}
    }
    let name = longest_match(words, inventory.max_phrase_words(), |phrase| {
        inventory.name(phrase).map(|name| Concept::Name(name.clone()))
    });
    let phrase = longest_match(words, MAX_PHRASE_WORDS.max(inventory.max_phrase_words()), |phrase| {
        inventory.phrase(phrase).or_else(|| LEXICON.get(phrase).copied()).cloned()
    });
    match (name, phrase) {
        (Some(name), None) => name,
        (Some(name), Some(phrase)) => {
            // A pet may be called "Max", "May" or "Red": the capital letter or the neighbouring words decide.
            let number_follows = is_number_next(words, name.1);
            let follows_name_cue = matches!(previous, Some(Concept::NameCue | Concept::Describe | Concept::About));
            let amount = matches!(phrase.0, Concept::Comparison(..));
            if words[0].capitalized
                || follows_name_cue
                || name.1 > phrase.1
                || (amount && phrase.1 == name.1 && !number_follows)
            {
                name
            } else {
                phrase
            }
        }
        // "Is Max available?" asks about a pet, even if none has that name.
        (None, Some((Concept::Comparison(..), 1))) if words[0].capitalized && !is_number_next(words, 1) => {
            (Concept::Unknown(words[0].text.as_str().into()), 1)
        }
        // "200 or more", but "small or over $200".
        (None, Some((Concept::OrLess | Concept::OrMore, 2))) if is_number_next(words, 2) || is_than(words.get(2)) => {
            (if words[0].text == "or" { Concept::Or } else { Concept::And }, 1)
        }
        (None, Some(phrase)) => phrase,
        (None, None) => number_word(&words[0].text).map_or_else(
            || (Concept::Unknown(words[0].text.as_str().into()), 1),
            |value| (Concept::Number(value.into()), 1),
        ),
    }
}

/// "and younger than 5" begins a comparison, "and younger" ends one.
fn is_than(word: Option<&Word>) -> bool {
    word.is_some_and(|word| word.text == "than")
}

/// Whether an amount follows the first `length` words.
fn is_number_next(words: &[Word], length: usize) -> bool {
    words.get(length).is_some_and(|word| !matches!(word.kind, WordKind::Letters | WordKind::Comma))
}

/// The longest phrase of at most `max` words for which `find` has a concept, and its length in words.
fn longest_match(words: &[Word], max: usize, find: impl Fn(&str) -> Option<Concept>) -> Option<(Concept, usize)> {
    let max = words.iter().take(max).take_while(|word| word.kind != WordKind::Comma).count();
    (1..=max).rev().find_map(|length| {
        let phrase = words[..length].iter().map(|word| word.text.as_str()).collect::<Vec<_>>().join(" ");
        find(&phrase).map(|concept| (concept, length))
    })
}
