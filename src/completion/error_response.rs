//! Detects upstreams' answers that are errors, whatever their status.

use std::time::Duration;

use bytes::Bytes;

use super::redact::{redacted, refused};
use crate::upstream::{Failure, Refusal, Target, UpstreamResponse};
use crate::wire::chunk::{ChoiceShape, Completion, DecodedChunk, ParsedFrame, parse_completion, parse_embeddings};
use crate::wire::envelope::{ErrorBody, read_error};
use crate::wire::messages::{from_chat, parse_message};
use crate::wire::operation::Operation;
use crate::wire::responses::parse_response;

/// Most bytes of an error's body that are read.
const MAX_ERROR_LEN: usize = 64 * 1024;
/// Longest wait for an error's body.
const ERROR_BODY_TIMEOUT: Duration = Duration::from_secs(5);

/// Reads the body of a response to a request of `operation` whose status is no success.
pub(super) async fn refusal(target: &Target, operation: Operation, answer: UpstreamResponse) -> Failure {
    let UpstreamResponse { status, retry_after, .. } = answer;
    let body = error_body(answer, Bytes::new()).await;
    let error = error_of(operation, &body);
    Failure::Refused(Refusal { status, error: error.map(|error| redacted(target, error)), retry_after })
}

/// Reads JSON that came instead of a stream: `begin` and what follows. It is an error, or a whole answer.
pub(super) async fn no_stream(
    target: &Target,
    operation: Operation,
    answer: UpstreamResponse,
    begin: Bytes,
) -> Failure {
    match check_answer(target, operation, &error_body(answer, begin).await) {
        Err(refused @ Failure::Refused(_)) => refused,
        _ => Failure::Malformed("it is a whole answer although a stream was asked for"),
    }
}

/// The beginning of a body and the rest of it, or the beginning alone if the rest is too long, too late or broken.
async fn error_body(mut answer: UpstreamResponse, begin: Bytes) -> Bytes {
    let rest = tokio::time::timeout(ERROR_BODY_TIMEOUT, answer.body.read_to_end(MAX_ERROR_LEN)).await;
    let rest = rest.ok().and_then(Result::ok).flatten().unwrap_or_default();
    if begin.is_empty() { rest } else { [begin, rest].concat().into() }
}

/// Checks a whole answer: a JSON object with choices, or with embeddings, and without an error. Returns the facts about
/// it, and the JSON of its `model`.
pub(super) fn check_answer<'a>(
    target: &Target,
    operation: Operation,
    body: &'a [u8],
) -> Result<(DecodedChunk, Option<&'a str>), Failure> {
    let (parsed, is_empty) = match operation {
        Operation::Embeddings => (parse_embeddings(body), "it has no embeddings"),
        Operation::Chat => (parse_completion(body, ChoiceShape::Message), "it is not a chat completion"),
        Operation::Completions => (parse_completion(body, ChoiceShape::Text), "it is not a completion"),
        Operation::Responses => (parse_response(body), "it is not a response"),
        Operation::Messages => (parse_message(body), "it is not a message"),
    };
    match parsed {
        Ok(Completion { frame: ParsedFrame::Error(error), .. }) => {
            Err(refused(target, error.map(|error| in_words_of_chat(operation, error))))
        }
        Ok(Completion { frame: ParsedFrame::Chunk(facts), model })
            if !facts.seen.is_empty() || operation == Operation::Embeddings =>
        {
            Ok((facts, model))
        }
        Ok(_) => Err(Failure::Empty(is_empty)),
        // Gemini's errors are lists.
        Err(_) => match error_of(operation, body) {
            Some(error) => Err(refused(target, Some(error))),
            None => Err(Failure::Malformed("it is not a JSON object")),
        },
    }
}

/// The error in a body, if there is one.
fn error_of(operation: Operation, body: &[u8]) -> Option<ErrorBody> {
    let error = serde_json::from_slice(body).ok().as_ref().and_then(read_error);
    error.map(|error| in_words_of_chat(operation, error))
}

/// The error of an upstream that was asked for `operation`, with the types and codes of OpenAI's API.
fn in_words_of_chat(operation: Operation, error: ErrorBody) -> ErrorBody {
    if operation == Operation::Messages { from_chat::error(error) } else { error }
}
