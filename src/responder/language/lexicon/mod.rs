//! The built-in vocabulary: tables of concepts and the phrases that express them, and their index.
//!
//! It depends on [`concept`](super::concept) and, for plurals, on [`spelling`](super::spelling). `table.rs` describes
//! the format.

mod amounts;
mod animals;
mod numerals;
mod questions;
mod table;
mod traits;

pub(super) use self::numerals::number_word;
pub(super) use self::table::{LEXICON, MAX_PHRASE_WORDS, WORDS};
