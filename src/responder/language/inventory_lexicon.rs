//! The vocabulary of the live inventory: names, breeds and colors of its pets. Complements the built-in lexicon.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use super::concept::Concept;
use super::lexicon::{LEXICON, WORDS, number_word};
use super::spelling::{correct, plural};
use crate::responder::query::normalize_words;
use crate::wire::resource::vocabulary::Vocabulary;

/// Words in names of breeds that identify no breed by themselves.
const GENERIC_BREED_WORDS: &[&str] =
    &["mix", "mixed", "breed", "type", "the", "of", "st", "tailed", "eared", "fronted", "faced"];

/// Phrases of the inventory with their concepts.
#[derive(Debug, Default)]
pub(in crate::responder) struct InventoryLexicon {
    phrases: HashMap<String, Concept>,
    /// Normalized names.
    names: BTreeMap<String, Arc<str>>,
    /// Every word of a phrase. These and the built-in lexicon's are the words that are not typos.
    words: BTreeSet<String>,
    max_phrase_words: usize,
}

impl InventoryLexicon {
    pub(in crate::responder) fn new(vocabulary: &Vocabulary) -> Self {
        let mut this = Self::default();
        for color in vocabulary.colors.iter().map(|color| normalize_words(color)).filter(|color| !color.is_empty()) {
            this.add_color(&color);
        }
        for breed in vocabulary.breeds.iter().map(|breed| normalize_words(breed)).filter(|breed| !breed.is_empty()) {
            this.add_breed(&breed);
        }
        for name in vocabulary.names.iter().map(|name| normalize_words(name)).filter(|name| !name.is_empty()) {
            this.max_phrase_words = this.max_phrase_words.max(name.split(' ').count());
            this.names.insert(name.clone(), name.into());
        }
        this.words = this.phrases.keys().flat_map(|phrase| phrase.split(' ')).map(str::to_owned).collect();
        this
    }

    fn add(&mut self, phrase: &str, concept: Concept) {
        self.max_phrase_words = self.max_phrase_words.max(phrase.split(' ').count());
        self.phrases.entry(phrase.to_owned()).or_insert(concept);
    }

    fn add_color(&mut self, color: &str) {
        let meaning: Arc<str> = color.into();
        if !LEXICON.contains_key(color) {
            self.add(color, Concept::InventoryColor(meaning.clone()));
        }
        // "white and black" and "black white" mean "black and white".
        if let Some((one, two)) = color.split_once(" and ") {
            self.add(&format!("{two} and {one}"), Concept::InventoryColor(meaning.clone()));
            self.add(&format!("{one} {two}"), Concept::InventoryColor(meaning.clone()));
        }
        for word in color.split(' ').filter(|word| word.len() > 2 && !LEXICON.contains_key(*word)) {
            self.add(word, Concept::InventoryColor(word.into()));
        }
    }

    fn add_breed(&mut self, breed: &str) {
        for phrase in [breed.to_owned(), plural(breed)] {
            if !LEXICON.contains_key(&phrase) {
                self.add(&phrase, Concept::Breed(breed.into()));
            }
        }
        // "shepherd" finds every shepherd, unless the word has another meaning ("red", "small").
        for word in breed.split(' ').filter(|word| word.len() > 2 && !GENERIC_BREED_WORDS.contains(word)) {
            for phrase in [word.to_owned(), plural(word)] {
                if !LEXICON.contains_key(&phrase) {
                    self.add(&phrase, Concept::Breed(word.into()));
                }
            }
        }
    }

    /// The number of words of the longest phrase or name.
    pub(super) const fn max_phrase_words(&self) -> usize {
        self.max_phrase_words
    }

    pub(super) fn phrase(&self, phrase: &str) -> Option<&Concept> {
        self.phrases.get(phrase)
    }

    pub(super) fn name(&self, name: &str) -> Option<&Arc<str>> {
        self.names.get(name)
    }

    /// Whether the word occurs in a phrase of either lexicon or is a number.
    pub(super) fn contains_word(&self, word: &str) -> bool {
        self.words.contains(word) || WORDS.contains(word) || number_word(word).is_some()
    }

    /// The word that `typed` is probably a typo of.
    pub(super) fn correct_word(&self, typed: &str) -> Option<&str> {
        correct(typed, WORDS.iter().copied().chain(self.words.iter().map(String::as_str)))
    }

    /// The name that `typed` is probably a typo of: at most one letter differs, and the name has at least five.
    pub(super) fn correct_name(&self, typed: &str) -> Option<&Arc<str>> {
        let similar_in_length = self
            .names
            .keys()
            .map(String::as_str)
            .filter(|name| name.len() >= 5 && name.len().abs_diff(typed.len()) <= 1);
        let name = correct(typed, similar_in_length)?;
        (strsim::osa_distance(name, typed) == 1).then(|| self.names.get(name)).flatten()
    }
}
