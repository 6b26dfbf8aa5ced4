//! Parsing a request of any operation.

use bytes::Bytes;

use super::inference_request::InferenceRequest;
use super::invalid_request::InvalidRequest;
use super::rules::RequestRules;
use super::{completions, embeddings};
use crate::wire::operation::Operation;

impl InferenceRequest {
    /// Parses and checks the body of a request of `operation`; a UTF-8 byte-order mark before it is removed.
    /// Takes about a millisecond a megabyte.
    ///
    /// # Errors
    /// [`InvalidRequest`] for the first thing that is wrong.
    pub fn parse(operation: Operation, body: Bytes, rules: &RequestRules) -> Result<Self, InvalidRequest> {
        match operation {
            Operation::Chat => Self::chat(body, rules),
            Operation::Completions => completions::parse(body, rules),
            Operation::Embeddings => embeddings::parse(body, rules),
        }
    }
}
