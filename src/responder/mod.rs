//! The local model `petstore-ai`: it answers questions about the pet store from the live inventory, without an
//! upstream.
//!
//! It depends on [`crate::petstore`] for the rows, on [`crate::offload`] for large inputs and on [`crate::wire`] for
//! request parsing and token counting. The same question to the same data gets the same answer. A question that is not
//! understood in full gets a fixed sentence that lists the supported questions; no part of it is guessed.
//!
//! | step | file | input -> output |
//! |---|---|---|
//! | parameters | `options.rs` | request parameters -> the options that this model supports |
//! | conversation | `conversation.rs` | messages -> turns of text and the number of prompt tokens |
//! | client tasks | `task.rs` | a chat client's request for a title or tags -> its answer, without a query |
//! | language | `language/` | turns and the inventory's words -> questions as data (`query.rs`) |
//! | rows | `rows.rs` | query -> pets of the database |
//! | answer | `answer/` | pets -> Markdown or JSON |
//! | tokens | `tokenizer.rs`, `truncate.rs` | text -> tokens, limited by `stop` and `max_tokens` |
//!
//! `model.rs` runs these steps in this order.

mod answer;
mod conversation;
mod error;
mod language;
mod model;
mod options;
mod query;
mod rows;
mod task;
mod tokenizer;
mod truncate;

pub use self::error::{MODEL, ResponderError};
pub use self::model::{Choice, Completion, Responder};

#[cfg(test)]
mod tests;
