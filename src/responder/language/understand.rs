//! The entry point: interprets the last user message in the context of the turns before it.

use super::dialogue::DialogueState;
use super::interpretation::{ParsedMessage, Unsupported};
use super::inventory_lexicon::InventoryLexicon;
use super::message::parse_message;
use crate::responder::conversation::Turn;
use crate::responder::query::normalize_words;

/// The longest answer in bytes that is searched for names. This model's own answers are far shorter.
const MAX_SEARCHED_ANSWER_LEN: usize = 100_000;

/// Interprets the last message of the user, given the turns before it.
pub(in crate::responder) fn understand(turns: &[Turn], inventory: &InventoryLexicon) -> ParsedMessage {
    let mut dialogue = DialogueState::default();
    let mut parsed = ParsedMessage::declined(Unsupported::Nothing);
    for turn in turns {
        match turn {
            Turn::User(text) => parsed = parse_message(text, &mut dialogue, inventory),
            Turn::Assistant(text) => dialogue.set_shown_names(names_in_bold(text, inventory)),
        }
    }
    parsed
}

/// The names of pets that an answer shows in bold, in their order, without repetitions.
fn names_in_bold(text: &str, inventory: &InventoryLexicon) -> Vec<String> {
    if text.len() > MAX_SEARCHED_ANSWER_LEN {
        return Vec::new();
    }
    let mut names: Vec<String> = Vec::new();
    for bold in text.split("**").skip(1).step_by(2) {
        let name = normalize_words(bold);
        if inventory.name(&name).is_some() && !names.contains(&name) {
            names.push(name);
        }
    }
    names
}
