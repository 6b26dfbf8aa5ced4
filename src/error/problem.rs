//! Failures of `/api` as answers: problem details, RFC 9457.
//!
//! Every problem is of type `about:blank`: the status says what it is, `detail` what to do about it, and
//! `errors` which fields are meant.

use std::time::Duration;

use axum::Json;
use axum::response::{IntoResponse, Response};
use http::header::{CONNECTION, CONTENT_TYPE, HeaderName, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderValue, StatusCode};
use serde::Serialize;

use super::openai::ApiError;
use crate::hub::Refused;
use crate::petstore::refusal::Refusal;
use crate::sessions::SessionError;
use crate::store::StoreError;

/// A failed request, in the shape of its JSON.
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

/// What is wrong with one field or parameter of a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FieldError {
    /// Its name, as the caller wrote it.
    pub field: String,
    /// What was expected.
    pub detail: String,
    /// Where it stands in the request's body, as a JSON pointer in a URI fragment: `#/price`. None for what stands
    /// elsewhere.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pointer: Option<String>,
}

impl FieldError {
    /// A parameter or header; `detail` goes on from its name: `must be …`.
    #[must_use]
    pub fn parameter(name: impl Into<String>, detail: impl Into<String>) -> Self {
        Self { field: name.into(), detail: detail.into(), pointer: None }
    }

    /// A member of the body's object; `detail` goes on from its name.
    #[must_use]
    pub fn member(name: impl Into<String>, detail: impl Into<String>) -> Self {
        let name = name.into();
        let pointer = format!("#/{}", name.replace('~', "~0").replace('/', "~1"));
        Self { field: name, detail: detail.into(), pointer: Some(pointer) }
    }
}

impl Problem {
    /// Longest list of errors in one answer; what a hostile request has wrong beyond that is not told.
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
        let told: Vec<_> = errors.iter().map(|error| format!("`{}` {}", error.field, error.detail)).collect();
        Self { errors, ..Self::new(StatusCode::BAD_REQUEST, told.join("; ")) }
    }

    /// 400: the one field or parameter `field`; `detail` goes on from its name: `must be …`.
    #[must_use]
    pub fn invalid_parameter(field: impl Into<String>, detail: impl Into<String>) -> Self {
        Self::invalid(vec![FieldError::parameter(field, detail)])
    }

    /// 400: a body that is not what it says it is; `detail` is a sentence.
    #[must_use]
    pub fn unreadable(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, detail)
    }

    /// 401, with the challenge that asks for a bearer key.
    #[must_use]
    pub fn unauthorized(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, detail)
    }

    /// 403: the key is good, but not for this.
    #[must_use]
    pub fn forbidden(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, detail)
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

    /// 415: a body of another type; a header tells which are `accepted`.
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
            // Whole seconds, rounded up: who comes back at 1 s when 1.2 s was meant is refused again.
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

/// What befell the body of a request: 413, 408, 400, 503.
impl From<ApiError> for Problem {
    fn from(error: ApiError) -> Self {
        let busy = error.status() == StatusCode::SERVICE_UNAVAILABLE;
        let retry_after = busy.then_some(Duration::from_secs(1));
        Self { retry_after, close: !busy, ..Self::new(error.status(), error.message()) }
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        let detail = refusal.to_string();
        match refusal {
            Refusal::NoPet(_) | Refusal::NoOrder(_) => Self::not_found(detail),
            Refusal::Version { .. } => Self::new(StatusCode::PRECONDITION_FAILED, detail),
            Refusal::OpenOrder(_) | Refusal::NotAvailable(_) | Refusal::Move { .. } => {
                Self::new(StatusCode::CONFLICT, detail)
            }
            Refusal::Decimals { .. } => Self::invalid(vec![FieldError::member("price", detail)]),
            Refusal::KeyReused => Self::new(StatusCode::UNPROCESSABLE_ENTITY, detail),
            Refusal::Store(error) => error.into(),
        }
    }
}

/// 503 when the database was too busy, 500 for all else. The error itself goes to the log, here and only here.
impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        if is_busy(&error) {
            tracing::warn!(%error, "the database is busy");
            return Self::unavailable("The database is busy; try again.", Some(Duration::from_secs(1)));
        }
        tracing::error!(%error, "the database failed");
        Self::internal()
    }
}

/// 503 with a wait where there is no room, 500 for all else.
impl From<SessionError> for Problem {
    fn from(error: SessionError) -> Self {
        match error {
            SessionError::TooMany => {
                Self::unavailable("Too many tickets wait to be used; try again.", Some(Duration::from_secs(5)))
            }
            SessionError::Store(error) => Self::from(error),
            SessionError::Random(error) => {
                tracing::error!(%error, "no random bytes");
                Self::internal()
            }
        }
    }
}

/// 503 when there are as many subscribers as there may be; as the database's own failures otherwise.
impl From<Refused> for Problem {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Full => {
                let detail = "There are as many subscribers as this server takes; try again.";
                Self::unavailable(detail, Some(Duration::from_secs(30)))
            }
            Refused::Store(error) => Self::from(error),
        }
    }
}

/// Whether the database had no time within its patience, so that another attempt may be luckier.
fn is_busy(error: &StoreError) -> bool {
    match error {
        StoreError::Database(sqlx::Error::PoolTimedOut) => true,
        // SQLITE_BUSY is 5; its extended codes keep it in the low byte.
        StoreError::Database(sqlx::Error::Database(error)) => {
            error.code().and_then(|code| code.parse::<u32>().ok()).is_some_and(|code| code & 0xff == 5)
        }
        _ => false,
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
fn as_number<S: serde::Serializer>(status: &StatusCode, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u16(status.as_u16())
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;
    use serde_json::{Value, json};

    use super::*;
    use crate::petstore::order::OrderStatus;
    use crate::petstore::pet::Status;
    use crate::store::Store;

    async fn body(response: Response) -> Value {
        assert_eq!(response.headers()[CONTENT_TYPE], "application/problem+json");
        serde_json::from_slice(&response.into_body().collect().await.unwrap().to_bytes()).unwrap()
    }

    #[tokio::test]
    async fn a_problem_is_problem_json_that_names_the_field() {
        let response = Problem::invalid_parameter("limit", "must be 1 to 100").into_response();
        assert_eq!(response.status(), StatusCode::BAD_REQUEST);
        let expected = json!({
            "type": "about:blank", "title": "Bad Request", "status": 400, "detail": "`limit` must be 1 to 100",
            "errors": [{"field": "limit", "detail": "must be 1 to 100"}],
        });
        assert_eq!(body(response).await, expected);
    }

    #[tokio::test]
    async fn every_kind_has_its_status_and_no_empty_list() {
        for (problem, status, title) in [
            (Problem::unauthorized("x"), 401, "Unauthorized"),
            (Problem::forbidden("x"), 403, "Forbidden"),
            (Problem::not_found("x"), 404, "Not Found"),
            (Problem::method_not_allowed(), 405, "Method Not Allowed"),
            (Problem::too_many_requests("x", None), 429, "Too Many Requests"),
            (Problem::internal(), 500, "Internal Server Error"),
            (Problem::unavailable("x", None), 503, "Service Unavailable"),
        ] {
            let response = problem.into_response();
            assert_eq!(response.status(), status);
            assert_eq!(response.headers().contains_key(WWW_AUTHENTICATE), status == 401);
            assert!(!response.headers().contains_key(RETRY_AFTER));
            let body = body(response).await;
            assert_eq!((&body["status"], &body["title"]), (&json!(status), &json!(title)));
            assert!(body.get("errors").is_none());
        }
    }

    #[test]
    fn a_wait_is_told_in_whole_seconds_and_never_too_short() {
        for (wait, told) in [(0, "0"), (1, "1"), (1_000, "1"), (1_001, "2")] {
            let response = Problem::too_many_requests("x", Some(Duration::from_millis(wait))).into_response();
            assert_eq!(response.headers()[RETRY_AFTER], told);
        }
    }

    #[test]
    fn a_hostile_list_of_errors_is_cut() {
        let error = FieldError::parameter("x", "is unknown");
        assert_eq!(Problem::invalid(vec![error; 1_000]).errors.len(), Problem::MAX_ERRORS);
    }

    #[tokio::test]
    async fn what_the_database_says_is_not_told() {
        let corrupt = Problem::from(StoreError::Corrupt("column secret".to_owned()));
        assert_eq!(corrupt, Problem::internal());
        let store = Store::open("sqlite::memory:").await.unwrap();
        let error = sqlx::query("SELECT secret FROM nowhere").execute(store.writer()).await.unwrap_err();
        assert_eq!(Problem::from(StoreError::from(error)), Problem::internal());
    }

    #[tokio::test]
    async fn a_busy_database_is_worth_another_attempt() {
        let problem = Problem::from(StoreError::Database(sqlx::Error::PoolTimedOut));
        assert_eq!(problem.status(), StatusCode::SERVICE_UNAVAILABLE);

        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}", folder.path().join("busy.db").display());
        let (one, two) = (Store::open(&url).await.unwrap(), Store::open(&url).await.unwrap());
        let _held = one.writer().begin_with("BEGIN IMMEDIATE").await.unwrap();
        let mut impatient = two.writer().acquire().await.unwrap();
        sqlx::query("PRAGMA busy_timeout = 0").execute(&mut *impatient).await.unwrap();
        let error = sqlx::query("DELETE FROM pets").execute(&mut *impatient).await.unwrap_err();
        assert_eq!(Problem::from(StoreError::from(error)).status(), StatusCode::SERVICE_UNAVAILABLE);
    }

    #[tokio::test]
    async fn a_member_of_a_body_is_pointed_at() {
        let error = FieldError::member("a/b~c", "is unknown");
        let body = body(Problem::invalid(vec![error]).into_response()).await;
        assert_eq!(body["errors"], json!([{"field": "a/b~c", "detail": "is unknown", "pointer": "#/a~1b~0c"}]));
    }

    #[tokio::test]
    async fn every_refusal_has_its_status() {
        let id = uuid::Uuid::now_v7();
        for (refusal, status, told) in [
            (Refusal::NoPet(id), 404, id.to_string()),
            (Refusal::NoOrder(id), 404, id.to_string()),
            (Refusal::Version { current: 7 }, 412, "version 7".to_owned()),
            (Refusal::OpenOrder(id), 409, id.to_string()),
            (Refusal::NotAvailable(Status::Adopted), 409, "ADOPTED".to_owned()),
            (Refusal::Move { from: OrderStatus::Placed, to: OrderStatus::Shipped }, 409, "PLACED".to_owned()),
            (Refusal::Move { from: OrderStatus::Placed, to: OrderStatus::Shipped }, 409, "SHIPPED".to_owned()),
            (
                Refusal::Decimals { currency: "JPY".to_owned(), most: 0 },
                400,
                "`price` must have no decimals".to_owned(),
            ),
            (Refusal::KeyReused, 422, "new key".to_owned()),
            (Refusal::Store(StoreError::Corrupt("secret".to_owned())), 500, "log".to_owned()),
        ] {
            let response = Problem::from(refusal).into_response();
            assert_eq!(response.status(), status);
            let detail = body(response).await["detail"].clone();
            assert!(detail.as_str().unwrap().contains(&told), "{detail}");
        }
    }

    #[tokio::test]
    async fn what_befalls_a_body_is_told_and_closes_the_connection() {
        let response = Problem::from(ApiError::body_too_large(10)).into_response();
        assert_eq!(
            (response.status().as_u16(), &response.headers()[CONNECTION]),
            (413, &HeaderValue::from_static("close"))
        );
        let response = Problem::from(ApiError::overloaded()).into_response();
        assert_eq!((response.status().as_u16(), &response.headers()[RETRY_AFTER]), (503, &HeaderValue::from(1)));
        assert!(!response.headers().contains_key(CONNECTION));
    }

    #[test]
    fn a_wrong_type_is_told_the_right_ones() {
        static TYPES: Accepted = Accepted { header: "accept-patch", types: "a/b, c/d" };
        let response = Problem::unsupported_type(&TYPES).into_response();
        assert_eq!(
            (response.status().as_u16(), &response.headers()["accept-patch"]),
            (415, &HeaderValue::from_static("a/b, c/d"))
        );
    }
}
