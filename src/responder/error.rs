//! Errors of the local model. `crate::error` maps these to HTTP responses.

use crate::offload::OffloadError;
use crate::store::StoreError;
use crate::wire::request::InvalidRequest;
use crate::wire::tokens::DamagedTable;

/// The model's id in requests and in `GET /v1/models`.
pub const MODEL: &str = "petstore-ai";

/// Why there is no answer.
#[derive(Debug)]
pub enum ResponderError {
    /// The request uses a parameter, or a value of it, that this model does not support.
    Unsupported {
        /// The parameter or the path to the value, such as `messages[0].content[1]`.
        param: String,
        /// `unsupported_parameter` or `unsupported_value`.
        code: &'static str,
        /// The message for the client.
        message: String,
    },
    /// The request is malformed in a field that only this model reads.
    Invalid(InvalidRequest),
    /// Too much work is queued.
    Offload(OffloadError),
    /// The inventory could not be read.
    Store(StoreError),
    /// The tokenizer could not be loaded.
    Tokenizer(DamagedTable),
}

impl ResponderError {
    /// This model does not support the parameter at all.
    pub(super) fn unsupported_parameter(param: &str) -> Self {
        let message = format!("Unsupported parameter: '{param}' is not supported with the model `{MODEL}`.");
        Self::Unsupported { param: param.to_owned(), code: "unsupported_parameter", message }
    }

    /// This model supports the parameter, but not the value that `what` describes.
    pub(super) fn unsupported_value(param: &str, what: &str) -> Self {
        let message = format!("Unsupported value: '{param}': the model `{MODEL}` does not support {what}.");
        Self::Unsupported { param: param.to_owned(), code: "unsupported_value", message }
    }
}

impl From<OffloadError> for ResponderError {
    fn from(not_done: OffloadError) -> Self {
        Self::Offload(not_done)
    }
}

impl From<InvalidRequest> for ResponderError {
    fn from(invalid: InvalidRequest) -> Self {
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
            Self::Unsupported { message, .. } => f.write_str(message),
            Self::Invalid(invalid) => f.write_str(&invalid.message),
            Self::Offload(_) => f.write_str("too much work is waiting"),
            Self::Store(error) => error.fmt(f),
            Self::Tokenizer(damaged) => damaged.fmt(f),
        }
    }
}

impl std::error::Error for ResponderError {}
