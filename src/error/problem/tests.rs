//! Problems as they look on the wire.

use http_body_util::BodyExt;
use serde_json::{Value, json};

use super::*;
use crate::store::Store;
use crate::wire::resource::order::OrderStatus;
use crate::wire::resource::pet::Status;

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
fn retry_after_is_rounded_up_to_whole_seconds() {
    for (wait, expected) in [(0, "0"), (1, "1"), (1_000, "1"), (1_001, "2")] {
        let response = Problem::too_many_requests("x", Some(Duration::from_millis(wait))).into_response();
        assert_eq!(response.headers()[RETRY_AFTER], expected);
    }
}

#[test]
fn a_hostile_list_of_errors_is_cut() {
    let error = FieldError::parameter("x", "is unknown");
    assert_eq!(Problem::invalid(vec![error; 1_000]).errors.len(), Problem::MAX_ERRORS);
}

#[tokio::test]
async fn database_errors_are_not_shown_to_clients() {
    let corrupt = Problem::from(StoreError::Corrupt("column secret".to_owned()));
    assert_eq!(corrupt, Problem::internal());
    let store = Store::open("sqlite::memory:").await.unwrap();
    let error = store.execute_raw("SELECT secret FROM nowhere").await.unwrap_err();
    assert_eq!(Problem::from(error), Problem::internal());
}

#[tokio::test]
async fn a_busy_database_is_worth_another_attempt() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}", folder.path().join("busy.db").display());
    let (one, two) = (Store::open(&url).await.unwrap(), Store::open(&url).await.unwrap());
    let _held = one.begin_write().await.unwrap();
    two.execute_raw("PRAGMA busy_timeout = 0").await.unwrap();
    let error = two.execute_raw("DELETE FROM pets").await.unwrap_err();
    assert_eq!(Problem::from(error).status(), StatusCode::SERVICE_UNAVAILABLE);
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
        (CommandError::NoPet(id), 404, id.to_string()),
        (CommandError::NoOrder(id), 404, id.to_string()),
        (CommandError::VersionMismatch { current: 7 }, 412, "version 7".to_owned()),
        (CommandError::OpenOrder(id), 409, id.to_string()),
        (CommandError::NotAvailable(Status::Adopted), 409, "ADOPTED".to_owned()),
        (
            CommandError::InvalidTransition { from: OrderStatus::Placed, to: OrderStatus::Shipped },
            409,
            "PLACED".to_owned(),
        ),
        (
            CommandError::InvalidTransition { from: OrderStatus::Placed, to: OrderStatus::Shipped },
            409,
            "SHIPPED".to_owned(),
        ),
        (
            CommandError::TooManyDecimals { currency: "JPY".to_owned(), max: 0 },
            400,
            "`price` must have no decimals".to_owned(),
        ),
        (CommandError::KeyReused, 422, "new key".to_owned()),
        (CommandError::Store(StoreError::Corrupt("secret".to_owned())), 500, "log".to_owned()),
    ] {
        let response = Problem::from(refusal).into_response();
        assert_eq!(response.status(), status);
        let detail = body(response).await["detail"].clone();
        assert!(detail.as_str().unwrap().contains(&told), "{detail}");
    }
}

#[tokio::test]
async fn a_body_that_is_too_large_closes_the_connection() {
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
fn a_415_lists_the_accepted_types() {
    static TYPES: Accepted = Accepted { header: "accept-patch", types: "a/b, c/d" };
    let response = Problem::unsupported_type(&TYPES).into_response();
    assert_eq!(
        (response.status().as_u16(), &response.headers()["accept-patch"]),
        (415, &HeaderValue::from_static("a/b, c/d"))
    );
}
