//! Simple typos: a word that is nowhere known may be a known one, misspelt.
//!
//! Strict on purpose. A wrong correction turns a question that should be declined into a wrong
//! answer, so the first letter must be right, short words must differ by no more than two letters
//! swapped, one left out or one doubled, and what is a word of English is no typo.

use std::collections::HashSet;
use std::sync::LazyLock;

use strsim::osa_distance;

/// Words of English that these rules would take for misspelt words of the lexicon or of common
/// breeds and colours.
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

/// The known word that `typed` most probably is, unless there is none or more than one.
pub(super) fn correct<'a>(typed: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    if ENGLISH.contains(typed) {
        return None;
    }
    let mut best: Option<(usize, &str)> = None;
    let mut tied = false;
    for word in known {
        let Some(distance) = slip(typed, word) else { continue };
        match best {
            Some((least, _)) if distance > least => {}
            Some((least, other)) if distance == least => {
                tied |= other != word && plural(other) != word && plural(word) != other
            }
            _ => (best, tied) = (Some((distance, word)), false),
        }
    }
    best.filter(|_| !tied).map(|(_, word)| word)
}

/// How far `typed` is from `word`, if not too far to be a slip of the finger.
fn slip(typed: &str, word: &str) -> Option<usize> {
    let length = word.len();
    // Bytes stand for letters: the lexicon is ASCII, and for other words the rules only get stricter.
    if length < 4 || typed.len() < 4 || typed.len().abs_diff(length) > 2 || typed.as_bytes()[0] != word.as_bytes()[0] {
        return None;
    }
    if typed.bytes().chain(word.bytes()).any(|b| b.is_ascii_digit()) {
        return None;
    }
    let distance = osa_distance(typed, word);
    let close = match length {
        4 | 5 => distance == 1 && (swapped(typed, word) || left_out(typed, word) || doubled(typed, word)),
        6 | 7 => distance == 1,
        _ => distance <= 2,
    };
    (close && distance > 0).then_some(distance)
}

fn swapped(typed: &str, word: &str) -> bool {
    let sorted = |text: &str| {
        let mut letters: Vec<char> = text.chars().collect();
        letters.sort_unstable();
        letters
    };
    sorted(typed) == sorted(word)
}

fn left_out(typed: &str, word: &str) -> bool {
    typed.len() < word.len() && word.len() >= 5
}

fn doubled(typed: &str, word: &str) -> bool {
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
    fn slips_are_understood() {
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
    fn words_of_english_are_no_slips() {
        for typed in ["does", "gods", "cast", "what", "smell", "with", "write", "kitchen", "dots", "cars", "mittens"] {
            assert_eq!(correct(typed, KNOWN.iter().copied()), None, "{typed}");
        }
    }

    #[test]
    fn plurals() {
        assert_eq!(
            ["dog", "puppy", "boy", "mix", "finch"].map(plural),
            ["dogs", "puppies", "boys", "mixes", "finches"]
        );
    }
}
