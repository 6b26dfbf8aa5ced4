//! Removes what concerns only the form of the answer, and politeness, from a sentence. Neither changes what is asked.
//!
//! Examples: "briefly", "in one line", "as a table", "no markdown", "answer in French", "You are a helpful assistant.",
//! "thanks in advance". They are removed before the tagger runs, since there every word must have a meaning. Only JSON
//! is honoured; for the others the answer is as usual. An instruction is removed as a whole or not at all, so that no
//! word of a question is lost: "with" must be followed by a format noun, "be" by an adjective of style.

use super::format_words::{
    ANSWER_LABELS, ANSWER_NOUNS, ARTICLES, BOUNDS, EXCLUDABLE_NOUNS, EXCLUDABLE_WORDS, FORMAT_NOUNS,
    INSTRUCTION_OBJECTS, INSTRUCTION_VERBS, INTRODUCTION_WORDS, LANGUAGES, LENGTH_UNITS, MAX_ROLE_WORDS, MODIFIERS,
    NEGATIONS, PHRASES, PREPOSITIONS, QUESTION_LABELS, QUESTION_NOUNS, ROLES, STYLES, SUFFIXES,
};
use super::lexer::{Word, WordKind};

/// The instructions that were removed from a sentence.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Stripped {
    pub(super) found: bool,
    /// One of the instructions asks for JSON.
    pub(super) json: bool,
}

/// Removes format instructions and politeness from a sentence.
pub(super) fn strip_format_instructions(words: &mut Vec<Word>) -> Stripped {
    let mut stripped = Stripped::default();
    let is_whole = |words: &[Word], phrases: &[&str]| {
        phrases.iter().any(|phrase| match_phrase(words, phrase) == Some(words.len()))
    };
    if is_whole(words, ANSWER_LABELS) {
        words.clear();
        return Stripped { found: true, json: false };
    }
    let mut kept: Vec<Word> = Vec::with_capacity(words.len());
    let mut at = 0;
    while at < words.len() {
        let is_start = kept.iter().all(|word| word.kind == WordKind::Comma);
        let rest = &words[at..];
        let length = longest(&[
            if is_start { label(rest) } else { None },
            if is_start { role(rest) } else { None },
            match_longest(rest, PHRASES),
            introduction(rest),
            instruction(rest).filter(|length| is_start || is_at_boundary(&rest[*length..])),
        ]);
        match length {
            Some(length) => {
                stripped.found = true;
                stripped.json |= rest[..length].iter().any(|word| word.text == "json");
                at += length;
            }
            None => {
                kept.push(words[at].clone());
                at += 1;
            }
        }
    }
    if stripped.found {
        // Remove conjunctions and commas that joined it to the rest.
        let is_joint =
            |word: &Word| word.kind == WordKind::Comma || matches!(&*word.text, "and" | "but" | "please" | "then");
        kept.truncate(kept.iter().rposition(|word| !is_joint(word)).map_or(0, |last| last + 1));
        let first = kept.iter().position(|word| word.kind != WordKind::Comma).unwrap_or_default();
        kept.drain(..first);
        *words = kept;
    }
    stripped
}

fn longest(lengths: &[Option<usize>]) -> Option<usize> {
    lengths.iter().copied().flatten().max().filter(|length| *length > 0)
}

fn is_one_of(word: Option<&Word>, list: &str) -> bool {
    word.is_some_and(|word| word.kind == WordKind::Letters && list.split(' ').any(|other| other == word.text))
}

/// Whether `rest` starts at a boundary of the sentence; otherwise the words before it may belong to it: "dogs with one
/// word names".
fn is_at_boundary(rest: &[Word]) -> bool {
    rest.first().is_none_or(|word| word.kind == WordKind::Comma || is_one_of(Some(word), "and but please then"))
}

/// The length of `phrase` in words if `words` starts with it.
fn match_phrase(words: &[Word], phrase: &str) -> Option<usize> {
    let mut length = 0;
    for part in phrase.split(' ') {
        if words.get(length)?.text != part {
            return None;
        }
        length += 1;
    }
    Some(length)
}

fn match_longest(words: &[Word], phrases: &[&str]) -> Option<usize> {
    phrases.iter().filter_map(|phrase| match_phrase(words, phrase)).max()
}

/// How many words at the start are in the list.
fn count_leading(words: &[Word], list: &str) -> usize {
    words.iter().take_while(|word| is_one_of(Some(word), list)).count()
}

/// A label before other words: "Question: ...", "petstore-ai, ...".
fn label(words: &[Word]) -> Option<usize> {
    let length = match_longest(words, QUESTION_LABELS).filter(|length| *length < words.len())?;
    // Such words may also be the subject of a sentence: "user of ...".
    (!matches!(&*words[length].text, "is" | "are" | "of" | "and" | "for" | "to")).then_some(length)
}

/// "You are a helpful assistant", "as a pet store assistant", "act as an expert".
fn role(words: &[Word]) -> Option<usize> {
    let lead = match_longest(
        words,
        &["you are", "act as", "as", "imagine you are", "pretend to be", "acting as", "suppose you are"],
    )?;
    let article = count_leading(&words[lead..], "a an the my our") > 0;
    let end = words.iter().take(MAX_ROLE_WORDS).position(|word| is_one_of(Some(word), ROLES))?;
    // Up to the last of several nouns: "AI assistant".
    let end = end + count_leading(&words[end..], ROLES);
    let of = match_longest(
        &words[end..],
        &["for a pet store", "for a pet shop", "at a pet store", "in a pet store", "of a pet store"],
    );
    (article && end > lead).then_some(end + of.unwrap_or_default())
}

/// "Please answer the following question", "my name is Bob".
fn introduction(words: &[Word]) -> Option<usize> {
    let named = match_phrase(words, "my name is").filter(|length| words.len() > *length).map(|length| length + 1);
    let asking = count_leading(words, INTRODUCTION_WORDS);
    let verb = words[..asking].iter().any(|word| is_one_of(Some(word), "answer consider read respond reply"));
    let asks = verb && words[..asking].iter().any(|word| is_one_of(Some(word), QUESTION_NOUNS));
    named.max(asks.then_some(asking))
}

/// An instruction about the format, with or without a verb.
fn instruction(words: &[Word]) -> Option<usize> {
    let please = count_leading(words, "please just also only kindly and");
    if !is_one_of(words.get(please), INSTRUCTION_VERBS) {
        return format_phrase(words)
            .max(format_phrase(&words[please..]).map(|length| please + length))
            .max(answer_of_style(words));
    }
    let lead = please + 1;
    let objects = count_leading(&words[lead..], INSTRUCTION_OBJECTS);
    // Some of the objects may also be the start of what follows ("your answer as a table"), so all lengths are tried. A
    // verb without a format phrase after it is not an instruction ("write", "show").
    let with_format = |length: usize| {
        let rest = &words[length..];
        let all = [
            format_phrase(rest),
            style_words(rest),
            answer_of_style(rest),
            content_only(rest),
            match_longest(rest, PHRASES),
        ];
        all.into_iter().flatten().max().map(|more| with_suffixes(words, length + more))
    };
    (lead..=lead + objects).filter_map(with_format).chain(format_phrase(words)).chain(answer_of_style(words)).max()
}

/// "a short answer", "brief reply".
fn answer_of_style(words: &[Word]) -> Option<usize> {
    let article = count_leading(words, "a");
    let length = article + style_words(&words[article..])?;
    is_one_of(words.get(length), ANSWER_NOUNS).then_some(length + 1)
}

/// "with just a number", "with the name only", after a verb.
fn content_only(words: &[Word]) -> Option<usize> {
    let preposition = count_leading(words, "with in as").min(1);
    let rest = count_leading(&words[preposition..], "just only the a one");
    let noun = preposition + rest;
    (preposition > 0 && is_one_of(words.get(noun), "number numbers name names list answer result count"))
        .then_some(noun + 1)
}

/// "in one line", "at most 50 words", "no markdown", "use bullet points".
fn format_phrase(words: &[Word]) -> Option<usize> {
    let length =
        [format_noun(words), language(words), length_limit(words), exclusion(words)].into_iter().flatten().max()?;
    Some(with_suffixes(words, length))
}

fn with_suffixes(words: &[Word], mut length: usize) -> usize {
    while let Some(more) = match_longest(&words[length..], SUFFIXES) {
        length += more;
    }
    length
}

fn format_noun(words: &[Word]) -> Option<usize> {
    let preposition = match_longest(
        words,
        &["in the form of", "in form of", "in the format of", "use", "output format", "response format", "format"],
    )
    .or_else(|| is_one_of(words.first(), PREPOSITIONS).then_some(1))?;
    let start = preposition + count_leading(&words[preposition..], ARTICLES);
    let bound = match_longest(&words[start..], BOUNDS).unwrap_or_default();
    let modified = start + bound + modifiers(&words[start + bound..]);
    let forms = count_leading(&words[modified..], FORMAT_NOUNS);
    if forms > 0 {
        return Some(modified + forms);
    }
    // "plain markdown": the last modifier is a format noun too.
    (modified > start && is_one_of(words.get(modified - 1), FORMAT_NOUNS)).then_some(modified)
}

fn modifiers(words: &[Word]) -> usize {
    words.iter().take_while(|word| matches!(word.kind, WordKind::Number(_)) || is_one_of(Some(word), MODIFIERS)).count()
}

/// "in French", at a boundary: in "a Russian Blue", the word is part of a breed.
fn language(words: &[Word]) -> Option<usize> {
    let length = (match_phrase(words, "in").is_some() && is_one_of(words.get(1), LANGUAGES)).then_some(2)?;
    let ends =
        words.get(length).is_none_or(|word| word.kind == WordKind::Comma || is_one_of(Some(word), "and please only"));
    ends.then_some(length)
}

/// "one line", "at most 50 words", "50 words or less".
fn length_limit(words: &[Word]) -> Option<usize> {
    let bound = match_longest(words, BOUNDS).unwrap_or_default();
    let modified = bound + modifiers(&words[bound..]);
    (modified > bound && is_one_of(words.get(modified), LENGTH_UNITS)).then_some(modified + 1)
}

/// "no markdown", "without any explanation or preamble".
fn exclusion(words: &[Word]) -> Option<usize> {
    let negation = match_longest(words, NEGATIONS)?;
    let all = count_leading(&words[negation..], EXCLUDABLE_WORDS);
    let last = words[negation..negation + all].iter().rposition(|word| is_one_of(Some(word), EXCLUDABLE_NOUNS))?;
    Some(negation + last + 1)
}

/// "concise and polite".
fn style_words(words: &[Word]) -> Option<usize> {
    let all = words.iter().take_while(|word| {
        is_one_of(Some(word), STYLES) || is_one_of(Some(word), "and but very") || word.kind == WordKind::Comma
    });
    let all = all.count();
    words[..all].iter().rposition(|word| is_one_of(Some(word), STYLES)).map(|last| last + 1)
}
