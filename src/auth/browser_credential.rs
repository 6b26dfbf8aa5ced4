//! What a browser shows instead of a key: a ticket in the URL, or the cookie that a ticket was exchanged for.
//!
//! Only `authenticate` in front of the streams of events asks for either, and only on GET: nothing can be changed with
//! a cookie, so that no other site can make a browser change anything.
//!
//! The cookie is for pages of the server's own site. A page of another site that `cors.allow_origins` names gets one that
//! its browser keeps for that site alone, if the server is reached over https (or on the page's own machine); elsewhere
//! browsers keep none, and the page has to ask for a new ticket when its stream ends.

use std::sync::Arc;

use axum::extract::Request;
use http::header::{COOKIE, ORIGIN};
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use url::form_urlencoded;

use crate::auth::sessions::{SESSION_LIFE, Sessions};
use crate::config::AllowOrigins;
use crate::store::StoreError;
use crate::wire::api_key::KeyHash;

/// What a browser says about where a request comes from; no page can say it in its place.
pub(crate) const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Name of the cookie.
const NAME: &str = "petstream_events";
/// Name of the parameter.
const TICKET: &str = "ticket";

/// What is known of browsers; cheap to clone.
#[derive(Clone)]
pub struct Browsers {
    /// Their tickets and sessions.
    pub sessions: Sessions,
    cookies: Arc<Cookies>,
}

/// How cookies are to be kept.
struct Cookies {
    path: String,
    secure: bool,
    /// Whose pages may have one on another site than the server's.
    allowed: AllowOrigins,
}

/// Where a page stands, for the cookie that it gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Site {
    /// On the server's own site, or nobody knows.
    Same,
    /// On another one, which is allowed.
    Other,
}

/// What a request offers in place of a key.
#[derive(Default)]
pub(crate) struct OfferedCredential {
    ticket: Option<String>,
    token: Option<String>,
}

/// What a browser has shown, and the key that it stands for.
pub(crate) enum Credential {
    /// A ticket, which is used up now.
    Ticket(KeyHash),
    /// A cookie.
    Session(KeyHash),
}

impl Browsers {
    /// `path` is where browsers see the streams; `secure` keeps the cookie from being sent in the clear; pages of `allowed`
    /// origins may have a cookie on other sites.
    #[must_use]
    pub fn new(sessions: Sessions, path: String, secure: bool, allowed: AllowOrigins) -> Self {
        Self { sessions, cookies: Arc::new(Cookies { path, secure, allowed }) }
    }

    /// The `Set-Cookie` that makes the browser that sent a request with these headers come back with `token`.
    #[must_use]
    pub fn cookie(&self, token: &str, request: &HeaderMap) -> Option<HeaderValue> {
        self.set(token, SESSION_LIFE.as_secs(), self.site(request))
    }

    /// The `Set-Cookie` that makes it forget.
    #[must_use]
    pub fn no_cookie(&self, request: &HeaderMap) -> Option<HeaderValue> {
        self.set("", 0, self.site(request))
    }

    /// Where the page stands that sent a request with these headers.
    #[must_use]
    pub fn site(&self, request: &HeaderMap) -> Site {
        // No page can say this in its browser's place. Browsers say it only to servers on https and on this machine, and
        // only those can keep a cookie of another site.
        let crosses = request.get(SEC_FETCH_SITE).is_some_and(|site| site == "cross-site");
        let origin = request.get(ORIGIN).and_then(|origin| origin.to_str().ok());
        // To all origins no cookies are given.
        let listed = matches!(self.cookies.allowed, AllowOrigins::These(_));
        let allowed = listed && origin.is_some_and(|origin| self.cookies.allowed.allows(origin));
        if crosses && allowed { Site::Other } else { Site::Same }
    }

    fn set(&self, value: &str, life: u64, site: Site) -> Option<HeaderValue> {
        let Cookies { path, secure, .. } = &*self.cookies;
        let rest = match site {
            Site::Same if *secure => "SameSite=Strict; Secure",
            Site::Same => "SameSite=Strict",
            // Browsers keep it for the pages of that site alone (CHIPS), also those that keep no other third-party cookies.
            Site::Other => "SameSite=None; Secure; Partitioned",
        };
        HeaderValue::try_from(format!("{NAME}={value}; Max-Age={life}; Path={path}; HttpOnly; {rest}")).ok()
    }

    /// The key that `offered` stands for, the ticket before the cookie: a browser comes back to the same URL, in which
    /// the ticket is used up, with the cookie.
    pub(crate) async fn accept(&self, offered: OfferedCredential) -> Result<Option<Credential>, StoreError> {
        if let Some(key) = offered.ticket.and_then(|ticket| self.sessions.redeem(&ticket)) {
            return Ok(Some(Credential::Ticket(key)));
        }
        let Some(token) = offered.token else { return Ok(None) };
        Ok(self.sessions.find(&token).await?.map(Credential::Session))
    }
}

impl OfferedCredential {
    /// What `request` offers, if it only reads.
    pub(crate) fn of(request: &Request) -> Self {
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

    #[tokio::test]
    async fn pages_of_allowed_other_sites_get_a_cookie_for_their_site() {
        let store = crate::store::Store::open("sqlite::memory:").await.unwrap();
        let shop = "https://shop.example";
        let of = |allowed| Browsers::new(Sessions::new(store.clone()), "/api/events".to_owned(), false, allowed);
        let these = || AllowOrigins::These(vec![shop.to_owned()]);
        let same = "petstream_events=t; Max-Age=43200; Path=/api/events; HttpOnly; SameSite=Strict";
        let other = "petstream_events=t; Max-Age=43200; Path=/api/events; HttpOnly; SameSite=None; Secure; Partitioned";
        for (allowed, site, origin, expected) in [
            (these(), Some("cross-site"), Some(shop), other),
            (these(), Some("same-site"), Some(shop), same),
            (these(), None, Some(shop), same),
            (these(), Some("cross-site"), Some("https://evil.example"), same),
            (these(), Some("cross-site"), None, same),
            (AllowOrigins::Any, Some("cross-site"), Some(shop), same),
            (AllowOrigins::default(), Some("cross-site"), Some(shop), same),
        ] {
            let mut headers = HeaderMap::new();
            site.map(|site| headers.insert(SEC_FETCH_SITE, HeaderValue::from_static(site)));
            origin.map(|origin| headers.insert(ORIGIN, HeaderValue::from_static(origin)));
            assert_eq!(of(allowed).cookie("t", &headers).unwrap(), expected, "{headers:?}");
        }
    }
}
