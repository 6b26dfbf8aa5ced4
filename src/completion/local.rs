//! Completions of the local model.

use std::time::Duration;

use axum::response::Response;
use bytes::Bytes;
use http::StatusCode;

use super::context::Context;
use super::local_stream::{LocalStream, completion_tokens};
use super::memory::Memory;
use super::proxy_request::ProxyRequest;
use super::response_head;
use super::usage_guard::{Outcome, UsageGuard};
use crate::error::ApiError;
use crate::responder::{Choice, MODEL, Responder};
use crate::wire::chat::{self, CompletionHead};
use crate::wire::chunk::Usage;

/// Answers from the live inventory, as a stream or whole.
pub(super) async fn complete(
    context: &Context,
    responder: &Responder,
    mut usage: Box<UsageGuard>,
    request: Box<ProxyRequest>,
) -> Result<Response, ApiError> {
    let chat = &request.request;
    usage.record().facts().target = Some(MODEL.into());
    let completion = match responder.complete(usage.key_id(), chat).await {
        Ok(completion) => completion,
        Err(error) => {
            let error = ApiError::from(error);
            usage.finish(Outcome::NotGenerated(&error));
            return Err(error);
        }
    };
    let head = CompletionHead::new(&chat.model);
    if chat.stream {
        usage.begin();
        return Ok(response_head::stream(LocalStream::new(context, usage, completion, &head, chat.include_usage)));
    }
    let tokens = completion_tokens(&completion);
    if let Some(rate) = context.tokens_per_second {
        tokio::time::sleep(Duration::from_secs_f64(1.0 / rate).saturating_mul(tokens)).await;
    }
    let texts: Vec<_> = completion.choices.iter().map(|choice| (text(choice), choice.finish_reason)).collect();
    let body = Bytes::from(chat::completion(&head, &texts, &chat::usage(completion.prompt_tokens, tokens)));
    let mut memory = Memory::new(request.answer_memory.sibling());
    if let Err(failure) = memory.hold(body.len()) {
        let error = ApiError::from(&failure);
        usage.finish(Outcome::UpstreamFailed(&failure, &error));
        return Err(error);
    }
    usage.first_token();
    usage.count_exactly(Usage { prompt_tokens: completion.prompt_tokens.into(), completion_tokens: tokens.into() });
    usage.finish(Outcome::Completed);
    Ok(response_head::json(StatusCode::OK, memory.keep(body)))
}

fn text(choice: &Choice) -> String {
    choice.pieces.iter().map(|piece| piece.text.as_str()).collect()
}
