//! What a browser shows instead of a key: a ticket in the URL, or the cookie that a ticket was exchanged for.
//!
//! Only `authenticate` in front of the streams of events asks for either, and only on GET: nothing can be changed with
//! a cookie, so that no other site can make a browser change anything.

use std::sync::Arc;

use axum::extract::Request;
use http::header::COOKIE;
use http::{HeaderMap, HeaderValue, Method};
use url::form_urlencoded;

use crate::sessions::{SESSION_LIFE, Sessions};
use crate::store::StoreError;
use crate::wire::key::KeyHash;

/// Name of the cookie.
const NAME: &str = "petstream_events";
/// Name of the parameter.
const TICKET: &str = "ticket";

/// What is known of browsers; cheap to clone.
#[derive(Clone)]
pub struct Browsers {
    /// Their tickets and sessions.
    pub sessions: Sessions,
    /// The attributes of the cookie.
    attributes: Arc<str>,
}

/// What a request offers in place of a key.
#[derive(Default)]
pub(super) struct Offered {
    ticket: Option<String>,
    token: Option<String>,
}

/// What a browser has shown, and the key that it stands for.
pub(super) enum Shown {
    /// A ticket, which is used up now.
    Ticket(KeyHash),
    /// A cookie.
    Session(KeyHash),
}

impl Browsers {
    /// `path` is where browsers see the streams; `secure` keeps the cookie from being sent in the clear.
    #[must_use]
    pub fn new(sessions: Sessions, path: &str, secure: bool) -> Self {
        let secure = if secure { "; Secure" } else { "" };
        Self { sessions, attributes: format!("; Path={path}; HttpOnly; SameSite=Strict{secure}").into() }
    }

    /// The `Set-Cookie` that makes a browser come back with `token`.
    #[must_use]
    pub fn cookie(&self, token: &str) -> Option<HeaderValue> {
        self.set(token, SESSION_LIFE.as_secs())
    }

    /// The `Set-Cookie` that makes it forget.
    #[must_use]
    pub fn no_cookie(&self) -> Option<HeaderValue> {
        self.set("", 0)
    }

    fn set(&self, value: &str, life: u64) -> Option<HeaderValue> {
        HeaderValue::try_from(format!("{NAME}={value}; Max-Age={life}{}", self.attributes)).ok()
    }

    /// The key that `offered` stands for, the ticket before the cookie: a browser comes back to the same URL, in which
    /// the ticket is used up, with the cookie.
    pub(super) async fn accept(&self, offered: Offered) -> Result<Option<Shown>, StoreError> {
        if let Some(key) = offered.ticket.and_then(|ticket| self.sessions.redeem(&ticket)) {
            return Ok(Some(Shown::Ticket(key)));
        }
        let Some(token) = offered.token else { return Ok(None) };
        Ok(self.sessions.find(&token).await?.map(Shown::Session))
    }
}

impl Offered {
    /// What `request` offers, if it only reads.
    pub(super) fn by(request: &Request) -> Self {
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            return Self::default();
        }
        let query = request.uri().query().unwrap_or_default().as_bytes();
        let ticket =
            form_urlencoded::parse(query).find(|(name, _)| name == TICKET).map(|(_, ticket)| ticket.into_owned());
        Self { ticket, token: token(request.headers()).map(str::to_owned) }
    }
}

/// The token of the cookie.
#[must_use]
pub fn token(headers: &HeaderMap) -> Option<&str> {
    let cookies = headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut pairs = cookies.flat_map(|cookies| cookies.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(name, _)| *name == NAME).map(|(_, value)| value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cookie_is_found_among_others() {
        let mut headers = HeaderMap::new();
        assert_eq!(token(&headers), None);
        headers.append(COOKIE, HeaderValue::from_static("a=b; petstream_eventsx=1"));
        headers.append(COOKIE, HeaderValue::from_static("c; petstream_events=abc;d=e"));
        assert_eq!(token(&headers), Some("abc"));
    }
}
