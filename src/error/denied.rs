//! A request that is not let in, in the format of the surface that it knocked at.

use std::time::Duration;

use axum::response::{IntoResponse, Response};

use super::openai::{ApiError, Reason};
use super::problem::Problem;
use crate::limiter::RateLimited;

/// Which format a failure takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Surface {
    /// `/v1`: OpenAI's envelope.
    OpenAi,
    /// `/api`: RFC 9457.
    Problem,
}

/// Why a request is not let in.
#[derive(Clone, Debug)]
pub enum Denied {
    /// It shows no key.
    NoKey,
    /// Its `Authorization` header holds no bearer key.
    Malformed,
    /// It has more than one `Authorization` header, and nobody can tell which is meant.
    ManyKeys,
    /// Too many requests of its address showed no good key, so that this one can't even wait; how long to stay away.
    ManyFailures(Duration),
    /// Its key is unknown, expired or revoked; masked.
    WrongKey(String),
    /// Its key may not do this; the scope that is lacking.
    NoScope(&'static str),
    /// It is for a host that is not ours for certain.
    StrangeHost,
    /// It comes from a page of another origin.
    StrangeOrigin,
    /// It is over a limit.
    RateLimited(RateLimited),
}

impl Denied {
    /// The answer.
    #[must_use]
    pub fn answer(&self, surface: Surface) -> Response {
        let api = match self {
            Self::NoKey => ApiError::no_key(),
            Self::Malformed => ApiError::malformed_key(),
            Self::ManyKeys => ApiError::many_keys(),
            Self::ManyFailures(wait) => ApiError::many_failures(*wait),
            Self::WrongKey(masked) => ApiError::wrong_key(masked),
            Self::NoScope(scope) => ApiError::no_scope(scope),
            Self::StrangeHost => ApiError::strange_host(),
            Self::StrangeOrigin => ApiError::strange_origin(),
            Self::RateLimited(limited) => ApiError::from(limited),
        };
        if surface == Surface::OpenAi {
            return api.into_response();
        }
        let reason = Reason(api.reason().to_owned());
        let detail = api.message().to_owned();
        let problem = match self {
            Self::NoKey | Self::Malformed | Self::WrongKey(_) => Problem::unauthorized(detail),
            Self::ManyKeys => Problem::unreadable(detail),
            Self::ManyFailures(wait) => Problem::too_many_requests(detail, Some(*wait)),
            Self::NoScope(_) | Self::StrangeHost | Self::StrangeOrigin => Problem::forbidden(detail),
            Self::RateLimited(limited) => Problem::too_many_requests(detail, limited.retry_after),
        };
        let mut response = problem.into_response();
        response.extensions_mut().insert(reason);
        response
    }
}
