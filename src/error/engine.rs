//! Answers to requests that the HTTP server refuses before routing, in the format of the surface if the target can be
//! read.

use axum::response::{IntoResponse, Response};
use http::StatusCode;

use super::openai::ApiError;
use super::problem::Problem;
use super::surface::Surface;
use crate::http::server::EngineRefusal;

/// The whole answer: problem details for targets below `/api`, OpenAI's envelope for all others.
#[must_use]
pub fn refused_by_engine(refused: &EngineRefusal<'_>) -> Response {
    let (message, code) = describe(refused.status);
    match Surface::of_path(path(refused.target)) {
        Surface::Problem => Problem::of_engine(refused.status, message).into_response(),
        Surface::OpenAi => ApiError::of_engine(refused.status, code, message).into_response(),
        Surface::Anthropic => ApiError::of_engine(refused.status, code, message).into_anthropic(),
    }
}

fn describe(status: StatusCode) -> (&'static str, Option<&'static str>) {
    match status {
        StatusCode::REQUEST_TIMEOUT => {
            ("The request line and headers took too long to arrive.", Some("request_head_timeout"))
        }
        StatusCode::URI_TOO_LONG => ("The request target is too long.", Some("request_target_too_long")),
        StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE => {
            ("The request line and headers are too long, or there are too many.", Some("request_headers_too_large"))
        }
        StatusCode::NOT_IMPLEMENTED => {
            ("The request's transfer coding is not supported; send it chunked or with a length.", Some("not_supported"))
        }
        StatusCode::HTTP_VERSION_NOT_SUPPORTED => {
            ("This version of HTTP is not supported; use HTTP/1.1.", Some("http_version_not_supported"))
        }
        _ => ("The request is not valid HTTP/1.1.", None),
    }
}

/// The path of a target, which may also be a whole URL (RFC 9112, section 3.2.2).
fn path(target: &str) -> &str {
    let path = match target.split_once("://") {
        Some((_, rest)) => rest.find('/').map_or("", |at| &rest[at..]),
        None => target,
    };
    path.split('?').next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_target_decides_the_surface() {
        for target in ["/api", "/api/pets", "/api?x", "http://localhost:4000/api/pets"] {
            assert_eq!(Surface::of_path(path(target)), Surface::Problem, "{target}");
        }
        for target in ["/v1/messages", "/v1/messages/count_tokens?beta=true"] {
            assert_eq!(Surface::of_path(path(target)), Surface::Anthropic, "{target}");
        }
        for target in ["", "/", "/v1/models", "/v1/messages2", "/apis", "http://api/v1", "/v1/api/"] {
            assert_eq!(Surface::of_path(path(target)), Surface::OpenAi, "{target}");
        }
    }
}
