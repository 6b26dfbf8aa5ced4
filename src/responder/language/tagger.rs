//! Words to concepts: names first where they are plainly names, then the longest phrase, then typos.

use super::concept::Concept;
use super::inventory::Inventory;
use super::lexicon::{LEXICON, LONGEST};
use super::words::{Shape, Word};

/// How many unknown words of a sentence may be typos: with more, it is declined anyway, and looking
/// each up takes time.
const MAX_STRANGERS: usize = 6;

/// The concepts of a sentence; [`Concept::Skip`] is left in, since it parts what is beside it.
pub(super) fn tag(words: &[Word], inventory: &Inventory) -> Vec<Concept> {
    let words = respelled(words, inventory);
    let mut concepts = Vec::with_capacity(words.len());
    let mut at = 0;
    while at < words.len() {
        let (concept, length) = read(&words[at..], concepts.last(), inventory);
        concepts.push(concept);
        at += length;
    }
    concepts
}

/// The words, with typos put right.
fn respelled(words: &[Word], inventory: &Inventory) -> Vec<Word> {
    let mut words = words.to_vec();
    let mut strangers = 0;
    for word in &mut words {
        let known = word.shape != Shape::Letters || inventory.knows(&word.text) || inventory.name(&word.text).is_some();
        if !known && strangers < MAX_STRANGERS {
            strangers += 1;
            // A capital makes a stranger's name more likely than a slip.
            let correction = inventory.respell(&word.text).filter(|_| !word.capital).map(str::to_owned);
            let correction = correction.or_else(|| inventory.respell_name(&word.text).map(ToString::to_string));
            if let Some(correction) = correction {
                word.text = correction;
            }
        }
    }
    words
}

/// The concept at the beginning of `words`, and how many of them it takes.
fn read(words: &[Word], before: Option<&Concept>, inventory: &Inventory) -> (Concept, usize) {
    match words[0].shape {
        Shape::Number(value) => return (Concept::Number(value), 1),
        Shape::Money(value) => return (Concept::Money(value), 1),
        Shape::Comma => return (Concept::Comma, 1),
        Shape::Letters => {}
    }
    let name =
        longest(words, inventory.longest(), |phrase| inventory.name(phrase).map(|name| Concept::Name(name.clone())));
    let phrase = longest(words, LONGEST.max(inventory.longest()), |phrase| {
        inventory.phrase(phrase).or_else(|| LEXICON.get(phrase).copied()).cloned()
    });
    match (name, phrase) {
        (Some(name), None) => name,
        (Some(name), Some(phrase)) => {
            // A pet may be called "Max", "May" or "Red": a capital tells, or the words around it.
            let number_next = number_next(words, name.1);
            let told = matches!(before, Some(Concept::NameCue | Concept::Tell | Concept::About));
            let amount = matches!(phrase.0, Concept::Bound(..));
            if words[0].capital || told || name.1 > phrase.1 || (amount && phrase.1 == name.1 && !number_next) {
                name
            } else {
                phrase
            }
        }
        // "Is Max available?" asks about a pet, even where none has that name.
        (None, Some((Concept::Bound(..), 1))) if words[0].capital && !number_next(words, 1) => {
            (Concept::Unknown(words[0].text.as_str().into()), 1)
        }
        // "200 or more", but "small or over $200".
        (None, Some((Concept::OrLess | Concept::OrMore, 2))) if number_next(words, 2) || is_than(words.get(2)) => {
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

/// Whether an amount stands behind the first `length` words.
fn number_next(words: &[Word], length: usize) -> bool {
    words.get(length).is_some_and(|word| !matches!(word.shape, Shape::Letters | Shape::Comma))
}

fn longest(words: &[Word], most: usize, find: impl Fn(&str) -> Option<Concept>) -> Option<(Concept, usize)> {
    let most = words.iter().take(most).take_while(|word| word.shape != Shape::Comma).count();
    (1..=most).rev().find_map(|length| {
        let phrase = words[..length].iter().map(|word| word.text.as_str()).collect::<Vec<_>>().join(" ");
        find(&phrase).map(|concept| (concept, length))
    })
}

/// Numbers up to a hundred thousand are written as one word only when small or round.
pub(super) fn number_word(word: &str) -> Option<u32> {
    const WORDS: &[(&str, u32)] = &[
        ("zero", 0),
        ("two", 2),
        ("three", 3),
        ("four", 4),
        ("five", 5),
        ("six", 6),
        ("seven", 7),
        ("eight", 8),
        ("nine", 9),
        ("ten", 10),
        ("eleven", 11),
        ("twelve", 12),
        ("fifteen", 15),
        ("eighteen", 18),
        ("twenty", 20),
        ("thirty", 30),
        ("forty", 40),
        ("fifty", 50),
        ("sixty", 60),
        ("seventy", 70),
        ("eighty", 80),
        ("ninety", 90),
        ("hundred", 100),
        ("thousand", 1000),
    ];
    WORDS.iter().find(|(text, _)| *text == word).map(|(_, value)| *value)
}
