//! The index of all phrases, built once from the tables beside this file.
//!
//! An entry of a table is a concept and its phrases, separated by `|`, in lower case, as the lexer produces them;
//! `dog*` also stands for its plural. The longest phrase that matches wins. A question with a word that is neither here
//! nor in the inventory is not answered, so a word belongs to [`Concept::StopWord`] only if omitting it changes the
//! meaning of no question.

use std::collections::{BTreeSet, HashMap};
use std::sync::LazyLock;

use super::amounts::{AMOUNTS, LOGIC, ORDERS};
use super::animals::ANIMALS;
use super::questions::{QUESTIONS, SOCIAL, STOP_WORDS};
use super::traits::TRAITS;
use crate::responder::language::concept::Concept;
use crate::responder::language::spelling::plural;

/// The most words of a phrase.
pub(in crate::responder::language) const MAX_PHRASE_WORDS: usize = 7;

/// The concept of every phrase. A phrase of several tables has the meaning of the first.
pub(in crate::responder::language) static LEXICON: LazyLock<HashMap<String, &'static Concept>> = LazyLock::new(|| {
    let mut lexicon = HashMap::new();
    for (concept, phrases) in
        [STOP_WORDS, ANIMALS, TRAITS, LOGIC, AMOUNTS, ORDERS, QUESTIONS, SOCIAL].into_iter().flatten()
    {
        for phrase in phrases.split('|') {
            let (phrase, plural_too) = phrase.split_once('*').map_or((phrase.to_owned(), None), |(stem, rest)| {
                (format!("{stem}{rest}"), Some(format!("{}{rest}", plural(stem))))
            });
            for phrase in plural_too.into_iter().chain([phrase]) {
                lexicon.entry(phrase).or_insert(concept);
            }
        }
    }
    lexicon
});

/// Every word that occurs in a phrase.
pub(in crate::responder::language) static WORDS: LazyLock<BTreeSet<&'static str>> =
    LazyLock::new(|| LEXICON.keys().flat_map(|phrase| phrase.split(' ')).collect());

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_phrase_is_longer_than_the_maximum_or_malformed() {
        for phrase in LEXICON.keys() {
            assert!(phrase.split(' ').count() <= MAX_PHRASE_WORDS, "{phrase}");
            assert_eq!(phrase.trim(), phrase);
            assert!(!phrase.is_empty());
        }
    }
}
