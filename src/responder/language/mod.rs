//! Natural-language understanding: turns of a conversation and the words of the live inventory -> questions as data.
//!
//! | step | file | input -> output |
//! |---|---|---|
//! | lexer | `lexer.rs` | text -> sentences of words |
//! | format instructions | `format_instructions.rs` | removes politeness and what only concerns the form of the answer |
//! | tagger | `tagger.rs`, with `lexicon/`, `inventory_lexicon.rs`, `spelling.rs` | words -> [concepts](concept) |
//! | parser | `parser.rs`, with `rejection.rs`, `amount.rs`, `phrase.rs` | concepts -> a [clause](clause) |
//! | dialogue | `message.rs`, `dialogue.rs` | clauses -> interpretations, with references to earlier turns resolved |
//!
//! It depends on the inventory's vocabulary and on `query` for its output; it reads no data. Every word must be
//! accounted for: an unknown one makes the question unsupported, so that only the question that was asked is answered.
//! To support a word, add it to the lexicon and an example to `questions.txt`.

mod amount;
mod clause;
mod concept;
mod dialogue;
mod format_instructions;
mod format_words;
mod interpretation;
mod inventory_lexicon;
mod lexer;
mod lexicon;
mod message;
mod parser;
mod phrase;
mod rejection;
mod spelling;
mod tagger;
mod understand;

pub(super) use self::concept::Social;
pub(super) use self::interpretation::{Interpretation, MAX_MESSAGE_LEN, ParsedMessage, Unsupported};
pub(super) use self::inventory_lexicon::InventoryLexicon;
pub(super) use self::understand::understand;

#[cfg(test)]
mod tests;
