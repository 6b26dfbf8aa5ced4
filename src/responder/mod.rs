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
mod language;
mod options;
mod query;
mod rows;
mod task;
mod truncate;

use std::sync::Arc;

use async_openai::types::chat::FinishReason;

use self::conversation::{Conversation, conversation};
use self::language::{Inventory, Understood, understand};
use self::options::{Options, options};
use crate::offload::{NotDone, Offload};
use crate::petstore::{PetStore, Vocabulary};
use crate::store::StoreError;
use crate::wire::request::{ChatRequest, Invalid};
pub use crate::wire::tokens::Piece;

/// The name by which clients ask for this model.
pub const MODEL: &str = "petstore-ai";

/// Bytes of a request from which work is moved off the async threads: below, it takes under a
/// millisecond or two.
const HEAVY: usize = 16 * 1024;

/// Names from which putting them in order is such work too.
const MANY_NAMES: usize = 2_000;

/// The local model; cheap to clone.
#[derive(Clone, Debug)]
pub struct Responder {
    pets: PetStore,
    offload: Offload,
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
    /// The request is not what it should be, in a place that only this model looks at.
    Invalid(Invalid),
    /// Too much work is waiting.
    NotDone(NotDone),
    /// The inventory could not be read.
    Store(StoreError),
}

impl Responder {
    /// A model that answers from `pets`.
    #[must_use]
    pub const fn new(pets: PetStore, offload: Offload) -> Self {
        Self { pets, offload }
    }

    /// Answers the request of `caller`, the id of an API key. What takes long is done where it holds up no thread.
    ///
    /// # Errors
    /// [`ResponderError::Refused`] for what this model cannot do, [`ResponderError::Store`] where
    /// the database fails, [`ResponderError::NotDone`] where too much work is waiting.
    pub async fn complete(&self, caller: &Arc<str>, request: &ChatRequest) -> Result<Completion, ResponderError> {
        let vocabulary = self.pets.vocabulary().await?;
        let heavy = request.body().len() > HEAVY || vocabulary.names.len() > MANY_NAMES;
        let request = request.clone();
        let work = move || look(&request, &vocabulary);
        let Looked { options, prompt_tokens, task, understood } =
            if heavy { self.offload.run(caller, work).await?? } else { work()? };
        if let Some(text) = task {
            return Ok(completion(&text, prompt_tokens, &options));
        }
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
    let (pieces, finish_reason) = truncate::cut(text, options);
    let completion_tokens = pieces.iter().map(|piece| piece.tokens).sum();
    let choice = Choice { pieces: pieces.into(), finish_reason, completion_tokens };
    Completion { prompt_tokens, choices: vec![choice; options.choices] }
}

/// What a request asks for.
struct Looked {
    options: Options,
    prompt_tokens: u32,
    /// The answer to a task of a chat client's own.
    task: Option<String>,
    understood: Understood,
}

/// Reads a request.
fn look(request: &ChatRequest, vocabulary: &Vocabulary) -> Result<Looked, ResponderError> {
    let given = request.given()?;
    let options = options(request, &given)?;
    let Conversation { turns, prompt_tokens } = conversation(&given)?;
    let task = task::answer(&turns);
    let turns: &[_] = if task.is_some() { &[] } else { &turns };
    Ok(Looked { options, prompt_tokens, task, understood: understand(turns, &Inventory::new(vocabulary)) })
}

impl From<NotDone> for ResponderError {
    fn from(not_done: NotDone) -> Self {
        Self::NotDone(not_done)
    }
}

impl From<Invalid> for ResponderError {
    fn from(invalid: Invalid) -> Self {
        Self::Invalid(invalid)
    }
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
            Self::Invalid(invalid) => f.write_str(&invalid.message),
            Self::NotDone(_) => f.write_str("too much work is waiting"),
            Self::Store(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for ResponderError {}

#[cfg(test)]
mod tests;
