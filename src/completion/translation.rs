//! Requests for a model that speaks another API than the client: the request that asks the same there, and what the
//! answer becomes.

use std::sync::Arc;

use bytes::Bytes;
use jiff::Timestamp;

use crate::bound::Grant;
use crate::error::ApiError;
use crate::offload::{MAX_INLINE, Offload};
use crate::wire::chat::CompletionHead;
use crate::wire::messages::{self, MessageHead, from_chat};
use crate::wire::operation::Operation;
use crate::wire::parse_request;
use crate::wire::request::{InferenceRequest, InvalidRequest, RequestRules, UnknownMembers};
use crate::wire::responses::{self, ResponseHead};
use crate::wire::translation::{TokenCounts, TranslationError};

/// What an answer is translated to.
pub(super) enum Translation {
    /// A chat completion becomes a response. On the heap: the head holds what is repeated of the request.
    Response(Box<ResponseHead>),
    /// A chat completion becomes a message.
    Message(MessageHead),
    /// A message becomes a chat completion; whether its stream has usage.
    Completion(CompletionHead, bool),
}

/// A request, and what the answer to it is translated to.
pub(super) type Translated = (InferenceRequest, Option<Translation>);

/// Translates a request to one of the operation `to`, unless it is one; a large one in the pool for long computations. `memory` is that of its body, and becomes
/// that of the translated one, unless it is too small to be counted; `local_model` is the name of the local model if that answers.
///
/// # Errors
/// [`ApiError`] when a member has no counterpart, or when there is no memory for the translated body.
pub(super) async fn translate(
    request: InferenceRequest,
    to: Operation,
    key: &Arc<str>,
    (offload, memory): (&Offload, &mut Grant),
    local_model: Option<&'static str>,
) -> Result<Translated, ApiError> {
    let length = request.body().len();
    if length <= MAX_INLINE {
        return Ok(translated(request, to, local_model)?);
    }
    // Both bodies are in memory until the first one is dropped.
    memory.resize(2 * length as u64)?;
    let translated = offload.run(key, move || translated(request, to, local_model)).await??;
    memory.resize(translated.0.body().len() as u64)?;
    Ok(translated)
}

fn translated(
    request: InferenceRequest,
    to: Operation,
    local_model: Option<&'static str>,
) -> Result<Translated, InvalidRequest> {
    let model = &request.model;
    // The depth was checked with the client's body.
    let rules = RequestRules { json_depth: usize::MAX, unknown: UnknownMembers::Pass, local_model };
    let (body, translation) = match (request.operation, to) {
        (Operation::Responses, Operation::Chat) => {
            let head = responses::head(&request, model, Timestamp::now().as_second())?;
            (responses::to_chat(&request)?, Translation::Response(Box::new(head)))
        }
        (Operation::Messages, Operation::Chat) => {
            (messages::to_chat(&request)?, Translation::Message(MessageHead::new(model)))
        }
        (Operation::Chat, Operation::Messages) => {
            let to_completion = Translation::Completion(CompletionHead::new(model), request.include_usage);
            (from_chat::request(&request, None)?, to_completion)
        }
        (_, _) => return Ok((request, None)),
    };
    let mut translated = parse_request(to, body.into(), &rules)?;
    translated.other_models = request.other_models;
    Ok((translated, Some(translation)))
}

impl Translation {
    /// The whole answer. `counted` are the token counts where the upstream's has none.
    pub(super) fn whole(&self, answer: &[u8], counted: TokenCounts) -> Result<Bytes, TranslationError> {
        let translated = match self {
            Self::Response(head) => responses::response(head, answer, Timestamp::now().as_second()),
            Self::Message(head) => messages::message(head, answer, &counted),
            Self::Completion(head, _) => from_chat::completion(head, answer, &counted),
        };
        translated.map(Bytes::from)
    }
}
