//! Failures of authentication, authorization, the check of origins and rate limits.

use std::time::Duration;

use http::StatusCode;

use super::{ApiError, whole_ms};
use crate::limiter::{Cause, Limit, RateLimited};
use crate::store::StoreError;

impl ApiError {
    /// No header with a key.
    #[must_use]
    pub fn no_key() -> Self {
        Self::bad(
            StatusCode::UNAUTHORIZED,
            None,
            "You didn't provide an API key. You need to provide your API key in an Authorization header using Bearer \
             auth (i.e. Authorization: Bearer YOUR_KEY).",
        )
    }

    /// A header for the key without one in it.
    #[must_use]
    pub fn malformed_key() -> Self {
        let code = Some("invalid_api_key");
        let message = "The Authorization header must read 'Bearer YOUR_KEY'; x-api-key and api-key hold the key alone.";
        Self::bad(StatusCode::UNAUTHORIZED, code, message)
    }

    /// Several keys: a header more than once, or different keys in several headers.
    #[must_use]
    pub fn several_keys() -> Self {
        let message = "The request has more than one API key (Authorization, x-api-key, api-key); send one of them.";
        Self::bad(StatusCode::BAD_REQUEST, None, message)
    }

    /// The key is not known, and the database, which may have it, can't be read.
    #[must_use]
    pub fn keys_unread() -> Self {
        let message = "Your API key could not be checked, as the database of keys can't be read. Please try again.";
        let code = Some("keys_unavailable");
        let mut error = Self::new(StatusCode::SERVICE_UNAVAILABLE, "service_unavailable_error", code, message);
        error.retry_after = Some(1_000);
        error
    }

    /// The database that the local model answers from is busy or can't be reached.
    pub(super) fn database_away(error: &StoreError) -> Self {
        tracing::warn!(%error, "the local model can't read the database");
        let message = "The database can't be read at present. Please try again.";
        let code = Some("database_unavailable");
        let mut answer = Self::new(StatusCode::SERVICE_UNAVAILABLE, "service_unavailable_error", code, message);
        answer.retry_after = Some(1_000);
        answer
    }

    /// Too many failures from one address to delay the answer to another.
    #[must_use]
    pub fn too_many_failures(wait: Duration) -> Self {
        let message = "Too many requests without a valid API key came from your address. Please try again later.";
        let mut error = Self::new(StatusCode::TOO_MANY_REQUESTS, "requests", Some("rate_limit_exceeded"), message);
        error.retry_after = Some(u64::try_from(wait.as_millis()).unwrap_or(u64::MAX).max(1_000));
        error
    }

    /// A key that is unknown, expired or revoked; `masked` never holds enough of it to be used.
    #[must_use]
    pub fn wrong_key(masked: &str) -> Self {
        let code = Some("invalid_api_key");
        Self::bad(StatusCode::UNAUTHORIZED, code, format!("Incorrect API key provided: {masked}."))
    }

    /// The key lacks the scope that the route requires.
    #[must_use]
    pub fn no_scope(scope: &str) -> Self {
        let message = format!("Your API key has not the scope '{scope}' that this endpoint needs.");
        Self::bad(StatusCode::FORBIDDEN, Some("insufficient_permissions"), message)
    }

    /// A request for a foreign host name, which any site can resolve to this machine (DNS rebinding).
    #[must_use]
    pub fn foreign_host() -> Self {
        let message = "This server asks for no keys, so it answers requests for localhost or an IP address only. List \
                       the origin in cors.allow_origins, or ask for keys (auth: keys).";
        Self::bad(StatusCode::FORBIDDEN, Some("host_not_allowed"), message)
    }

    /// A request of a page of another origin.
    #[must_use]
    pub fn foreign_origin() -> Self {
        let message = "This server asks for no keys, so it takes no requests from pages of other origins. List the \
                       origin in cors.allow_origins, or ask for keys (auth: keys).";
        Self::bad(StatusCode::FORBIDDEN, Some("origin_not_allowed"), message)
    }
}

impl From<&RateLimited> for ApiError {
    fn from(limited: &RateLimited) -> Self {
        if limited.cause == Cause::Unavailable {
            let code = Some("rate_limits_unavailable");
            let text = limited.to_string();
            let mut error = Self::new(StatusCode::SERVICE_UNAVAILABLE, "service_unavailable_error", code, text);
            error.retry_after = limited.retry_after.map(whole_ms);
            return error;
        }
        let kind = if limited.what == Limit::Tokens { "tokens" } else { "requests" };
        let mut error =
            Self::new(StatusCode::TOO_MANY_REQUESTS, kind, Some("rate_limit_exceeded"), limited.to_string());
        match limited.retry_after {
            Some(wait) => error.retry_after = Some(whole_ms(wait)),
            // A stream may end at any time, so a retry can succeed; a request over the whole limit never fits.
            None => error.should_retry = Some(false),
        }
        error
    }
}
