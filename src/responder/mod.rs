//! petstore-ai, the local model: conversation -> query -> rows -> text -> tokens.
//!
//! | step | file | from -> to |
//! |---|---|---|
//! | conversation | `conversation.rs` | messages -> turns of text |
//! | understanding | `language/` | turns and the inventory's words -> `query.rs` |
//! | rows | `rows.rs` | query -> pets of the live database |
//! | text | `answer/` | pets -> Markdown or JSON |
//! | tasks | `task.rs` | what chat clients ask beside a conversation: a title |
//! | tokens | `cut.rs` | text -> pieces, within `stop` and `max_tokens` |
//!
//! The same question to the same data has the same answer. What is not understood in full is
//! declined in a sentence that says what can be asked; nothing is guessed.

mod answer;
mod conversation;
mod cut;
mod language;
mod options;
mod query;
mod rows;
mod task;

use std::sync::Arc;

use async_openai::types::chat::FinishReason;
use serde_json::{Map, Value};

use self::conversation::{Message, messages, turns};
use self::language::{Inventory, Understood, understand};
use self::options::{Options, options};
use crate::petstore::PetStore;
use crate::store::StoreError;
use crate::wire::tokens;
pub use crate::wire::tokens::Piece;

/// The name by which clients ask for this model.
pub const MODEL: &str = "petstore-ai";

/// Bytes of conversation from which work is moved off the async threads: below, it takes under a
/// millisecond or two.
const HEAVY: usize = 16 * 1024;

/// Names from which putting them in order is such work too.
const MANY_NAMES: usize = 2_000;

/// The local model; cheap to clone.
#[derive(Clone, Debug)]
pub struct Responder {
    pets: PetStore,
}

/// An answer to one request.
#[derive(Clone, Debug)]
pub struct Completion {
    /// Tokens of the messages, by the recipe that OpenAI publishes: for each message 3 and those of
    /// its role, content and name (1 more for a name), and 3 that begin the answer.
    pub prompt_tokens: u32,
    /// As many as `n` asked for, all alike: they share their text.
    pub choices: Vec<Choice>,
}

/// One choice of an answer.
#[derive(Clone, Debug)]
pub struct Choice {
    /// The text, token by token; joined it is the whole content.
    pub pieces: Arc<[Piece]>,
    /// Why it ends: `stop`, or `length` at the most tokens asked for.
    pub finish_reason: FinishReason,
    /// The sum of the pieces' tokens.
    pub completion_tokens: u32,
}

/// Why there is no answer.
#[derive(Debug)]
pub enum ResponderError {
    /// The request asks for something that this model can't do.
    Refused {
        /// The parameter, or the place in it: `messages[0].content[1]`.
        param: String,
        /// `unsupported_parameter` or `unsupported_value`.
        code: &'static str,
        /// For the client.
        message: String,
    },
    /// The inventory could not be read.
    Store(StoreError),
}

impl Responder {
    /// A model that answers from `pets`.
    #[must_use]
    pub const fn new(pets: PetStore) -> Self {
        Self { pets }
    }

    /// Answers the request: the parsed body, whose shapes and ranges the caller has checked.
    ///
    /// # Errors
    /// [`ResponderError::Refused`] for what this model cannot do, [`ResponderError::Store`] where
    /// the database fails.
    pub async fn complete(&self, request: &Map<String, Value>) -> Result<Completion, ResponderError> {
        let options = options(request)?;
        let messages = messages(request)?;
        if let Some(text) = task::answer(&messages) {
            return Ok(completion(&text, prompt_tokens(&messages), &options));
        }
        let vocabulary = self.pets.vocabulary().await?;
        let bytes = messages.iter().map(|message| message.text.len()).sum::<usize>();
        let heavy = bytes > HEAVY || vocabulary.names.len() > MANY_NAMES;
        let (understood, prompt_tokens) = offload(heavy, move || {
            let understood = understand(&turns(&messages), &Inventory::new(&vocabulary));
            (understood, prompt_tokens(&messages))
        })
        .await?;
        let Understood { readings, json, part } = understood;
        let mut answers = Vec::with_capacity(readings.len());
        for reading in readings {
            answers.push(answer::look_up(&self.pets, reading).await?);
        }
        let text = if options.json || json { answer::to_json(&answers) } else { answer::to_markdown(&answers, part) };
        Ok(completion(&text, prompt_tokens, &options))
    }
}

fn completion(text: &str, prompt_tokens: u32, options: &Options) -> Completion {
    let (pieces, finish_reason) = cut::cut(text, options);
    let completion_tokens = pieces.iter().map(|piece| piece.tokens).sum();
    let choice = Choice { pieces: pieces.into(), finish_reason, completion_tokens };
    Completion { prompt_tokens, choices: vec![choice; options.choices] }
}

/// Runs `work` here, or where it may take its time.
async fn offload<T: Send + 'static>(
    heavy: bool,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, ResponderError> {
    if !heavy {
        return Ok(work());
    }
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => Ok(done),
        Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
        // Only when the runtime is shutting down.
        Err(error) => Err(ResponderError::Store(StoreError::Database(sqlx::Error::Io(std::io::Error::other(error))))),
    }
}

/// Tokens of the messages; see [`Completion::prompt_tokens`].
fn prompt_tokens(messages: &[Message]) -> u32 {
    let of = |message: &Message| {
        let name = message.name.as_ref().map_or(0, |name| tokens::count(name).saturating_add(1));
        [3, tokens::count(&message.role), tokens::count(&message.text), name].into_iter().fold(0, u32::saturating_add)
    };
    messages.iter().map(of).fold(3, u32::saturating_add)
}

impl From<StoreError> for ResponderError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl std::fmt::Display for ResponderError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Refused { message, .. } => f.write_str(message),
            Self::Store(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for ResponderError {}

#[cfg(test)]
mod tests;
