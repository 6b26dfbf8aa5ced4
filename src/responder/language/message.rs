//! Interprets a message of several sentences: which of them belong together, and which are separate questions.

use super::clause::Clause;
use super::concept::Concept;
use super::dialogue::DialogueState;
use super::format_instructions::strip_format_instructions;
use super::interpretation::{Interpretation, MAX_MESSAGE_LEN, ParsedMessage, Unsupported};
use super::inventory_lexicon::InventoryLexicon;
use super::lexer::split_sentences;
use super::parser::parse_clause;
use super::tagger::tag;
use crate::responder::query::Intent;

/// The most sentences of a message.
const MAX_SENTENCES: usize = 12;
/// How many bytes at either end of a long message are searched for its question.
const PART_SEARCH_LEN: usize = 4_096;
/// The most questions of a message.
const MAX_QUESTIONS: usize = 4;
/// How deep queries may be nested by "of those" after "of those"; each level costs one pass over the inventory.
const MAX_QUERY_DEPTH: usize = 8;

/// Interprets a message as a whole: if any part is not understood, nothing is answered, since the parts may depend on
/// each other.
///
/// Of a message that is too long for this, only the part that is probably the question is interpreted: the first that
/// is understood of the last and first paragraph, the last and first line, the last and first sentence with a question
/// mark, and the last and first sentence. The rest of the message is then ignored, and the answer states so.
pub(super) fn parse_message(text: &str, dialogue: &mut DialogueState, inventory: &InventoryLexicon) -> ParsedMessage {
    match parse_whole(text, dialogue, inventory) {
        Ok(parsed) => parsed,
        Err(Unsupported::TooLong) => {
            let part = candidate_parts(text).into_iter().find_map(|part| {
                let parsed = parse_whole(part, dialogue, inventory).ok()?;
                let has_question = parsed.interpretations.iter().any(|it| matches!(it, Interpretation::Question(_)));
                has_question.then_some(parsed)
            });
            part.map_or_else(
                || ParsedMessage::declined(Unsupported::TooLong),
                |part| ParsedMessage { partial: true, ..part },
            )
        }
        Err(reason) => ParsedMessage::declined(reason),
    }
}

/// Interprets a text in full. If it is not understood, the dialogue state is unchanged.
fn parse_whole(
    text: &str,
    dialogue: &mut DialogueState,
    inventory: &InventoryLexicon,
) -> Result<ParsedMessage, Unsupported> {
    let mut after = dialogue.clone();
    let parsed = parse_sentences(text, &mut after, inventory)?;
    *dialogue = after;
    Ok(parsed)
}

/// The parts of a long message that may be its question, the most likely first.
fn candidate_parts(text: &str) -> Vec<&str> {
    let text = text.trim();
    let start = &text[..text.floor_char_boundary(PART_SEARCH_LEN)];
    let end = &text[text.ceil_char_boundary(text.len().saturating_sub(PART_SEARCH_LEN))..];
    let sentences = |text| -> Vec<&str> { str::split_inclusive(text, ['.', '!', '?', '\n']).map(str::trim).collect() };
    let is_question = |sentence: &&&str| sentence.ends_with('?');
    let (first, last) = (sentences(start), sentences(end));
    let candidates = [
        end.rsplit_once("\n\n").map(|(_, last)| last),
        start.split_once("\n\n").map(|(first, _)| first),
        end.rsplit_once('\n').map(|(_, last)| last),
        start.split_once('\n').map(|(first, _)| first),
        last.iter().rev().find(is_question).copied(),
        first.iter().find(is_question).copied(),
        last.last().copied(),
        first.first().copied(),
    ];
    candidates.into_iter().flatten().map(str::trim).filter(|part| !part.is_empty() && part.len() < text.len()).collect()
}

fn parse_sentences(
    text: &str,
    dialogue: &mut DialogueState,
    inventory: &InventoryLexicon,
) -> Result<ParsedMessage, Unsupported> {
    if text.chars().nth(MAX_MESSAGE_LEN).is_some() {
        return Err(Unsupported::TooLong);
    }
    let sentences = split_sentences(text);
    if sentences.len() > MAX_SENTENCES {
        return Err(Unsupported::TooLong);
    }
    let mut results: Vec<SentenceResult> = Vec::new();
    let mut json = false;
    for mut sentence in sentences {
        let stripped = strip_format_instructions(&mut sentence);
        let mut concepts = tag(&sentence, inventory);
        let tagged = concepts.len();
        concepts.retain(|concept| *concept != Concept::Json);
        let asks_json = concepts.len() < tagged || stripped.json;
        json |= asks_json;
        // The sentence only concerns the form of the answer.
        let is_filler = |concept: &Concept| matches!(concept, Concept::StopWord | Concept::Comma);
        if (stripped.found || asks_json) && concepts.iter().all(is_filler) {
            continue;
        }
        for part in split_questions(&concepts)? {
            add(&mut results, &parse_clause(part)?, dialogue)?;
        }
    }
    if results.len() > MAX_QUESTIONS {
        return Err(Unsupported::NotUnderstood);
    }
    if results.is_empty() {
        return Err(Unsupported::Nothing);
    }
    let interpretations = results.into_iter().map(|result| result.interpretation).collect();
    Ok(ParsedMessage { interpretations, json, partial: false })
}

/// The interpretation of a sentence, which the next sentence may refine.
struct SentenceResult {
    interpretation: Interpretation,
    /// The sentence only narrows another one down: "It should be small."
    is_refinement: bool,
}

/// Interprets a clause in the context of the message's sentences before it.
fn add(results: &mut Vec<SentenceResult>, clause: &Clause, dialogue: &mut DialogueState) -> Result<(), Unsupported> {
    let last = results.last();
    let after_question = last.is_some_and(|last| matches!(last.interpretation, Interpretation::Question(_)));
    let is_refinement =
        !clause.noun && !clause.generic_noun && clause.names.is_empty() && !clause.how_many && clause.sort.is_none();
    // "I have $200. Which dogs ...?" and "I want a dog. It should be small."
    let continues = after_question && (is_refinement || last.is_some_and(|last| last.is_refinement));
    let is_about_known_pet = !clause.names.is_empty() || clause.pronoun.is_some() || clause.ordinal.is_some();
    let replaces_last = continues
        && !is_about_known_pet
        && !clause.is_empty()
        && last.is_some_and(|last| is_list(&last.interpretation));
    if after_question && clause.is_empty() && clause.social.is_none() {
        // "Dogs! Now!"
        return Ok(());
    }
    let interpretation = dialogue.interpret(clause, continues)?;
    match &interpretation {
        Interpretation::Question(question) if question.query.nesting().len() > MAX_QUERY_DEPTH => {
            return Err(Unsupported::NoContext);
        }
        // A greeting next to a question is not answered.
        Interpretation::Social(_) if last.is_some() => return Ok(()),
        _ => {}
    }
    if replaces_last || last.is_some_and(|last| matches!(last.interpretation, Interpretation::Social(_))) {
        results.pop();
    }
    results.push(SentenceResult { interpretation, is_refinement });
    Ok(())
}

fn is_list(interpretation: &Interpretation) -> bool {
    matches!(interpretation, Interpretation::Question(question) if question.intent == Intent::List)
}

/// Splits a sentence with several questions: "the cheapest dog and the oldest cat", or two of "how many".
///
/// # Errors
/// [`Unsupported::Combination`] if it has several superlatives or "how many" but can't be split.
fn split_questions(concepts: &[Concept]) -> Result<Vec<&[Concept]>, Unsupported> {
    let is_question = |concept: &Concept| matches!(concept, Concept::Superlative(_) | Concept::HowMany);
    let has_range = concepts.contains(&Concept::To);
    if has_range || concepts.iter().filter(|concept| is_question(concept)).count() < 2 {
        return Ok(vec![concepts]);
    }
    let mut parts: Vec<&[Concept]> = Vec::new();
    let mut start = 0;
    for (at, concept) in concepts.iter().enumerate() {
        let is_conjunction = matches!(concept, Concept::And | Concept::Comma | Concept::But | Concept::Or);
        // A conjunction separates two questions if either side is complete: it has its own superlative or "how many",
        // and a noun.
        let is_complete =
            |part: &[Concept]| part.iter().any(is_question) && part.iter().any(|c| c.is_noun() || *c == Concept::Pets);
        if is_conjunction && is_complete(&concepts[start..at]) && is_complete(&concepts[at + 1..]) {
            parts.push(&concepts[start..at]);
            start = at + 1;
        }
    }
    parts.push(&concepts[start..]);
    let has_several = |part: &&[Concept]| {
        let superlatives = part.iter().filter(|concept| matches!(concept, Concept::Superlative(_))).count();
        superlatives > 1 || part.iter().filter(|concept| **concept == Concept::HowMany).count() > 1
    };
    if parts.iter().any(has_several) { Err(Unsupported::Combination) } else { Ok(parts) }
}
