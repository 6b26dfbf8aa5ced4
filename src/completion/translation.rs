//! Requests of responses and of messages for a model that speaks chat only: the chat request that asks the same, and
//! what its answer becomes.

use std::sync::Arc;

use bytes::Bytes;
use jiff::Timestamp;

use crate::bound::Grant;
use crate::error::ApiError;
use crate::offload::{MAX_INLINE, Offload};
use crate::wire::messages::{self, MessageHead};
use crate::wire::operation::Operation;
use crate::wire::request::{InferenceRequest, InvalidRequest, RequestRules, UnknownMembers};
use crate::wire::responses::{self, ResponseHead};
use crate::wire::translation::{TokenCounts, TranslationError};

/// What the answer of chat is translated to.
pub(super) enum Translation {
    /// A response. On the heap: it holds what is repeated of the request.
    Response(Box<ResponseHead>),
    /// A message.
    Message(MessageHead),
}

/// A request for a chat completion, and what its answer is translated to.
pub(super) type Translated = (InferenceRequest, Option<Translation>);

/// Translates a request; a large one in the pool for long computations. `memory` is that of its body, and becomes
/// that of the translated one, unless it is too small to be counted; `local_model` is the name of the local model if that answers.
///
/// # Errors
/// [`ApiError`] when a member has no counterpart, or when there is no memory for the translated body.
pub(super) async fn translate(
    request: InferenceRequest,
    key: &Arc<str>,
    (offload, memory): (&Offload, &mut Grant),
    local_model: Option<&'static str>,
) -> Result<Translated, ApiError> {
    let length = request.body().len();
    if length <= MAX_INLINE {
        return Ok(to_chat(request, local_model)?);
    }
    // Both bodies are in memory until the first one is dropped.
    memory.resize(2 * length as u64)?;
    let translated = offload.run(key, move || to_chat(request, local_model)).await??;
    memory.resize(translated.0.body().len() as u64)?;
    Ok(translated)
}

fn to_chat(request: InferenceRequest, local_model: Option<&'static str>) -> Result<Translated, InvalidRequest> {
    let model = &request.model;
    let (chat, translation) = match request.operation {
        Operation::Responses => {
            let head = responses::head(&request, model, Timestamp::now().as_second())?;
            (responses::to_chat(&request)?, Some(Translation::Response(Box::new(head))))
        }
        Operation::Messages => (messages::to_chat(&request)?, Some(Translation::Message(MessageHead::new(model)))),
        Operation::Chat | Operation::Completions | Operation::Embeddings => return Ok((request, None)),
    };
    // The depth was checked with the client's body.
    let rules = RequestRules { json_depth: usize::MAX, unknown: UnknownMembers::Pass, local_model };
    let mut chat = InferenceRequest::chat(chat.into(), &rules)?;
    chat.other_models = request.other_models;
    Ok((chat, translation))
}

impl Translation {
    /// The whole answer. `counted` are the token counts where the completion has none.
    pub(super) fn whole(&self, completion: &[u8], counted: TokenCounts) -> Result<Bytes, TranslationError> {
        let answer = match self {
            Self::Response(head) => responses::response(head, completion, Timestamp::now().as_second()),
            Self::Message(head) => messages::message(head, completion, &counted),
        };
        answer.map(Bytes::from)
    }
}
