//! Understanding of language: a conversation and the inventory's vocabulary -> questions as data.
//!
//! text -> [`words`] -> [`form`] (which leaves out what asks nothing) -> [`tag`] (by [`lexicon`], [`inventory`], [`spelling`]) -> concepts ->
//! [`fold`] (with [`amount`] and [`phrase`]) -> [`clause`] -> [`message`] and [`dialogue`] -> [`Reading`].
//!
//! Every word must be accounted for: one that means nothing here makes the question declined, so
//! that nothing is answered that was not asked. To teach a word, add it to the lexicon.

mod amount;
mod clause;
mod concept;
mod dialogue;
mod form;
mod inventory;
mod lexicon;
mod message;
mod parser;
mod phrase;
mod spelling;
mod tagger;
pub(super) mod words;

use std::sync::Arc;

pub(super) use self::concept::Social;
use self::dialogue::Dialogue;
pub(super) use self::dialogue::Reading;
pub(super) use self::inventory::Inventory;
use self::message::message;
use super::conversation::Turn;
use super::query::spelled;

/// Why a question is not answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Unsupported {
    /// It is about something else, or said in a way that is not understood.
    NotUnderstood,
    /// It is about pets, but these words mean nothing to the inventory.
    Words(Vec<Arc<str>>),
    /// No pet has that name.
    NoSuchName(Arc<str>),
    /// "Good with" somebody else than kids.
    Company,
    /// "or" between different kinds of conditions.
    Combination,
    /// Prices in another currency.
    Currency,
    /// Ages in weeks or days.
    FineAge,
    /// "under 2": dollars or years?
    WhichUnit,
    /// "those", "it" with nothing to go back to.
    NoContext,
    /// There is no question.
    Nothing,
    /// Longer than [`MAX_MESSAGE_LEN`], and no part of it is a question that is understood.
    TooLong,
}

/// The longest message that is looked at as a whole, in characters. Of a longer one a part is read that can be a question of
/// its own, see [`message`].
pub(super) const MAX_MESSAGE_LEN: usize = 2_000;

/// What a message asks.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Understood {
    /// Never empty.
    pub(super) readings: Vec<Reading>,
    /// It asks for JSON.
    pub(super) json: bool,
    /// Only a part of it was read.
    pub(super) part: bool,
}

impl Understood {
    fn declined(decline: Unsupported) -> Self {
        Self { readings: vec![Reading::Declined(decline)], json: false, part: false }
    }
}

/// What the last message of the user asks, in the light of those before it.
pub(super) fn understand(turns: &[Turn], inventory: &Inventory) -> Understood {
    let mut dialogue = Dialogue::default();
    let mut understood = Understood::declined(Unsupported::Nothing);
    for turn in turns {
        match turn {
            Turn::User(text) => understood = message(text, &mut dialogue, inventory),
            Turn::Assistant(text) => dialogue.heard(shown(text, inventory)),
        }
    }
    understood
}

/// The names of pets that an answer shows in bold, in their order.
fn shown(text: &str, inventory: &Inventory) -> Vec<String> {
    if text.len() > 100_000 {
        return Vec::new();
    }
    let mut names: Vec<String> = Vec::new();
    for bold in text.split("**").skip(1).step_by(2) {
        let name = spelled(bold);
        if inventory.name(&name).is_some() && !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

#[cfg(test)]
mod tests;
