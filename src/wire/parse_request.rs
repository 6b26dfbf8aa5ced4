//! Parsing a request of any operation.

use bytes::Bytes;

use super::operation::Operation;
use super::request::{InferenceRequest, InvalidRequest, RequestRules};
use super::{messages, responses};

/// Parses and checks the body of a request of `operation`; a UTF-8 byte-order mark before it is removed. Takes about a
/// millisecond a megabyte.
///
/// # Errors
/// [`InvalidRequest`] for the first thing that is wrong.
pub fn parse_request(
    operation: Operation,
    body: Bytes,
    rules: &RequestRules,
) -> Result<InferenceRequest, InvalidRequest> {
    match operation {
        Operation::Chat => InferenceRequest::chat(body, rules),
        Operation::Completions => InferenceRequest::completion(body, rules),
        Operation::Embeddings => InferenceRequest::embeddings(body, rules),
        Operation::Responses => responses::parse(body, rules),
        Operation::Messages => messages::parse(body, rules),
    }
}
