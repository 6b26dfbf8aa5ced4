//! Browsers' credentials instead of a key: a ticket in the URL, or the cookie that a ticket was exchanged for.
//!
//! They are accepted by the routes of event streams only, and only with GET: nothing can be changed with a cookie, so
//! that no other site can make a browser change anything (CSRF).
//!
//! The cookie is for pages of the server's own site. A page of another site that `cors.allow_origins` lists gets one
//! that its browser keeps for that site alone, if the server is reached over https or on the page's own machine;
//! otherwise browsers keep none, and the page has to request a new ticket when its stream ends.

use std::sync::Arc;

use axum::extract::Request;
use http::header::{COOKIE, ORIGIN};
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use url::form_urlencoded;

use crate::auth::sessions::{SESSION_LIFE, Sessions};
use crate::config::AllowOrigins;
use crate::store::StoreError;
use crate::wire::api_key::KeyHash;

/// Set by browsers to the relation of the page's site to the server's; pages can't set it.
pub(crate) const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Name of the cookie.
const COOKIE_NAME: &str = "petstream_events";
/// Name of the query parameter with the ticket.
const TICKET_PARAMETER: &str = "ticket";

/// Tickets, sessions and cookies of browsers; cheap to clone.
#[derive(Clone)]
pub struct Browsers {
    /// Their tickets and sessions.
    pub sessions: Sessions,
    cookies: Arc<Cookies>,
}

/// The attributes of cookies.
struct Cookies {
    path: String,
    secure: bool,
    /// The origins whose pages may have one on another site than the server's.
    allowed: AllowOrigins,
}

/// The site of a page, for the attributes of its cookie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Site {
    /// The server's own site, or unknown.
    Same,
    /// Another one, which is allowed.
    Other,
}

/// The unverified credentials of a request.
#[derive(Default)]
pub(crate) struct OfferedCredential {
    ticket: Option<String>,
    token: Option<String>,
}

/// A valid credential, with the key that it stands for.
pub(crate) enum Credential {
    /// A ticket, which is used up now.
    Ticket(KeyHash),
    /// A cookie.
    Session(KeyHash),
}

impl Browsers {
    /// `path` is the path of the streams as browsers see it; `secure` restricts the cookie to https; pages of `allowed`
    /// origins may have a cookie on other sites.
    #[must_use]
    pub fn new(sessions: Sessions, path: String, secure: bool, allowed: AllowOrigins) -> Self {
        Self { sessions, cookies: Arc::new(Cookies { path, secure, allowed }) }
    }

    /// The `Set-Cookie` with `token`, for the browser that sent these headers.
    #[must_use]
    pub fn cookie(&self, token: &str, request: &HeaderMap) -> Option<HeaderValue> {
        self.set(token, SESSION_LIFE.as_secs(), self.site(request))
    }

    /// The `Set-Cookie` that deletes the cookie.
    #[must_use]
    pub fn no_cookie(&self, request: &HeaderMap) -> Option<HeaderValue> {
        self.set("", 0, self.site(request))
    }

    /// The site of the page that sent these headers.
    #[must_use]
    pub fn site(&self, request: &HeaderMap) -> Site {
        // Pages can't set this header. Browsers send it only to https and to this machine, and only there they keep a
        // cookie for another site.
        let crosses = request.get(SEC_FETCH_SITE).is_some_and(|site| site == "cross-site");
        let origin = request.get(ORIGIN).and_then(|origin| origin.to_str().ok());
        // With `*`, no page of another site gets a cookie.
        let listed = matches!(self.cookies.allowed, AllowOrigins::These(_));
        let allowed = listed && origin.is_some_and(|origin| self.cookies.allowed.allows(origin));
        if crosses && allowed { Site::Other } else { Site::Same }
    }

    fn set(&self, value: &str, life: u64, site: Site) -> Option<HeaderValue> {
        let Cookies { path, secure, .. } = &*self.cookies;
        let rest = match site {
            Site::Same if *secure => "SameSite=Strict; Secure",
            Site::Same => "SameSite=Strict",
            // Browsers keep it for that site alone (CHIPS), even if they block other third-party cookies.
            Site::Other => "SameSite=None; Secure; Partitioned",
        };
        HeaderValue::try_from(format!("{COOKIE_NAME}={value}; Max-Age={life}; Path={path}; HttpOnly; {rest}")).ok()
    }

    /// Checks the ticket, then the cookie: a browser reconnects to the same URL, in which the ticket is used up, with
    /// the cookie.
    pub(crate) async fn accept(&self, offered: OfferedCredential) -> Result<Option<Credential>, StoreError> {
        if let Some(ticket) = offered.ticket
            && let Some(key) = self.sessions.redeem(&ticket).await?
        {
            return Ok(Some(Credential::Ticket(key)));
        }
        let Some(token) = offered.token else { return Ok(None) };
        Ok(self.sessions.find(&token).await?.map(Credential::Session))
    }
}

impl OfferedCredential {
    /// Those of `request`; none unless it is GET or HEAD.
    pub(crate) fn of(request: &Request) -> Self {
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            return Self::default();
        }
        let query = request.uri().query().unwrap_or_default().as_bytes();
        let ticket = form_urlencoded::parse(query)
            .find(|(name, _)| name == TICKET_PARAMETER)
            .map(|(_, ticket)| ticket.into_owned());
        Self { ticket, token: token(request.headers()).map(str::to_owned) }
    }
}

/// The token of the cookie.
#[must_use]
pub fn token(headers: &HeaderMap) -> Option<&str> {
    let cookies = headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut pairs = cookies.flat_map(|cookies| cookies.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(name, _)| *name == COOKIE_NAME).map(|(_, value)| value)
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
    async fn a_page_of_an_allowed_other_site_gets_a_cookie_for_its_site() {
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
