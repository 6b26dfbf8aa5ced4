//! Failures under `/v1/messages`, in Anthropic's envelope: `{"type":"error","error":{"type","message"}}`. The request's id
//! is in the header `request-id`, which the SDKs read.
//!
//! Source: Anthropic's API reference, "Errors". <https://platform.claude.com/docs/en/api/errors>

use axum::response::Response;
use http::StatusCode;
use serde::Serialize;

use super::openai::ApiError;

/// The status of a server that is overloaded, which Anthropic's API has instead of 503.
const OVERLOADED: u16 = 529;

#[derive(Serialize)]
struct AnthropicEnvelope<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    error: AnthropicError<'a>,
}

#[derive(Serialize)]
struct AnthropicError<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    message: &'a str,
}

impl ApiError {
    /// The kind of the failure in Anthropic's API.
    #[must_use]
    pub fn anthropic_kind(&self) -> &'static str {
        match self.anthropic_status().as_u16() {
            401 => "authentication_error",
            402 => "billing_error",
            403 => "permission_error",
            404 => "not_found_error",
            413 => "request_too_large",
            429 => "rate_limit_error",
            504 => "timeout_error",
            OVERLOADED => "overloaded_error",
            status if status >= 500 => "api_error",
            _ => "invalid_request_error",
        }
    }

    /// The answer in Anthropic's format.
    #[must_use]
    pub fn into_anthropic(self) -> Response {
        let error = AnthropicError { kind: self.anthropic_kind(), message: self.message() };
        // Serialising strings can't fail.
        let body = serde_json::to_vec(&AnthropicEnvelope { kind: "error", error }).unwrap_or_default();
        let status = self.anthropic_status();
        self.with_body(status, body)
    }

    fn anthropic_status(&self) -> StatusCode {
        let is_overload = self.status() == StatusCode::SERVICE_UNAVAILABLE && self.is_overload();
        StatusCode::from_u16(OVERLOADED).ok().filter(|_| is_overload).unwrap_or_else(|| self.status())
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;

    use super::*;

    #[tokio::test]
    async fn the_status_decides_the_kind() {
        for (error, status, kind) in [
            (ApiError::no_key(), 401, "authentication_error"),
            (ApiError::no_scope("chat"), 403, "permission_error"),
            (ApiError::no_model("m"), 404, "not_found_error"),
            (ApiError::encoded_body(), 415, "invalid_request_error"),
            (ApiError::body_too_large(1), 413, "request_too_large"),
            (ApiError::share_used_up("x"), 429, "rate_limit_error"),
            (ApiError::internal(), 500, "api_error"),
            (ApiError::overloaded(), 529, "overloaded_error"),
            (ApiError::shutting_down(), 503, "api_error"),
        ] {
            let message = error.message().to_owned();
            let response = error.into_anthropic();
            assert_eq!(response.status().as_u16(), status);
            let body = response.into_body().collect().await.unwrap().to_bytes();
            let body: serde_json::Value = serde_json::from_slice(&body).unwrap();
            assert_eq!(body, serde_json::json!({"type":"error","error":{"type":kind,"message":message}}));
        }
    }
}
