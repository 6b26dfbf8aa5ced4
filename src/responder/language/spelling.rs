//! Correction of simple typos: finds the known word that an unknown word was probably meant to be.
//!
//! The rules are strict, since a wrong correction leads to a wrong answer instead of none. The first letter must be
//! right; short words may differ only by two swapped letters, an omitted one or a doubled one; a word of English is not
//! a typo.

use std::collections::HashSet;
use std::sync::LazyLock;

use strsim::osa_distance;

/// English words that these rules would otherwise correct to words of the lexicon or of common breeds and colors.
static ENGLISH: LazyLock<HashSet<&'static str>> = LazyLock::new(|| include_str!("english.txt").lines().collect());

/// The plural of a noun, by the rules of English spelling.
pub(super) fn plural(noun: &str) -> String {
    let stem = noun.strip_suffix('y').filter(|stem| stem.ends_with(|c: char| !"aeiou".contains(c)));
    match stem {
        Some(stem) => format!("{stem}ies"),
        None if ["s", "x", "z", "ch", "sh"].iter().any(|end| noun.ends_with(end)) => format!("{noun}es"),
        None => format!("{noun}s"),
    }
}

/// The known word that is closest to `typed`; `None` if none is close enough or several are equally close.
pub(super) fn correct<'a>(typed: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    if ENGLISH.contains(typed) {
        return None;
    }
    let mut best: Option<(usize, &str)> = None;
    let mut ambiguous = false;
    for word in known {
        let Some(distance) = typo_distance(typed, word) else { continue };
        match best {
            Some((least, _)) if distance > least => {}
            Some((least, other)) if distance == least => {
                ambiguous |= other != word && plural(other) != word && plural(word) != other
            }
            _ => (best, ambiguous) = (Some((distance, word)), false),
        }
    }
    best.filter(|_| !ambiguous).map(|(_, word)| word)
}

/// The edit distance from `typed` to `word`, if it is small enough for a typo.
fn typo_distance(typed: &str, word: &str) -> Option<usize> {
    let length = word.len();
    // Lengths are in bytes: the lexicon is ASCII, and for other words the rules only get stricter.
    if length < 4 || typed.len() < 4 || typed.len().abs_diff(length) > 2 || typed.as_bytes()[0] != word.as_bytes()[0] {
        return None;
    }
    if typed.bytes().chain(word.bytes()).any(|b| b.is_ascii_digit()) {
        return None;
    }
    let distance = osa_distance(typed, word);
    let close = match length {
        4 | 5 => {
            distance == 1
                && (has_swapped_letters(typed, word)
                    || has_omitted_letter(typed, word)
                    || has_doubled_letter(typed, word))
        }
        6 | 7 => distance == 1,
        _ => distance <= 2,
    };
    (close && distance > 0).then_some(distance)
}

fn has_swapped_letters(typed: &str, word: &str) -> bool {
    let sorted = |text: &str| {
        let mut letters: Vec<char> = text.chars().collect();
        letters.sort_unstable();
        letters
    };
    sorted(typed) == sorted(word)
}

fn has_omitted_letter(typed: &str, word: &str) -> bool {
    typed.len() < word.len() && word.len() >= 5
}

fn has_doubled_letter(typed: &str, word: &str) -> bool {
    let mut letters: Vec<char> = typed.chars().collect();
    letters.dedup();
    let mut expected: Vec<char> = word.chars().collect();
    expected.dedup();
    typed.len() > word.len() && letters == expected
}

#[cfg(test)]
mod tests {
    use super::*;

    const KNOWN: &[&str] =
        &["dogs", "cats", "kitten", "kittens", "retriever", "small", "white", "available", "cheapest"];

    #[test]
    fn typos_are_corrected() {
        for (typed, word) in [
            ("dgos", "dogs"),
            ("doggs", "dogs"),
            ("kiten", "kitten"),
            ("retreiver", "retriever"),
            ("smal", "small"),
            ("whtie", "white"),
            ("avalible", "available"),
            ("cheepest", "cheapest"),
        ] {
            assert_eq!(correct(typed, KNOWN.iter().copied()), Some(word), "{typed}");
        }
    }

    #[test]
    fn words_of_english_are_not_typos() {
        for typed in ["does", "gods", "cast", "what", "smell", "with", "write", "kitchen", "dots", "cars", "mittens"] {
            assert_eq!(correct(typed, KNOWN.iter().copied()), None, "{typed}");
        }
    }

    #[test]
    fn plurals_follow_english_spelling() {
        assert_eq!(
            ["dog", "puppy", "boy", "mix", "finch"].map(plural),
            ["dogs", "puppies", "boys", "mixes", "finches"]
        );
    }
}
