//! The words of the language, as tables: a meaning, and the phrases that have it.
//!
//! Phrases are separated by `|`, in lower case, as [`super::words`] leaves them; `dog*` is also its
//! plural. The longest phrase wins. A word that is neither here nor in the inventory is not
//! understood, and a question with such a word is declined: so a word belongs to [`Concept::Skip`]
//! only if no question changes its meaning by losing it.

mod amounts;
mod animals;
mod questions;
mod traits;

use std::collections::{BTreeSet, HashMap};
use std::sync::LazyLock;

use self::amounts::{AMOUNTS, LOGIC, ORDERS};
use self::animals::ANIMALS;
use self::questions::{HARMLESS, QUESTIONS, SOCIAL};
use self::traits::TRAITS;
use super::concept::Concept;
use super::spelling::plural;

/// The most words of a phrase.
pub(super) const LONGEST: usize = 7;

/// Every phrase of the table with its meaning.
pub(super) static LEXICON: LazyLock<HashMap<String, &'static Concept>> = LazyLock::new(|| {
    let mut lexicon = HashMap::new();
    for (concept, phrases) in
        [HARMLESS, ANIMALS, TRAITS, LOGIC, AMOUNTS, ORDERS, QUESTIONS, SOCIAL].into_iter().flatten()
    {
        for phrase in phrases.split('|') {
            let (phrase, plural_too) = phrase.split_once('*').map_or((phrase.to_owned(), None), |(stem, rest)| {
                (format!("{stem}{rest}"), Some(format!("{}{rest}", plural(stem))))
            });
            // The first meaning in the order of the tables stays.
            for phrase in plural_too.into_iter().chain([phrase]) {
                lexicon.entry(phrase).or_insert(concept);
            }
        }
    }
    lexicon
});

/// Every word that occurs in a phrase.
pub(super) static WORDS: LazyLock<BTreeSet<&'static str>> =
    LazyLock::new(|| LEXICON.keys().flat_map(|phrase| phrase.split(' ')).collect());

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_phrase_is_longer_than_the_search_for_phrases() {
        for phrase in LEXICON.keys() {
            assert!(phrase.split(' ').count() <= LONGEST, "{phrase}");
            assert_eq!(phrase.trim(), phrase);
            assert!(!phrase.is_empty());
        }
    }
}
