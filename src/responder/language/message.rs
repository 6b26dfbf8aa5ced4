//! A message of several sentences: which of them go together, which are questions of their own.

use super::clause::Clause;
use super::concept::Concept;
use super::dialogue::{Dialogue, Reading};
use super::form::strip;
use super::inventory::Inventory;
use super::parser::clause;
use super::tagger::tag;
use super::words::sentences;
use super::{MAX_MESSAGE_LEN, Understood, Unsupported};
use crate::responder::query::Intent;

/// The most sentences of one message.
const MAX_SENTENCES: usize = 12;
/// How far from either end of a long message its question is looked for, bytes.
const NEAR: usize = 4_096;
/// The most questions of one message.
const MAX_QUESTIONS: usize = 4;
/// How many times "of those" may follow upon "of those"; each costs a look through the inventory.
const DEEPEST: usize = 8;

/// Reads a message. If any part is not understood, nothing is answered: it may have been meant together.
///
/// Of a message that is too long for that, one part is read that is likely to be the question: the last paragraph or the
/// first, the last line or the first, the last sentence with a question mark or the first; the first of these that is
/// understood. What else it says is no condition then, and the answer says so.
pub(super) fn message(text: &str, dialogue: &mut Dialogue, inventory: &Inventory) -> Understood {
    match whole(text, dialogue, inventory) {
        Ok(understood) => understood,
        Err(Unsupported::TooLong) => {
            let part = parts(text).into_iter().find_map(|part| {
                let understood = whole(part, dialogue, inventory).ok()?;
                understood.readings.iter().any(|reading| matches!(reading, Reading::Question(_))).then_some(understood)
            });
            part.map_or_else(|| Understood::declined(Unsupported::TooLong), |part| Understood { part: true, ..part })
        }
        Err(decline) => Understood::declined(decline),
    }
}

/// Reads a message in full; nothing is remembered of one that is not understood.
fn whole(text: &str, dialogue: &mut Dialogue, inventory: &Inventory) -> Result<Understood, Unsupported> {
    let mut after = dialogue.clone();
    let understood = read(text, &mut after, inventory)?;
    *dialogue = after;
    Ok(understood)
}

/// The parts of a long message that may be its question, the likeliest first. Each is looked for near an end.
fn parts(text: &str) -> Vec<&str> {
    let text = text.trim();
    let start = &text[..text.floor_char_boundary(NEAR)];
    let end = &text[text.ceil_char_boundary(text.len().saturating_sub(NEAR))..];
    let sentences = |text| -> Vec<&str> { str::split_inclusive(text, ['.', '!', '?', '\n']).map(str::trim).collect() };
    let asks = |sentence: &&&str| sentence.ends_with('?');
    let (first, last) = (sentences(start), sentences(end));
    let candidates = [
        end.rsplit_once("\n\n").map(|(_, last)| last),
        start.split_once("\n\n").map(|(first, _)| first),
        end.rsplit_once('\n').map(|(_, last)| last),
        start.split_once('\n').map(|(first, _)| first),
        last.iter().rev().find(asks).copied(),
        first.iter().find(asks).copied(),
        last.last().copied(),
        first.first().copied(),
    ];
    candidates.into_iter().flatten().map(str::trim).filter(|part| !part.is_empty() && part.len() < text.len()).collect()
}

fn read(text: &str, dialogue: &mut Dialogue, inventory: &Inventory) -> Result<Understood, Unsupported> {
    if text.chars().nth(MAX_MESSAGE_LEN).is_some() {
        return Err(Unsupported::TooLong);
    }
    let sentences = sentences(text);
    if sentences.len() > MAX_SENTENCES {
        return Err(Unsupported::TooLong);
    }
    let mut answers: Vec<Answered> = Vec::new();
    let mut json = false;
    for mut sentence in sentences {
        let stripped = strip(&mut sentence);
        let mut concepts = tag(&sentence, inventory);
        let said = concepts.len();
        concepts.retain(|concept| *concept != Concept::Json);
        let asks_json = concepts.len() < said || stripped.json;
        json |= asks_json;
        // Nothing but the form of the answer.
        let idle = |concept: &Concept| matches!(concept, Concept::Skip | Concept::Comma);
        if (stripped.any || asks_json) && concepts.iter().all(idle) {
            continue;
        }
        for part in split(&concepts)? {
            add(&mut answers, &clause(part)?, dialogue)?;
        }
    }
    if answers.len() > MAX_QUESTIONS {
        return Err(Unsupported::NotUnderstood);
    }
    if answers.is_empty() {
        return Err(Unsupported::Nothing);
    }
    let readings = answers.into_iter().map(|answer| answer.reading).collect();
    Ok(Understood { readings, json, part: false })
}

/// What a sentence came to, as long as the next may go on from it.
struct Answered {
    reading: Reading,
    /// No noun, no number asked for: "It should be small."
    narrows: bool,
}

fn add(answers: &mut Vec<Answered>, clause: &Clause, dialogue: &mut Dialogue) -> Result<(), Unsupported> {
    let last = answers.last();
    let after_question = last.is_some_and(|last| matches!(last.reading, Reading::Question(_)));
    let narrows = !clause.noun && !clause.pets && clause.names.is_empty() && !clause.how_many && clause.order.is_none();
    // "I have $200. Which dogs ...?" and "I want a dog. It should be small."
    let goes_on = after_question && (narrows || last.is_some_and(|last| last.narrows));
    let particular = !clause.names.is_empty() || clause.it.is_some() || clause.nth.is_some();
    let supersedes = goes_on && !particular && !clause.is_empty() && last.is_some_and(|last| is_list(&last.reading));
    if after_question && clause.is_empty() && clause.social.is_none() {
        // "Dogs! Now!"
        return Ok(());
    }
    let reading = dialogue.read(clause, goes_on)?;
    match &reading {
        Reading::Question(question) if question.query.chain().len() > DEEPEST => return Err(Unsupported::NoContext),
        // A greeting beside a question needs no answer.
        Reading::Social(_) if last.is_some() => return Ok(()),
        _ => {}
    }
    if supersedes || last.is_some_and(|last| matches!(last.reading, Reading::Social(_))) {
        answers.pop();
    }
    answers.push(Answered { reading, narrows });
    Ok(())
}

fn is_list(reading: &Reading) -> bool {
    matches!(reading, Reading::Question(question) if question.intent == Intent::List)
}

/// "The cheapest dog and the oldest cat" are two questions; so are two "how many".
fn split(concepts: &[Concept]) -> Result<Vec<&[Concept]>, Unsupported> {
    let asks = |concept: &Concept| matches!(concept, Concept::Extreme(_) | Concept::HowMany);
    let range = concepts.contains(&Concept::To);
    if range || concepts.iter().filter(|concept| asks(concept)).count() < 2 {
        return Ok(vec![concepts]);
    }
    let mut parts: Vec<&[Concept]> = Vec::new();
    let mut start = 0;
    for (at, concept) in concepts.iter().enumerate() {
        let joint = matches!(concept, Concept::And | Concept::Comma | Concept::But | Concept::Or);
        // A joint parts two questions if each side has its own wish and its own noun.
        let whole = |part: &[Concept]| part.iter().any(asks) && part.iter().any(|c| c.is_noun() || *c == Concept::Pets);
        if joint && whole(&concepts[start..at]) && whole(&concepts[at + 1..]) {
            parts.push(&concepts[start..at]);
            start = at + 1;
        }
    }
    parts.push(&concepts[start..]);
    let several = |part: &&[Concept]| {
        let extremes = part.iter().filter(|concept| matches!(concept, Concept::Extreme(_))).count();
        extremes > 1 || part.iter().filter(|concept| **concept == Concept::HowMany).count() > 1
    };
    if parts.iter().any(several) { Err(Unsupported::Combination) } else { Ok(parts) }
}
