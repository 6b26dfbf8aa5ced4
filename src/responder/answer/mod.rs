//! Answers: looks up the pets of an interpretation and renders them as Markdown or JSON.
//!
//! It depends on `query` and `rows` for the data and on `language` for the question. Every fact in an answer comes
//! from a row; text from the inventory is escaped, so it can't change the structure of the Markdown.

mod describe;
mod escape;
mod json;
mod lookup;
mod markdown;
mod pet;
mod render;

pub(super) use self::lookup::look_up;
pub(super) use self::render::{to_json, to_markdown};
