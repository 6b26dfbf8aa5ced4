//! Failures under `/v1`, in OpenAI's envelope.

use std::time::Duration;

mod access;
mod upstream;

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use bytes::{Bytes, BytesMut};
use http::header::{CONTENT_TYPE, HeaderName, RETRY_AFTER};
use http::{HeaderValue, StatusCode};

use crate::bound::Exceeded;
use crate::offload::OffloadError;
use crate::responder::ResponderError;
use crate::wire::envelope::{Envelope, ErrorBody};
use crate::wire::operation::Operation;
use crate::wire::request::InvalidRequest;
use crate::wire::sse::push_frame;

/// `x-should-retry`: obeyed by OpenAI's Python and Node SDKs, which otherwise retry every 429.
const X_SHOULD_RETRY: HeaderName = HeaderName::from_static("x-should-retry");
/// Milliseconds, read by the SDKs before `retry-after`.
const RETRY_AFTER_MS: HeaderName = HeaderName::from_static("retry-after-ms");

/// The code of a server, or an upstream, that is overloaded.
const OVERLOADED: &str = "server_is_overloaded";

/// A failure in the form for clients of `/v1`.
#[derive(Clone, Debug)]
pub struct ApiError {
    status: StatusCode,
    body: ErrorBody,
    /// When to try again, milliseconds.
    retry_after: Option<u64>,
    /// Overrides the rule of SDKs about retries where that would be wrong.
    should_retry: Option<bool>,
    /// The request was not read to its end, so the connection can't go on.
    close: bool,
}

/// The label of a failure in the log. It is an extension of the response: [`error`](crate::error) puts it there, the
/// layer `request_log` takes it out.
#[derive(Clone, Debug)]
pub struct FailureLabel(pub String);

impl ApiError {
    fn new(status: StatusCode, kind: &str, code: Option<&str>, message: impl Into<String>) -> Self {
        let body =
            ErrorBody { message: message.into(), kind: kind.to_owned(), param: None, code: code.map(str::to_owned) };
        Self { status, body, retry_after: None, should_retry: None, close: false }
    }

    fn bad(status: StatusCode, code: Option<&str>, message: impl Into<String>) -> Self {
        Self::new(status, "invalid_request_error", code, message)
    }

    fn param(mut self, param: &str) -> Self {
        self.body.param = Some(param.to_owned());
        self
    }

    /// A model that is unknown or not allowed for the key: one answer for both, so that names can't be probed.
    #[must_use]
    pub fn no_model(model: &str) -> Self {
        let model: String = model.chars().take(256).collect();
        let message = format!("The model `{model}` does not exist or you do not have access to it.");
        Self::bad(StatusCode::NOT_FOUND, Some("model_not_found"), message).param("model")
    }

    /// A model that does not serve the operation; `others` do. A 400, since proxies take a 404 for a failure of the
    /// whole deployment.
    #[must_use]
    pub fn not_served(model: &str, operation: Operation, others: &[&str]) -> Self {
        let model: String = model.chars().take(256).collect();
        let names = others.join("`, `");
        let hint = if others.is_empty() { String::new() } else { format!(" These models do: `{names}`.") };
        let message =
            format!("The model `{model}` does not serve {} (/v1/{}).{hint}", operation.name(), operation.path());
        Self::bad(StatusCode::BAD_REQUEST, Some("unsupported_api"), message).param("model")
    }

    /// A request that the HTTP engine refuses. Its connection closes.
    pub(super) fn of_engine(status: StatusCode, code: Option<&str>, message: &str) -> Self {
        Self { close: true, ..Self::bad(status, code, message) }
    }

    /// A path that does not exist; `suggestion` is the one that was most likely meant.
    #[must_use]
    pub fn no_path(method: &str, path: &str, suggestion: Option<&str>) -> Self {
        let suggestion = suggestion.map(|path| format!(". Did you mean {path}?")).unwrap_or_default();
        Self::bad(StatusCode::NOT_FOUND, None, format!("Invalid URL ({method} {path}){suggestion}"))
    }

    /// A method that a path does not have.
    #[must_use]
    pub fn method_not_allowed(method: &str, path: &str) -> Self {
        let message = format!("Not allowed to {method} on {path}.");
        Self::bad(StatusCode::METHOD_NOT_ALLOWED, Some("method_not_supported"), message)
    }

    /// A body that is compressed: `Content-Encoding` other than `identity`.
    #[must_use]
    pub fn encoded_body() -> Self {
        let message = "The request body must not be compressed: Content-Encoding is not supported.";
        let code = Some("unsupported_content_encoding");
        Self::bad(StatusCode::UNSUPPORTED_MEDIA_TYPE, code, message)
    }

    /// A body over the limit.
    #[must_use]
    pub fn body_too_large(limit: u64) -> Self {
        let message = format!("The request body is larger than {limit} bytes.");
        let mut error = Self::bad(StatusCode::PAYLOAD_TOO_LARGE, Some("request_too_large"), message);
        error.close = true;
        error
    }

    /// A body that stopped arriving.
    #[must_use]
    pub fn body_timeout() -> Self {
        let message = "The request body did not arrive in time.";
        let mut error = Self::bad(StatusCode::REQUEST_TIMEOUT, Some("request_timeout"), message);
        error.close = true;
        error
    }

    /// A body that broke off.
    #[must_use]
    pub fn body_broken() -> Self {
        let mut error = Self::bad(StatusCode::BAD_REQUEST, None, "The request body could not be read to its end.");
        error.close = true;
        error
    }

    /// The server is overloaded.
    #[must_use]
    pub fn overloaded() -> Self {
        let message = "The server is overloaded. Please try again later.";
        let code = Some(OVERLOADED);
        let mut error = Self::new(StatusCode::SERVICE_UNAVAILABLE, "service_unavailable_error", code, message);
        error.retry_after = Some(1_000);
        error
    }

    /// The key has its whole share of a bounded resource; `what` names it: `request bodies: Limit 1 byte`.
    #[must_use]
    pub fn share_used_up(what: &str) -> Self {
        let message = format!("Your API key has its whole share of {what}. Please try again when it needs less of it.");
        let mut error = Self::new(StatusCode::TOO_MANY_REQUESTS, "requests", Some("rate_limit_exceeded"), message);
        error.retry_after = Some(1_000);
        error
    }

    /// The server shuts down before the answer is complete.
    #[must_use]
    pub fn shutting_down() -> Self {
        let message = "The server is shutting down and could not finish this answer. Please try again.";
        let code = Some("server_shutdown");
        let mut error = Self::new(StatusCode::SERVICE_UNAVAILABLE, "service_unavailable_error", code, message);
        error.retry_after = Some(1_000);
        error
    }

    /// The key's tokens a minute are used up in the middle of an answer.
    #[must_use]
    pub fn budget_used_up() -> Self {
        let message = "The answer was ended because the tokens per minute of your API key are used up.";
        Self::new(StatusCode::TOO_MANY_REQUESTS, "tokens", Some("token_budget_exhausted"), message)
    }

    /// A failure of this server; its cause is only logged.
    #[must_use]
    pub fn internal() -> Self {
        let message = "The server had an error while processing your request.";
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "server_error", None, message)
    }

    /// The label for logs and metrics.
    #[must_use]
    pub fn reason(&self) -> &str {
        self.body.code.as_deref().unwrap_or(&self.body.kind)
    }

    /// The status, if no head has been sent yet.
    #[must_use]
    pub const fn status(&self) -> StatusCode {
        self.status
    }

    /// The message for people.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.body.message
    }

    /// Writes the failure as the last data of a stream, whose status has been sent before.
    pub fn push_frame(&self, out: &mut BytesMut) {
        push_frame(out, &Envelope { error: self.body.clone() }.to_json());
    }
}

impl From<InvalidRequest> for ApiError {
    fn from(invalid: InvalidRequest) -> Self {
        let mut error = Self::bad(StatusCode::BAD_REQUEST, invalid.code, invalid.message);
        error.body.param = invalid.param;
        error
    }
}

/// No memory for a request's body.
impl From<Exceeded> for ApiError {
    fn from(exceeded: Exceeded) -> Self {
        match exceeded {
            Exceeded::Total(_) => Self::overloaded(),
            Exceeded::Share(limit) => {
                Self::share_used_up(&format!("memory for requests and answers: Limit {limit} bytes"))
            }
        }
    }
}

impl From<OffloadError> for ApiError {
    fn from(not_done: OffloadError) -> Self {
        match not_done {
            OffloadError::Full(Exceeded::Total(_)) => Self::overloaded(),
            OffloadError::Full(Exceeded::Share(limit)) => {
                Self::share_used_up(&format!("large requests at once: Limit {limit}"))
            }
            OffloadError::Stopping => Self::shutting_down(),
        }
    }
}

impl From<ResponderError> for ApiError {
    fn from(error: ResponderError) -> Self {
        match error {
            ResponderError::Unsupported { param, code, message } => {
                Self::bad(StatusCode::BAD_REQUEST, Some(code), message).param(&param)
            }
            ResponderError::Invalid(invalid) => Self::from(invalid),
            ResponderError::Offload(not_done) => Self::from(not_done),
            ResponderError::Store(error) if error.is_busy() || error.is_unreachable() => Self::database_away(&error),
            error @ (ResponderError::Store(_) | ResponderError::Tokenizer(_)) => {
                tracing::error!(%error, "the local model can't answer");
                Self::internal()
            }
        }
    }
}

/// A wait in milliseconds, rounded up, since a client that returns too early is refused again. At least 1.
fn whole_ms(wait: Duration) -> u64 {
    u64::try_from(wait.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX).max(1)
}

impl ApiError {
    /// Whether the server, or an upstream, is overloaded.
    pub(super) fn is_overload(&self) -> bool {
        self.body.code.as_deref() == Some(OVERLOADED)
    }

    /// The answer with a JSON body, and the headers that are the same in all formats.
    pub(super) fn with_body(self, status: StatusCode, body: Vec<u8>) -> Response {
        let label = FailureLabel(self.reason().to_owned());
        let mut response = Response::new(Body::from(Bytes::from(body)));
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if let Some(ms) = self.retry_after {
            headers.insert(RETRY_AFTER, HeaderValue::from(ms.div_ceil(1_000).max(1)));
            headers.insert(RETRY_AFTER_MS, HeaderValue::from(ms));
        }
        if let Some(retry) = self.should_retry {
            headers.insert(X_SHOULD_RETRY, HeaderValue::from_static(if retry { "true" } else { "false" }));
        }
        if self.status == StatusCode::UNAUTHORIZED {
            // RFC 9110, section 11.6.1: a 401 has a `www-authenticate`.
            headers.insert(http::header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if self.close {
            headers.insert(http::header::CONNECTION, HeaderValue::from_static("close"));
        }
        response.extensions_mut().insert(label);
        response
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let body = Envelope { error: self.body.clone() }.to_json();
        let status = self.status;
        self.with_body(status, body)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_queue_of_computations_is_503_and_a_full_share_429() {
        let status = |exceeded| {
            let error = ApiError::from(OffloadError::Full(exceeded));
            (error.status().as_u16(), error.retry_after)
        };
        assert_eq!(status(Exceeded::Total(256)), (503, Some(1_000)));
        assert_eq!(status(Exceeded::Share(64)), (429, Some(1_000)));
    }
}
