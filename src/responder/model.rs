//! The model itself: runs the steps from a chat request to the tokens of its answer.

use std::sync::Arc;

use async_openai::types::chat::FinishReason;

use super::conversation::{Conversation, read_conversation};
use super::error::ResponderError;
use super::language::{InventoryLexicon, ParsedMessage, understand};
use super::options::{Options, read_options};
use super::tokenizer::TokenizerLoader;
use super::{answer, task, truncate};
use crate::offload::Offload;
use crate::petstore::PetStore;
use crate::wire::request::InferenceRequest;
use crate::wire::resource::vocabulary::Vocabulary;
use crate::wire::tokens::{Piece, Tokenizer};

/// Size of a request body in bytes above which parsing runs on the offload pool. A smaller one takes one or two
/// milliseconds at most.
const OFFLOAD_BODY_LEN: usize = 16 * 1024;

/// Number of pet names above which building the lexicon takes so long that it runs on the offload pool too.
const OFFLOAD_NAME_COUNT: usize = 2_000;

/// The local model. Clones share the store, the offload pool and the tokenizer, which the first request loads.
///
/// ```
/// use petstream::offload::Offload;
/// use petstream::petstore::PetStore;
/// use petstream::responder::{MODEL, Responder};
/// use petstream::store::Store;
/// use petstream::wire::request::{InferenceRequest, RequestRules, UnknownMembers};
///
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// let store = Store::open("sqlite::memory:").await.unwrap();
/// let model = Responder::new(PetStore::new(store), Offload::new(false));
/// let body = format!(r#"{{"model": "{MODEL}", "messages": [{{"role": "user", "content": "How many dogs?"}}]}}"#);
/// let rules = RequestRules { json_depth: 128, unknown: UnknownMembers::Refuse, local_model: Some(MODEL) };
/// let request = InferenceRequest::chat(body.into(), &rules).unwrap();
/// let completion = model.complete(&"key-id".into(), &request).await.unwrap();
/// let text: String = completion.choices[0].pieces.iter().map(|piece| piece.text.as_str()).collect();
/// assert_eq!(text, "There are 0 available dogs.");
/// # });
/// ```
#[derive(Clone, Debug)]
pub struct Responder {
    pets: PetStore,
    offload: Offload,
    tokenizer: TokenizerLoader,
}

/// The answer to one request.
#[derive(Clone, Debug)]
pub struct Completion {
    /// Tokens of the messages as OpenAI's published recipe counts them: for each message 3 plus those of its role,
    /// content and name (plus 1 where there is a name), and 3 for the start of the answer.
    pub prompt_tokens: u32,
    /// As many as the request's `n`. All are equal and share their text.
    pub choices: Vec<Choice>,
}

/// One choice of a completion.
#[derive(Clone, Debug)]
pub struct Choice {
    /// The text in pieces of whole tokens; joined, they are the whole content.
    pub pieces: Arc<[Piece]>,
    /// `length` if the token limit ended the text, otherwise `stop`.
    pub finish_reason: FinishReason,
    /// The sum of the pieces' tokens.
    pub completion_tokens: u32,
}

impl Responder {
    /// A model that answers from `pets`.
    #[must_use]
    pub fn new(pets: PetStore, offload: Offload) -> Self {
        Self { pets, offload, tokenizer: TokenizerLoader::default() }
    }

    /// Answers a request. Long computations run on the offload pool, where `caller`, the id of the API key, has its
    /// share.
    ///
    /// # Errors
    /// [`ResponderError::Unsupported`] for a parameter that this model does not support, [`ResponderError::Store`] if
    /// the database fails, [`ResponderError::Offload`] if the offload pool's queue is full,
    /// [`ResponderError::Tokenizer`] if the tokenizer can't be loaded.
    pub async fn complete(&self, caller: &Arc<str>, request: &InferenceRequest) -> Result<Completion, ResponderError> {
        let tokenizer = self.tokenizer.get().await?;
        let vocabulary = self.pets.vocabulary().await?;
        let offloaded = request.body().len() > OFFLOAD_BODY_LEN || vocabulary.names.len() > OFFLOAD_NAME_COUNT;
        let request = request.clone();
        let parse = move || parse(tokenizer, &request, &vocabulary);
        let ParsedRequest { options, prompt_tokens, task_answer, message } =
            if offloaded { self.offload.run(caller, parse).await?? } else { parse()? };
        if let Some(text) = task_answer {
            return Ok(completion(tokenizer, &text, prompt_tokens, &options));
        }
        let ParsedMessage { interpretations, json, partial } = message;
        let mut answers = Vec::with_capacity(interpretations.len());
        for interpretation in interpretations {
            answers.push(answer::look_up(&self.pets, interpretation).await?);
        }
        let text =
            if options.json || json { answer::to_json(&answers) } else { answer::to_markdown(&answers, partial) };
        Ok(completion(tokenizer, &text, prompt_tokens, &options))
    }

    /// The tokens of a request's messages, as [`Completion::prompt_tokens`] counts them.
    ///
    /// # Errors
    /// As [`Responder::complete`].
    pub async fn count_prompt(&self, caller: &Arc<str>, request: &InferenceRequest) -> Result<u32, ResponderError> {
        let tokenizer = self.tokenizer.get().await?;
        let is_large = request.body().len() > OFFLOAD_BODY_LEN;
        let request = request.clone();
        let count = move || Ok(read_conversation(tokenizer, &request.members()?)?.prompt_tokens);
        if is_large { self.offload.run(caller, count).await? } else { count() }
    }
}

fn completion(tokenizer: Tokenizer, text: &str, prompt_tokens: u32, options: &Options) -> Completion {
    let (pieces, finish_reason) = truncate::truncate(tokenizer, text, options);
    let completion_tokens = pieces.iter().map(|piece| piece.tokens).sum();
    let choice = Choice { pieces: pieces.into(), finish_reason, completion_tokens };
    Completion { prompt_tokens, choices: vec![choice; options.choices] }
}

struct ParsedRequest {
    options: Options,
    prompt_tokens: u32,
    /// The answer to a chat client's own task; the message is not interpreted then.
    task_answer: Option<String>,
    message: ParsedMessage,
}

fn parse(
    tokenizer: Tokenizer,
    request: &InferenceRequest,
    vocabulary: &Vocabulary,
) -> Result<ParsedRequest, ResponderError> {
    let given = request.members()?;
    let options = read_options(request, &given)?;
    let Conversation { turns, prompt_tokens } = read_conversation(tokenizer, &given)?;
    let task_answer = task::answer(&turns);
    let turns: &[_] = if task_answer.is_some() { &[] } else { &turns };
    let message = understand(turns, &InventoryLexicon::new(vocabulary));
    Ok(ParsedRequest { options, prompt_tokens, task_answer, message })
}
