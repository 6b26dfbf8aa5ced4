//! Completions of the local model.

use std::time::Duration;

use axum::response::Response;
use bytes::Bytes;
use http::StatusCode;

use super::context::Context;
use super::local_stream::{LocalStream, completion_tokens};
use super::local_writer::LocalWriter;
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
    mut request: Box<ProxyRequest>,
) -> Result<Response, ApiError> {
    usage.record().facts().target = Some(MODEL.into());
    let completion = match responder.complete(usage.key_id(), &request.request).await {
        Ok(completion) => completion,
        Err(error) => {
            let error = ApiError::from(error);
            usage.finish(Outcome::NotGenerated(&error));
            return Err(error);
        }
    };
    let head = CompletionHead::new(&request.request.model);
    if request.request.stream {
        usage.begin();
        // The whole answer is in memory already.
        let format = request.take_format(usize::MAX);
        let writer = LocalWriter::new(&head, request.request.include_usage, format);
        return Ok(response_head::stream(LocalStream::new(context, usage, completion, writer)));
    }
    let tokens = completion_tokens(&completion);
    if let Some(rate) = context.tokens_per_second {
        tokio::time::sleep(Duration::from_secs_f64(1.0 / rate).saturating_mul(tokens)).await;
    }
    let texts: Vec<_> = completion.choices.iter().map(|choice| (text(choice), choice.finish_reason)).collect();
    let counted = Usage { prompt_tokens: completion.prompt_tokens.into(), completion_tokens: tokens.into() };
    let body = Bytes::from(chat::completion(&head, &texts, &chat::usage(completion.prompt_tokens, tokens)));
    let translated = request.translation.as_ref().map_or(Ok(body.clone()), |to| to.whole(&body, counted.into()));
    let Ok(body) = translated else {
        tracing::error!("an answer of the local model can't be translated");
        let error = ApiError::internal();
        usage.finish(Outcome::NotGenerated(&error));
        return Err(error);
    };
    let mut memory = Memory::new(request.answer_memory.sibling());
    if let Err(failure) = memory.hold(body.len()) {
        let error = ApiError::from(&failure);
        usage.finish(Outcome::UpstreamFailed(&failure, &error));
        return Err(error);
    }
    usage.first_token();
    usage.count_exactly(counted);
    usage.finish(Outcome::Completed);
    Ok(response_head::json(StatusCode::OK, memory.keep(body)))
}

fn text(choice: &Choice) -> String {
    choice.pieces.iter().map(|piece| piece.text.as_str()).collect()
}
