//! Answers that are errors, whatever their status says.

use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;

use crate::upstream::{Failure, Refusal, Target, UpstreamResponse};
use crate::wire::chunk::{DecodedChunk, ParsedFrame, parse_completion};
use crate::wire::envelope::{ErrorBody, read_error};

/// Most of an error's body that is read, bytes.
const MAX_ERROR: usize = 64 * 1024;
/// Longest wait for an error's body.
const ERROR_PATIENCE: Duration = Duration::from_secs(5);

/// Reads the body of an answer that is no success.
pub(super) async fn refusal(target: &Target, answer: UpstreamResponse) -> Failure {
    let UpstreamResponse { status, retry_after, .. } = answer;
    let body = error_body(answer, Bytes::new()).await;
    let error = serde_json::from_slice(&body).ok().as_ref().and_then(read_error);
    Failure::Refused(Refusal { status, error: error.map(|error| masked(target, error)), retry_after })
}

/// Reads JSON that came where a stream should: `begin` and what follows. It is an error, or a whole answer.
pub(super) async fn no_stream(target: &Target, answer: UpstreamResponse, begin: Bytes) -> Failure {
    match check_answer(target, &error_body(answer, begin).await) {
        Err(refused @ Failure::Refused(_)) => refused,
        _ => Failure::Malformed("it is a whole answer although a stream was asked for"),
    }
}

/// What is left of a body behind its beginning, if that is not more than an error can be.
async fn error_body(mut answer: UpstreamResponse, begin: Bytes) -> Bytes {
    let rest = tokio::time::timeout(ERROR_PATIENCE, answer.body.read_to_end(MAX_ERROR)).await;
    let rest = rest.ok().and_then(Result::ok).flatten().unwrap_or_default();
    if begin.is_empty() { rest } else { [begin, rest].concat().into() }
}

/// A whole answer is a JSON object with choices in it, and without an error.
pub(super) fn check_answer(target: &Target, body: &[u8]) -> Result<DecodedChunk, Failure> {
    match parse_completion(body) {
        Ok(ParsedFrame::Error(error)) => Err(refused(target, error)),
        Ok(ParsedFrame::Chunk(facts)) if !facts.seen.is_empty() => Ok(facts),
        Ok(_) => Err(Failure::Empty("it is not a chat completion")),
        // Gemini's errors are lists.
        Err(_) => match serde_json::from_slice(body).ok().as_ref().and_then(read_error) {
            Some(error) => Err(refused(target, Some(error))),
            None => Err(Failure::Malformed("it is not a JSON object")),
        },
    }
}

/// An error within an answer whose status says that there is none.
pub(super) fn refused(target: &Target, error: Option<ErrorBody>) -> Failure {
    let error = error.map(|error| masked(target, error));
    Failure::Refused(Refusal { status: StatusCode::OK, error, retry_after: None })
}

/// An error's text without the upstream's key.
fn masked(target: &Target, error: ErrorBody) -> ErrorBody {
    let mask = |text: String| target.mask(&text);
    ErrorBody {
        message: mask(error.message),
        kind: mask(error.kind),
        param: error.param.map(mask),
        code: error.code.map(mask),
    }
}
