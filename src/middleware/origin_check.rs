//! Pages of other sites, where no key is asked for.
//!
//! A server without keys trusts everybody on its machine. A browser there runs pages of everybody in the world, and lets
//! them send requests to any address; and a page whose owner points its name to this machine would even be told the
//! answers. So whatever a browser sends on behalf of a stranger is answered 403: a request for a host that is neither
//! `localhost` nor an IP address, and one that comes from another origin. `cors.allow_origins` makes exceptions of both.
//! Programs tell of no origin, and pass. Covers `/v1`, `/api` and `/metrics`. Ends at the headers.

use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use http::HeaderMap;
use http::header::{HOST, ORIGIN};
use http::uri::Authority;

use crate::auth::browser_credential::SEC_FETCH_SITE;
use crate::config::AllowOrigins;
use crate::error::{Denied, Surface};

/// Who is no stranger; cheap to clone.
#[derive(Clone)]
pub struct OriginCheck {
    allowed: Arc<AllowOrigins>,
}

impl OriginCheck {
    /// Everybody but these origins, and the server's own.
    #[must_use]
    pub fn all_but(allowed: AllowOrigins) -> Self {
        Self { allowed: Arc::new(allowed) }
    }

    fn refuse(&self, host: Option<&str>, headers: &HeaderMap) -> Option<Denied> {
        if host.is_some_and(|host| !is_local(host) && !self.is_allowed_host(host)) {
            return Some(Denied::StrangeHost);
        }
        let origin = headers.get(ORIGIN).map(|origin| origin.to_str().unwrap_or_default());
        // Either is enough: a program or a proxy can put in a `sec-fetch-site` that its browser never said.
        let strange = match headers.get(SEC_FETCH_SITE) {
            Some(site) if site != "same-origin" && site != "none" => true,
            // Some proxies leave the port out of the host. A page of another port of that name would be of the same site, and
            // not of the same origin.
            Some(_) => {
                origin.is_some_and(|origin| host.is_none_or(|host| !is_of(origin, host) && !is_of_name(origin, host)))
            }
            None => origin.is_some_and(|origin| host.is_none_or(|host| !is_of(origin, host))),
        };
        let allowed = origin.is_some_and(|origin| self.allowed.allows(origin)) || *self.allowed == AllowOrigins::Any;
        (strange && !allowed).then_some(Denied::StrangeOrigin)
    }

    fn is_allowed_host(&self, host: &str) -> bool {
        match &*self.allowed {
            AllowOrigins::Any => true,
            AllowOrigins::These(origins) => origins.iter().any(|origin| is_of(origin, host)),
        }
    }
}

/// The middleware.
pub async fn strangers(State(strangers): State<OriginCheck>, request: Request, next: Next) -> Response {
    let surface = match request.uri().path() {
        path if is_below(path, "/v1") => Surface::OpenAi,
        path if is_below(path, "/api") || is_below(path, "/metrics") => Surface::Problem,
        _ => return next.run(request).await,
    };
    let named = request.uri().authority().map(Authority::as_str);
    // What is no text is no host.
    let host = named.or_else(|| request.headers().get(HOST).map(|host| host.to_str().unwrap_or_default()));
    match strangers.refuse(host, request.headers()) {
        Some(denied) => denied.answer(surface),
        None => next.run(request).await,
    }
}

fn is_below(path: &str, root: &str) -> bool {
    path.strip_prefix(root).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Whether `host`, with or without a port, names this machine for every browser, or is an address: nobody can point
/// either of them elsewhere.
fn is_local(host: &str) -> bool {
    let Ok(authority) = host.parse::<Authority>() else { return false };
    let name = authority.host();
    let bare = name.strip_prefix('[').and_then(|name| name.strip_suffix(']'));
    let address = bare.map_or_else(|| name.parse::<IpAddr>().is_ok(), |name| name.parse::<Ipv6Addr>().is_ok());
    let name = name.to_ascii_lowercase();
    address || name == "localhost" || name.ends_with(".localhost")
}

/// Whether `origin` is that of `host`, whichever the scheme.
fn is_of(origin: &str, host: &str) -> bool {
    origin.split_once("://").is_some_and(|(_, of)| of.eq_ignore_ascii_case(host))
}

/// Whether `origin` is that of a server of the same name as `host`, whichever the ports.
fn is_of_name(origin: &str, host: &str) -> bool {
    let (Some((_, of)), Ok(host)) = (origin.split_once("://"), host.parse::<Authority>()) else { return false };
    of.parse::<Authority>().is_ok_and(|of| of.host().eq_ignore_ascii_case(host.host()))
}

#[cfg(test)]
mod tests {
    use http::HeaderName;

    use super::*;

    fn refused(strangers: &OriginCheck, host: &str, headers: &[(HeaderName, &str)]) -> Option<&'static str> {
        let headers = headers.iter().map(|(name, value)| (name.clone(), value.parse().unwrap())).collect();
        strangers.refuse(Some(host), &headers).map(|denied| match denied {
            Denied::StrangeHost => "host",
            Denied::StrangeOrigin => "origin",
            other => panic!("{other:?}"),
        })
    }

    #[test]
    fn a_name_that_anybody_could_point_here_is_refused() {
        let nobody = OriginCheck::all_but(AllowOrigins::default());
        for host in
            ["localhost", "localhost:4000", "LocalHost:1", "a.localhost", "127.0.0.1:4000", "[::1]:4000", "[::1]"]
        {
            assert_eq!(refused(&nobody, host, &[]), None, "{host}");
        }
        for host in
            ["shop.example", "localhost.shop.example:4000", "127.0.0.1.nip.io", "1.2.3", "", "::1", "[localhost]"]
        {
            assert_eq!(refused(&nobody, host, &[]), Some("host"), "{host}");
        }
        assert!(nobody.refuse(None, &HeaderMap::new()).is_none());
        let shop = OriginCheck::all_but(AllowOrigins::These(vec!["https://shop.example".to_owned()]));
        assert_eq!(refused(&shop, "Shop.example", &[]), None);
        assert_eq!(refused(&shop, "other.example", &[]), Some("host"));
        assert_eq!(refused(&OriginCheck::all_but(AllowOrigins::Any), "other.example", &[]), None);
    }

    #[test]
    fn what_a_page_of_another_origin_sends_is_refused() {
        let nobody = OriginCheck::all_but(AllowOrigins::default());
        let shop = OriginCheck::all_but(AllowOrigins::These(vec!["https://shop.example".to_owned()]));
        let host = "localhost:4000";
        for (site, origin, refusal) in [
            (Some("same-origin"), None, None),
            (Some("none"), None, None),
            (Some("same-origin"), Some("http://localhost:4000"), None),
            // Behind a proxy that names the host anew, or sent by a program that says what it likes.
            (Some("same-origin"), Some("https://shop.example"), Some("origin")),
            (Some("none"), Some("https://shop.example"), Some("origin")),
            (Some("same-origin"), Some("null"), Some("origin")),
            (Some("same-origin"), Some("http://localhost:8080"), None),
            (Some("cross-site"), Some("http://localhost:4000"), Some("origin")),
            (Some("cross-site"), None, Some("origin")),
            (Some("same-site"), Some("http://localhost:3000"), Some("origin")),
            (Some("cross-site"), Some("https://shop.example"), Some("origin")),
            (None, None, None),
            (None, Some("http://LOCALHOST:4000"), None),
            (None, Some("http://localhost:3000"), Some("origin")),
            (None, Some("https://shop.example"), Some("origin")),
            (None, Some("null"), Some("origin")),
            (None, Some(""), Some("origin")),
        ] {
            let site = site.map(|site| (SEC_FETCH_SITE, site));
            let headers: Vec<_> = site.into_iter().chain(origin.map(|origin| (ORIGIN, origin))).collect();
            assert_eq!(refused(&nobody, host, &headers), refusal, "{headers:?}");
            let allowed = origin == Some("https://shop.example");
            assert_eq!(refused(&shop, host, &headers), refusal.filter(|_| !allowed), "{headers:?}");
            assert_eq!(refused(&OriginCheck::all_but(AllowOrigins::Any), host, &headers), None, "{headers:?}");
        }
    }
}
