//! The words that the pets now in the inventory are described with.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use super::concept::Concept;
use super::lexicon::{LEXICON, WORDS};
use super::spelling::{correct, plural};
use super::tagger::number_word;
use crate::petstore::Vocabulary;
use crate::responder::query::spelled;

/// Words of breeds that say nothing about the breed when they stand alone.
const VAGUE: &[&str] = &["mix", "mixed", "breed", "type", "the", "of", "st", "tailed", "eared", "fronted", "faced"];

/// Phrases of the live inventory with their meaning.
#[derive(Debug, Default)]
pub(in crate::responder) struct Inventory {
    phrases: HashMap<String, Concept>,
    names: BTreeMap<String, Arc<str>>,
    /// Every word of a phrase; with the lexicon's, the words that are no typos.
    words: BTreeSet<String>,
    longest: usize,
}

impl Inventory {
    pub(in crate::responder) fn new(vocabulary: &Vocabulary) -> Self {
        let mut this = Self::default();
        for color in vocabulary.colors.iter().map(|color| spelled(color)).filter(|color| !color.is_empty()) {
            this.add_color(&color);
        }
        for breed in vocabulary.breeds.iter().map(|breed| spelled(breed)).filter(|breed| !breed.is_empty()) {
            this.add_breed(&breed);
        }
        for name in vocabulary.names.iter().map(|name| spelled(name)).filter(|name| !name.is_empty()) {
            this.longest = this.longest.max(name.split(' ').count());
            this.names.insert(name.clone(), name.into());
        }
        this.words = this.phrases.keys().flat_map(|phrase| phrase.split(' ')).map(str::to_owned).collect();
        this
    }

    fn add(&mut self, phrase: &str, concept: Concept) {
        self.longest = self.longest.max(phrase.split(' ').count());
        self.phrases.entry(phrase.to_owned()).or_insert(concept);
    }

    fn add_color(&mut self, color: &str) {
        let meaning: Arc<str> = color.into();
        if !LEXICON.contains_key(color) {
            self.add(color, Concept::LiveColor(meaning.clone()));
        }
        // "white and black" is "black and white".
        if let Some((one, two)) = color.split_once(" and ") {
            self.add(&format!("{two} and {one}"), Concept::LiveColor(meaning.clone()));
            self.add(&format!("{one} {two}"), Concept::LiveColor(meaning.clone()));
        }
        for word in color.split(' ').filter(|word| word.len() > 2 && !LEXICON.contains_key(*word)) {
            self.add(word, Concept::LiveColor(word.into()));
        }
    }

    fn add_breed(&mut self, breed: &str) {
        for phrase in [breed.to_owned(), plural(breed)] {
            if !LEXICON.contains_key(&phrase) {
                self.add(&phrase, Concept::Breed(breed.into()));
            }
        }
        // "shepherd" finds every shepherd, unless the word means something by itself ("red", "small").
        for word in breed.split(' ').filter(|word| word.len() > 2 && !VAGUE.contains(word)) {
            for phrase in [word.to_owned(), plural(word)] {
                if !LEXICON.contains_key(&phrase) {
                    self.add(&phrase, Concept::Breed(word.into()));
                }
            }
        }
    }

    /// The most words of a phrase or name.
    pub(super) const fn longest(&self) -> usize {
        self.longest
    }

    pub(super) fn phrase(&self, phrase: &str) -> Option<&Concept> {
        self.phrases.get(phrase)
    }

    pub(super) fn name(&self, name: &str) -> Option<&Arc<str>> {
        self.names.get(name)
    }

    /// Whether the word occurs in any phrase.
    pub(super) fn knows(&self, word: &str) -> bool {
        self.words.contains(word) || WORDS.contains(word) || number_word(word).is_some()
    }

    /// The word that `typed` probably is.
    pub(super) fn respell(&self, typed: &str) -> Option<&str> {
        correct(typed, WORDS.iter().copied().chain(self.words.iter().map(String::as_str)))
    }

    /// The name that `typed` probably is: at most one letter left out, doubled or swapped.
    pub(super) fn respell_name(&self, typed: &str) -> Option<&Arc<str>> {
        let near = self
            .names
            .keys()
            .map(String::as_str)
            .filter(|name| name.len() >= 5 && name.len().abs_diff(typed.len()) <= 1);
        let name = correct(typed, near)?;
        (strsim::osa_distance(name, typed) == 1).then(|| self.names.get(name)).flatten()
    }
}
