//! Failures of `/api` as answers: problem details, RFC 9457.
//!
//! Every problem is of type `about:blank`: the status has the kind of failure, `detail` what to do about it, and
//! `errors` which fields are wrong.

use std::time::Duration;

use axum::Json;
use axum::response::{IntoResponse, Response};
use http::header::{CONNECTION, CONTENT_TYPE, HeaderName, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderValue, StatusCode};
use serde::Serialize;

use super::openai::ApiError;
use crate::auth::sessions::SessionError;
use crate::bound::Exceeded;
use crate::events::SubscribeError;
use crate::petstore::CommandError;
use crate::store::StoreError;

/// `retry-after` while the database can't be written: the operator has to free the disk.
const UNWRITABLE_RETRY_AFTER: Duration = Duration::from_secs(10);

/// The body of a failure.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Problem {
    #[serde(rename = "type")]
    kind: &'static str,
    title: &'static str,
    #[serde(serialize_with = "as_number")]
    status: StatusCode,
    detail: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    errors: Vec<FieldError>,
    #[serde(skip)]
    retry_after: Option<Duration>,
    #[serde(skip)]
    accepted: Option<&'static Accepted>,
    /// The request was not read to its end, so the connection can't go on.
    #[serde(skip)]
    close: bool,
}

/// The media types that a method takes.
#[derive(Debug, PartialEq, Eq)]
pub struct Accepted {
    /// The header of a 415 that lists them, in lower case.
    pub header: &'static str,
    /// Their names, separated by a comma and a blank.
    pub types: &'static str,
}

/// An error of one field or parameter of a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FieldError {
    /// Its name, as the caller wrote it.
    pub field: String,
    /// The expected value.
    pub detail: String,
    /// Its place in the request's body, as a JSON pointer in a URI fragment: `#/price`. None for parameters and
    /// headers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pointer: Option<String>,
}

impl FieldError {
    /// A parameter or header; `detail` continues the sentence after its name: `must be …`.
    #[must_use]
    pub fn parameter(name: impl Into<String>, detail: impl Into<String>) -> Self {
        Self { field: name.into(), detail: detail.into(), pointer: None }
    }

    /// A member of the body's object; `detail` continues the sentence after its name.
    #[must_use]
    pub fn member(name: impl Into<String>, detail: impl Into<String>) -> Self {
        let name = name.into();
        let pointer = format!("#/{}", name.replace('~', "~0").replace('/', "~1"));
        Self { field: name, detail: detail.into(), pointer: Some(pointer) }
    }
}

impl Problem {
    /// Most errors in one answer; further ones are left out.
    pub const MAX_ERRORS: usize = 20;

    fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        Self {
            kind: "about:blank",
            title: status.canonical_reason().unwrap_or("Error"),
            status,
            detail: detail.into(),
            errors: Vec::new(),
            retry_after: None,
            accepted: None,
            close: false,
        }
    }

    /// 400: fields or parameters that can't be understood, the first [`Self::MAX_ERRORS`] of them.
    #[must_use]
    pub fn invalid(mut errors: Vec<FieldError>) -> Self {
        errors.truncate(Self::MAX_ERRORS);
        let described: Vec<_> = errors.iter().map(|error| format!("`{}` {}", error.field, error.detail)).collect();
        Self { errors, ..Self::new(StatusCode::BAD_REQUEST, described.join("; ")) }
    }

    /// 400: the one field or parameter `field`; `detail` continues the sentence after its name: `must be …`.
    #[must_use]
    pub fn invalid_parameter(field: impl Into<String>, detail: impl Into<String>) -> Self {
        Self::invalid(vec![FieldError::parameter(field, detail)])
    }

    /// 400: a body that can't be parsed; `detail` is a sentence.
    #[must_use]
    pub fn unreadable(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, detail)
    }

    /// 401, with a challenge for a bearer key.
    #[must_use]
    pub fn unauthorized(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, detail)
    }

    /// 403.
    #[must_use]
    pub fn forbidden(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, detail)
    }

    /// A request that the HTTP engine refuses.
    pub(super) fn of_engine(status: StatusCode, detail: &str) -> Self {
        Self::new(status, detail)
    }

    /// 404.
    #[must_use]
    pub fn not_found(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, detail)
    }

    /// 405; the router adds the `Allow` header.
    #[must_use]
    pub fn method_not_allowed() -> Self {
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "This resource has no such method; `Allow` lists those it has.")
    }

    /// 415: a body of another type; a header lists the `accepted` ones.
    #[must_use]
    pub fn unsupported_type(accepted: &'static Accepted) -> Self {
        let detail = format!("The Content-Type must be one of these: {}.", accepted.types);
        Self { accepted: Some(accepted), ..Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, detail) }
    }

    /// 429; `retry_after` is left out when waiting would not help.
    #[must_use]
    pub fn too_many_requests(detail: impl Into<String>, retry_after: Option<Duration>) -> Self {
        Self { retry_after, ..Self::new(StatusCode::TOO_MANY_REQUESTS, detail) }
    }

    /// 500: nothing that the caller could mend, and nothing that the caller should read.
    #[must_use]
    pub fn internal() -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "The server failed to answer; its log says why.")
    }

    /// 503: the same request may succeed after a while.
    #[must_use]
    pub fn unavailable(detail: impl Into<String>, retry_after: Option<Duration>) -> Self {
        Self { retry_after, ..Self::new(StatusCode::SERVICE_UNAVAILABLE, detail) }
    }

    /// The status of the answer.
    #[must_use]
    pub const fn status(&self) -> StatusCode {
        self.status
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let (status, retry_after, accepted, close) = (self.status, self.retry_after, self.accepted, self.close);
        let mut response = (status, [(CONTENT_TYPE, "application/problem+json")], Json(self)).into_response();
        if let Some(wait) = retry_after {
            // Whole seconds, rounded up: a client that returned after 1 s of 1.2 s would be refused again.
            let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        if status == StatusCode::UNAUTHORIZED {
            response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if let Some(Accepted { header, types }) = accepted {
            response.headers_mut().insert(HeaderName::from_static(header), HeaderValue::from_static(types));
        }
        if close {
            response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }
}

/// Failures of reading a request's body: 413, 408, 400, 429, 503.
impl From<ApiError> for Problem {
    fn from(error: ApiError) -> Self {
        let busy = matches!(error.status(), StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS);
        let retry_after = busy.then_some(Duration::from_secs(1));
        Self { retry_after, close: !busy, ..Self::new(error.status(), error.message()) }
    }
}

impl From<CommandError> for Problem {
    fn from(refusal: CommandError) -> Self {
        let detail = refusal.to_string();
        match refusal {
            CommandError::NoPet(_) | CommandError::NoOrder(_) => Self::not_found(detail),
            CommandError::VersionMismatch { .. } => Self::new(StatusCode::PRECONDITION_FAILED, detail),
            CommandError::OpenOrder(_)
            | CommandError::NotAvailable(_)
            | CommandError::InvalidTransition { .. }
            | CommandError::TooManyPets(_) => Self::new(StatusCode::CONFLICT, detail),
            CommandError::TooManyDecimals { .. } => Self::invalid(vec![FieldError::member("price", detail)]),
            CommandError::KeyReused => Self::new(StatusCode::UNPROCESSABLE_ENTITY, detail),
            CommandError::Store(error) => error.into(),
        }
    }
}

/// 503 while the database is too busy, can't be reached or can't be written, 500 otherwise. The error itself is logged here, and only
/// here.
impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        if error.is_busy() {
            tracing::warn!(%error, "the database is busy");
            return Self::unavailable("The database is busy; try again.", Some(Duration::from_secs(1)));
        }
        if error.is_unreachable() {
            tracing::warn!(%error, "the database can't be reached");
            let detail = if matches!(error, StoreError::CommitUnknown) {
                "The connection to the database was lost while it saved the change, which may have been made. Read the \
                 resource again, or repeat the request with the same Idempotency-Key."
            } else {
                "The database can't be reached at present; try again."
            };
            return Self::unavailable(detail, Some(Duration::from_secs(1)));
        }
        tracing::error!(%error, "the database failed");
        if error.is_unwritable() {
            return Self::unavailable(
                "The database can't be written at present; try again later.",
                Some(UNWRITABLE_RETRY_AFTER),
            );
        }
        Self::internal()
    }
}

/// 503 if there are too many tickets, 429 if the key has too many, 500 otherwise.
impl From<SessionError> for Problem {
    fn from(error: SessionError) -> Self {
        match error {
            SessionError::TooMany(Exceeded::Total(_)) => {
                Self::unavailable("Too many tickets wait to be used; try again.", Some(Duration::from_secs(5)))
            }
            SessionError::TooMany(Exceeded::Share(most)) => {
                let detail =
                    format!("{most} tickets of your API key wait to be used, as many as one key may have; try again.");
                Self::too_many_requests(detail, Some(Duration::from_secs(5)))
            }
            SessionError::Store(error) => Self::from(error),
            SessionError::Random(error) => {
                tracing::error!(%error, "no random bytes");
                Self::internal()
            }
        }
    }
}

/// 503 if there are too many subscribers, 429 if the key has too many; otherwise as failures of the database.
impl From<SubscribeError> for Problem {
    fn from(error: SubscribeError) -> Self {
        match error {
            SubscribeError::Full(Exceeded::Total(_)) => {
                let detail = "There are as many subscribers as this server takes; try again.";
                Self::unavailable(detail, Some(Duration::from_secs(30)))
            }
            SubscribeError::Full(Exceeded::Share(most)) => {
                let detail = format!("Your API key has {most} subscribers, as many as one key may have; try again.");
                Self::too_many_requests(detail, Some(Duration::from_secs(30)))
            }
            SubscribeError::Store(error) => Self::from(error),
        }
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
fn as_number<S: serde::Serializer>(status: &StatusCode, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u16(status.as_u16())
}

#[cfg(test)]
mod tests;
