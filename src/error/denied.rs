//! Requests that the layers refuse, in the format of the route's surface.

use std::time::Duration;

use axum::response::{IntoResponse, Response};

use super::openai::{ApiError, FailureLabel};
use super::problem::Problem;
use super::surface::Surface;
use crate::limiter::{Cause, RateLimited};

/// Why a request is refused before it reaches its handler.
#[derive(Clone, Debug)]
pub enum Denied {
    /// It has no key.
    NoKey,
    /// A header for the key holds none.
    Malformed,
    /// It has several keys, which is ambiguous.
    SeveralKeys,
    /// Too many requests from its address had no valid key; how long to stay away.
    TooManyFailures(Duration),
    /// Its key is unknown, expired or revoked; the key, masked.
    WrongKey(String),
    /// Its key is not known, and the database of keys can't be read.
    KeysUnread,
    /// Its key lacks this scope.
    NoScope(&'static str),
    /// It is for a host that is not certainly this machine.
    ForeignHost,
    /// It comes from a page of another origin.
    ForeignOrigin,
    /// It is over a limit.
    RateLimited(RateLimited),
}

impl Denied {
    /// The answer.
    #[must_use]
    pub fn to_response(&self, surface: Surface) -> Response {
        let api = match self {
            Self::NoKey => ApiError::no_key(),
            Self::Malformed => ApiError::malformed_key(),
            Self::SeveralKeys => ApiError::several_keys(),
            Self::TooManyFailures(wait) => ApiError::too_many_failures(*wait),
            Self::WrongKey(masked) => ApiError::wrong_key(masked),
            Self::KeysUnread => ApiError::keys_unread(),
            Self::NoScope(scope) => ApiError::no_scope(scope),
            Self::ForeignHost => ApiError::foreign_host(),
            Self::ForeignOrigin => ApiError::foreign_origin(),
            Self::RateLimited(limited) => ApiError::from(limited),
        };
        match surface {
            Surface::OpenAi => return api.into_response(),
            Surface::Anthropic => return api.into_anthropic(),
            Surface::Problem => {}
        }
        let label = FailureLabel(api.reason().to_owned());
        let detail = api.message().to_owned();
        let problem = match self {
            Self::NoKey | Self::Malformed | Self::WrongKey(_) => Problem::unauthorized(detail),
            Self::KeysUnread => Problem::unavailable(detail, Some(Duration::from_secs(1))),
            Self::SeveralKeys => Problem::unreadable(detail),
            Self::TooManyFailures(wait) => Problem::too_many_requests(detail, Some(*wait)),
            Self::NoScope(_) | Self::ForeignHost | Self::ForeignOrigin => Problem::forbidden(detail),
            Self::RateLimited(limited) if limited.cause == Cause::Unavailable => {
                Problem::unavailable(detail, limited.retry_after)
            }
            Self::RateLimited(limited) => Problem::too_many_requests(detail, limited.retry_after),
        };
        let mut response = problem.into_response();
        response.extensions_mut().insert(label);
        response
    }
}
