//! Authentication of browsers: `POST /api/events/tickets` and `/sessions` with a key, `DELETE /api/events/sessions`
//! with the cookie.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::header::{CACHE_CONTROL, SET_COOKIE};
use http::{HeaderMap, HeaderValue, StatusCode};
use serde_json::json;

use super::service::Events;
use crate::auth::browser_credential;
use crate::auth::context::AuthContext;
use crate::auth::sessions::TICKET_LIFE;
use crate::error::problem::Problem;

const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");

/// A ticket for one connection: `{"ticket","expires_in"}`, the latter in seconds.
pub(in crate::api) async fn ticket(
    State(events): State<Events>,
    State(auth): State<AuthContext>,
) -> Result<Response, Problem> {
    let ticket = events.browsers.sessions.issue(&auth.principal().id, auth.key()).await?;
    let body = json!({ "ticket": ticket, "expires_in": TICKET_LIFE.as_secs() });
    Ok(([(CACHE_CONTROL, NO_STORE)], Json(body)).into_response())
}

/// Opens a session, and sets its cookie.
pub(in crate::api) async fn sign_in(
    State(events): State<Events>,
    State(auth): State<AuthContext>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let token = events.browsers.sessions.open(&auth.principal().id, auth.key()).await?;
    Ok(with_cookie(events.browsers.cookie(&token, &headers)))
}

/// Ends the session of the cookie, if there is one, and removes the cookie.
pub(in crate::api) async fn sign_out(State(events): State<Events>, headers: HeaderMap) -> Result<Response, Problem> {
    let sessions = &events.browsers.sessions;
    if let Some(token) = browser_credential::token(&headers) {
        // Looked up before it is deleted: the route is open, and only writes make other requests wait.
        if sessions.find(token).await?.is_some() {
            sessions.close(token).await?;
        }
    }
    Ok(with_cookie(events.browsers.no_cookie(&headers)))
}

fn with_cookie(cookie: Option<HeaderValue>) -> Response {
    let mut response = StatusCode::NO_CONTENT.into_response();
    response.headers_mut().insert(CACHE_CONTROL, NO_STORE);
    if let Some(cookie) = cookie {
        response.headers_mut().insert(SET_COOKIE, cookie);
    }
    response
}
