//! Failures as answers: the only place where status codes are chosen.
//!
//! Each surface has its own format: OpenAI's envelope under `/v1`, RFC 9457 problem details under `/api`.

mod denied;
mod engine;
mod openai;
pub mod problem;

pub use denied::{Denied, Surface};
pub use engine::refused_by_engine;
pub use openai::{ApiError, Reason};

use axum::response::{IntoResponse, Response};
use http::{Method, Uri};

/// Answers a method that a path does not have, for the fallbacks of routers.
pub async fn no_method(method: Method, uri: Uri) -> Response {
    ApiError::no_method(method.as_str(), uri.path()).into_response()
}
