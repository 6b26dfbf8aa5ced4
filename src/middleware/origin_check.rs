//! Refuses requests that web pages of other sites make, on servers that require no keys.
//!
//! Such a server trusts every program on its machine. A browser there runs pages of any site and lets them send
//! requests to any address (cross-site request forgery); and a page whose owner points its host name to this machine
//! can also read the answers (DNS rebinding). So two kinds of requests are answered 403: those for a host that is
//! neither `localhost` nor an IP address, and those of another origin. `cors.allow_origins` makes exceptions of both.
//! Programs send no origin, and pass. Covers `/v1`, `/api` and `/metrics`.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::extract::Request;
use axum::response::Response;
use futures_util::future::Either;
use http::HeaderMap;
use http::header::{HOST, ORIGIN};
use http::uri::Authority;
use tower::{Layer, Service};

use super::context::ContextRequest;
use crate::auth::browser_credential::SEC_FETCH_SITE;
use crate::config::AllowOrigins;
use crate::error::{Denied, Surface, is_below};

/// The layer; cheap to clone.
#[derive(Clone)]
pub struct OriginCheckLayer {
    /// None: nothing is checked.
    check: Option<Arc<OriginCheck>>,
}

impl OriginCheckLayer {
    /// Refuses requests of all origins but the server's own and `allowed`.
    #[must_use]
    pub fn new(allowed: AllowOrigins) -> Self {
        Self { check: Some(Arc::new(OriginCheck { allowed })) }
    }

    /// Checks nothing, for a server that requires keys: no page of another site has one.
    #[must_use]
    pub const fn disabled() -> Self {
        Self { check: None }
    }
}

impl<S> Layer<S> for OriginCheckLayer {
    type Service = OriginCheckService<S>;

    fn layer(&self, inner: S) -> OriginCheckService<S> {
        OriginCheckService { check: self.check.clone(), inner }
    }
}

/// The service; see the module.
#[derive(Clone)]
pub struct OriginCheckService<S> {
    check: Option<Arc<OriginCheck>>,
    inner: S,
}

impl<S> Service<ContextRequest> for OriginCheckService<S>
where
    S: Service<ContextRequest, Response = Response, Error = Infallible>,
{
    type Response = Response;
    type Error = Infallible;
    type Future = Either<S::Future, Ready<Result<Response, Infallible>>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: ContextRequest) -> Self::Future {
        match self.check.as_ref().and_then(|check| check.refuse(&request.http)) {
            Some(refusal) => Either::Right(ready(Ok(refusal))),
            None => Either::Left(self.inner.call(request)),
        }
    }
}

struct OriginCheck {
    allowed: AllowOrigins,
}

impl OriginCheck {
    /// The answer to a request that is refused; none for one that may pass.
    fn refuse(&self, request: &Request) -> Option<Response> {
        let surface = match request.uri().path() {
            path if is_below(path, "/v1") => Surface::of_path(path),
            path if is_below(path, "/api") || is_below(path, "/metrics") => Surface::Problem,
            _ => return None,
        };
        let authority = request.uri().authority().map(Authority::as_str);
        // A host that is not text is refused as an empty one.
        let host = authority.or_else(|| request.headers().get(HOST).map(|host| host.to_str().unwrap_or_default()));
        self.denied(host, request.headers()).map(|denied| denied.to_response(surface))
    }

    fn denied(&self, host: Option<&str>, headers: &HeaderMap) -> Option<Denied> {
        if host.is_some_and(|host| !is_local(host) && !self.is_allowed_host(host)) {
            return Some(Denied::ForeignHost);
        }
        let origin = headers.get(ORIGIN).map(|origin| origin.to_str().unwrap_or_default());
        // Either header is enough: a program or a proxy can add a `sec-fetch-site` that no browser has sent.
        let foreign = match headers.get(SEC_FETCH_SITE) {
            Some(site) if site != "same-origin" && site != "none" => true,
            // Some proxies leave the port out of the host. A page on another port of the same host would be `same-site`
            // and not `same-origin`.
            Some(_) => {
                origin.is_some_and(|origin| host.is_none_or(|host| !is_of(origin, host) && !is_of_name(origin, host)))
            }
            None => origin.is_some_and(|origin| host.is_none_or(|host| !is_of(origin, host))),
        };
        let allowed = origin.is_some_and(|origin| self.allowed.allows(origin)) || self.allowed == AllowOrigins::Any;
        (foreign && !allowed).then_some(Denied::ForeignOrigin)
    }

    fn is_allowed_host(&self, host: &str) -> bool {
        match &self.allowed {
            AllowOrigins::Any => true,
            AllowOrigins::These(origins) => origins.iter().any(|origin| is_of(origin, host)),
        }
    }
}

/// Whether `host`, with or without a port, is `localhost` or an IP address, which DNS can't point elsewhere.
fn is_local(host: &str) -> bool {
    let Ok(authority) = host.parse::<Authority>() else { return false };
    let name = authority.host();
    let bare = name.strip_prefix('[').and_then(|name| name.strip_suffix(']'));
    let address = bare.map_or_else(|| name.parse::<IpAddr>().is_ok(), |name| name.parse::<Ipv6Addr>().is_ok());
    let name = name.to_ascii_lowercase();
    address || name == "localhost" || name.ends_with(".localhost")
}

/// Whether `origin` is that of `host`, with any scheme.
fn is_of(origin: &str, host: &str) -> bool {
    origin.split_once("://").is_some_and(|(_, of)| of.eq_ignore_ascii_case(host))
}

/// Whether `origin` is that of `host`, with any scheme and any port.
fn is_of_name(origin: &str, host: &str) -> bool {
    let (Some((_, of)), Ok(host)) = (origin.split_once("://"), host.parse::<Authority>()) else { return false };
    of.parse::<Authority>().is_ok_and(|of| of.host().eq_ignore_ascii_case(host.host()))
}

#[cfg(test)]
mod tests {
    use http::HeaderName;

    use super::*;

    fn refused(check: &OriginCheck, host: &str, headers: &[(HeaderName, &str)]) -> Option<&'static str> {
        let headers = headers.iter().map(|(name, value)| (name.clone(), value.parse().unwrap())).collect();
        check.denied(Some(host), &headers).map(|denied| match denied {
            Denied::ForeignHost => "host",
            Denied::ForeignOrigin => "origin",
            other => panic!("{other:?}"),
        })
    }

    #[test]
    fn a_host_name_of_a_domain_is_refused() {
        let none = OriginCheck { allowed: AllowOrigins::default() };
        for host in
            ["localhost", "localhost:4000", "LocalHost:1", "a.localhost", "127.0.0.1:4000", "[::1]:4000", "[::1]"]
        {
            assert_eq!(refused(&none, host, &[]), None, "{host}");
        }
        for host in
            ["shop.example", "localhost.shop.example:4000", "127.0.0.1.nip.io", "1.2.3", "", "::1", "[localhost]"]
        {
            assert_eq!(refused(&none, host, &[]), Some("host"), "{host}");
        }
        assert!(none.denied(None, &HeaderMap::new()).is_none());
        let shop = OriginCheck { allowed: AllowOrigins::These(vec!["https://shop.example".to_owned()]) };
        assert_eq!(refused(&shop, "Shop.example", &[]), None);
        assert_eq!(refused(&shop, "other.example", &[]), Some("host"));
        assert_eq!(refused(&OriginCheck { allowed: AllowOrigins::Any }, "other.example", &[]), None);
    }

    #[test]
    fn requests_of_pages_of_other_origins_are_refused() {
        let none = OriginCheck { allowed: AllowOrigins::default() };
        let shop = OriginCheck { allowed: AllowOrigins::These(vec!["https://shop.example".to_owned()]) };
        let host = "localhost:4000";
        for (site, origin, refusal) in [
            (Some("same-origin"), None, None),
            (Some("none"), None, None),
            (Some("same-origin"), Some("http://localhost:4000"), None),
            // Behind a proxy that rewrites the host, or sent by a program, which may send any value.
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
            assert_eq!(refused(&none, host, &headers), refusal, "{headers:?}");
            let allowed = origin == Some("https://shop.example");
            assert_eq!(refused(&shop, host, &headers), refusal.filter(|_| !allowed), "{headers:?}");
            assert_eq!(refused(&OriginCheck { allowed: AllowOrigins::Any }, host, &headers), None, "{headers:?}");
        }
    }
}
