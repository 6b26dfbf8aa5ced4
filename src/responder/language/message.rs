//! A message of several sentences: which of them go together, which are questions of their own.

use super::clause::Clause;
use super::concept::Concept;
use super::dialogue::{Dialogue, Reading};
use super::fold::clause;
use super::inventory::Inventory;
use super::tag::tag;
use super::words::sentences;
use super::{Decline, LONGEST_MESSAGE};
use crate::responder::query::Intent;

/// The most sentences of one message.
const MOST_SENTENCES: usize = 12;
/// The most questions of one message.
const MOST_QUESTIONS: usize = 4;
/// How many times "of those" may follow upon "of those"; each costs a look through the inventory.
const DEEPEST: usize = 8;

/// Reads a message; never empty. If any part is not understood, nothing is answered: it may have
/// been meant together.
pub(super) fn message(text: &str, dialogue: &mut Dialogue, inventory: &Inventory, json: bool) -> Vec<Reading> {
    let before = dialogue.clone();
    match read(text, dialogue, inventory, json) {
        Ok(readings) => readings,
        Err(decline) => {
            *dialogue = before;
            vec![Reading::Declined(decline)]
        }
    }
}

fn read(text: &str, dialogue: &mut Dialogue, inventory: &Inventory, json: bool) -> Result<Vec<Reading>, Decline> {
    if text.chars().nth(LONGEST_MESSAGE).is_some() {
        return Err(Decline::TooLong);
    }
    let sentences = sentences(text);
    if sentences.len() > MOST_SENTENCES {
        return Err(Decline::NotUnderstood);
    }
    let mut answers: Vec<Answered> = Vec::new();
    for sentence in &sentences {
        let mut concepts = tag(sentence, inventory);
        let said = concepts.len();
        concepts.retain(|concept| *concept != Concept::Json);
        let asks_json = concepts.len() < said;
        if asks_json && !json {
            return Err(Decline::Format);
        }
        if asks_json && concepts.iter().all(|concept| *concept == Concept::Skip) {
            continue;
        }
        for part in split(&concepts)? {
            add(&mut answers, &clause(part)?, dialogue)?;
        }
    }
    if answers.len() > MOST_QUESTIONS {
        return Err(Decline::NotUnderstood);
    }
    if answers.is_empty() {
        return Err(Decline::Nothing);
    }
    Ok(answers.into_iter().map(|answer| answer.reading).collect())
}

/// What a sentence came to, as long as the next may go on from it.
struct Answered {
    reading: Reading,
    /// No noun, no number asked for: "It should be small."
    narrows: bool,
}

fn add(answers: &mut Vec<Answered>, clause: &Clause, dialogue: &mut Dialogue) -> Result<(), Decline> {
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
        Reading::Question(question) if question.query.chain().len() > DEEPEST => return Err(Decline::NoContext),
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
fn split(concepts: &[Concept]) -> Result<Vec<&[Concept]>, Decline> {
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
    if parts.iter().any(several) { Err(Decline::Combination) } else { Ok(parts) }
}
