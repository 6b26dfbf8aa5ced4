//! CORS for `/v1` and `/api`.
//!
//! Answers preflights of allowed origins, which browsers send without a key, with 204. Every other request is passed
//! on, and CORS headers are added to its answer if the origin is allowed.
//!
//! This is not tower-http's layer, which answers every OPTIONS itself (also those of origins that are not allowed, and
//! those that are no preflight), adds `Vary` to all answers although no origin is allowed, and repeats the header names
//! that a browser requests unchecked and without a bound.

use std::convert::Infallible;
use std::future::{Future, Ready, ready};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use axum::response::{IntoResponse, Response};
use futures_util::future::Either;
use http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_HEADERS,
    ACCESS_CONTROL_REQUEST_METHOD, ORIGIN, VARY,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use pin_project_lite::pin_project;
use tower::{Layer, Service};

use super::context::ContextRequest;
use crate::config::AllowOrigins;
use crate::error::is_below;

/// Headers that pages may send, if the preflight does not name any.
const DEFAULT_ALLOWED: HeaderValue =
    HeaderValue::from_static("authorization, content-type, last-event-id, if-match, idempotency-key");
/// Most header names that one preflight may request. Real clients request some thirty.
const MAX_NAMES: usize = 64;
/// Most bytes of all these names. Real clients need some 600.
const MAX_NAMES_LEN: usize = 4_096;
/// Sent by Chrome when a page of the Internet makes a request to a private network.
const REQUEST_PRIVATE_NETWORK: HeaderName = HeaderName::from_static("access-control-request-private-network");
const ALLOW_PRIVATE_NETWORK: HeaderName = HeaderName::from_static("access-control-allow-private-network");
const METHODS: HeaderValue = HeaderValue::from_static("GET, HEAD, POST, PUT, PATCH, DELETE");
/// Headers that pages may read: those that SDKs look at, OpenAI's own, and ours. There is no wildcard for a part of a
/// name, and none at all with credentials.
const EXPOSED_HEADERS: HeaderValue = HeaderValue::from_static(
    "x-request-id, request-id, x-ratelimit-limit-requests, x-ratelimit-remaining-requests, x-ratelimit-reset-requests, \
     x-ratelimit-limit-tokens, x-ratelimit-remaining-tokens, x-ratelimit-reset-tokens, \
     anthropic-ratelimit-requests-limit, anthropic-ratelimit-requests-remaining, anthropic-ratelimit-requests-reset, \
     anthropic-ratelimit-tokens-limit, anthropic-ratelimit-tokens-remaining, anthropic-ratelimit-tokens-reset, \
     x-should-retry, retry-after, \
     retry-after-ms, openai-organization, openai-processing-ms, openai-project, openai-version, www-authenticate, date, \
     etag, location, idempotency-replayed, petstream-cursor",
);
/// How long a browser caches a preflight, seconds; this is the longest that any of them accepts.
const MAX_AGE: HeaderValue = HeaderValue::from_static("7200");

/// The layer, with the allowed origins; cheap to clone.
#[derive(Clone)]
pub struct Cors {
    origins: Arc<AllowOrigins>,
}

impl Cors {
    /// Allows `origins`.
    #[must_use]
    pub fn new(origins: AllowOrigins) -> Self {
        Self { origins: Arc::new(origins) }
    }

    /// The value of `Access-Control-Allow-Origin` for a request with these headers.
    fn allowed(&self, headers: &HeaderMap) -> Option<HeaderValue> {
        let origin = headers.get(ORIGIN)?;
        if *self.origins == AllowOrigins::Any {
            return Some(HeaderValue::from_static("*"));
        }
        self.origins.allows(origin.to_str().ok()?).then(|| origin.clone())
    }

    /// Whether answers depend on the origin.
    fn varies(&self) -> bool {
        matches!(&*self.origins, AllowOrigins::These(origins) if !origins.is_empty())
    }
}

impl<S> Layer<S> for Cors {
    type Service = CorsService<S>;

    fn layer(&self, inner: S) -> CorsService<S> {
        CorsService { cors: self.clone(), inner }
    }
}

/// The service; see the module.
#[derive(Clone)]
pub struct CorsService<S> {
    cors: Cors,
    inner: S,
}

impl<S> Service<ContextRequest> for CorsService<S>
where
    S: Service<ContextRequest, Response = Response, Error = Infallible>,
{
    type Response = Response;
    type Error = Infallible;
    type Future = Either<CorsFuture<S::Future>, Ready<Result<Response, Infallible>>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: ContextRequest) -> Self::Future {
        let http = &request.http;
        let covered = ["/v1", "/api"].iter().any(|root| is_below(http.uri().path(), root));
        let added = covered.then(|| self.cors.headers(http.method(), http.headers())).flatten();
        if let Some(headers @ CorsHeaders { allowed: Some(_), preflight: true, .. }) = &added {
            let mut response = preflight_response(http.headers());
            headers.add_to(response.headers_mut());
            return Either::Right(ready(Ok(response)));
        }
        Either::Left(CorsFuture { response: self.inner.call(request), added })
    }
}

/// The headers that an answer gets.
struct CorsHeaders {
    /// The value of `Access-Control-Allow-Origin`.
    allowed: Option<HeaderValue>,
    varies: bool,
    preflight: bool,
}

impl Cors {
    /// None: the answer gets no headers.
    fn headers(&self, method: &Method, headers: &HeaderMap) -> Option<CorsHeaders> {
        let (allowed, varies) = (self.allowed(headers), self.varies());
        let preflight = || *method == Method::OPTIONS && headers.contains_key(ACCESS_CONTROL_REQUEST_METHOD);
        (allowed.is_some() || varies).then(|| CorsHeaders { allowed, varies, preflight: preflight() })
    }
}

impl CorsHeaders {
    fn add_to(&self, headers: &mut HeaderMap) {
        if self.varies {
            headers.append(VARY, HeaderValue::from_static("origin"));
        }
        let Some(origin) = &self.allowed else { return };
        if !self.preflight {
            headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED_HEADERS);
        }
        if origin != "*" {
            // Without this, an EventSource reconnects without its cookie.
            headers.insert(ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
        }
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
    }
}

pin_project! {
    /// Adds CORS headers to the response.
    pub struct CorsFuture<F> {
        #[pin]
        response: F,
        added: Option<CorsHeaders>,
    }
}

impl<F: Future<Output = Result<Response, Infallible>>> Future for CorsFuture<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let Ok(mut response) = ready!(this.response.poll(cx));
        if let Some(added) = this.added {
            added.add_to(response.headers_mut());
        }
        Poll::Ready(Ok(response))
    }
}

fn preflight_response(request: &HeaderMap) -> Response {
    let mut response = StatusCode::NO_CONTENT.into_response();
    let headers = response.headers_mut();
    headers.insert(ACCESS_CONTROL_ALLOW_METHODS, METHODS);
    headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, allowed_headers(request));
    headers.insert(ACCESS_CONTROL_MAX_AGE, MAX_AGE);
    headers.append(VARY, HeaderValue::from_static("access-control-request-headers"));
    if request.get(REQUEST_PRIVATE_NETWORK).is_some_and(|asked| asked == "true") {
        headers.insert(ALLOW_PRIVATE_NETWORK, HeaderValue::from_static("true"));
    }
    response
}

/// The header names that the preflight requests, within the bounds: the page's origin is allowed, and nothing depends
/// on which headers it sends. Chromium requests what the page adds, Firefox `user-agent` too if the page sets it.
fn allowed_headers(request: &HeaderMap) -> HeaderValue {
    let Some(asked) = request.get(ACCESS_CONTROL_REQUEST_HEADERS).and_then(|value| value.to_str().ok()) else {
        return DEFAULT_ALLOWED;
    };
    let names = asked.split(',').map(str::trim).filter(|name| HeaderName::from_bytes(name.as_bytes()).is_ok());
    let mut allowed = String::new();
    for name in names.take(MAX_NAMES) {
        if allowed.len() + name.len() > MAX_NAMES_LEN {
            break;
        }
        if !allowed.is_empty() {
            allowed.push_str(", ");
        }
        allowed.push_str(name);
    }
    HeaderValue::try_from(allowed).unwrap_or(DEFAULT_ALLOWED)
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use tower::ServiceExt;

    use super::*;

    async fn ask(origins: AllowOrigins, method: &str, path: &str, headers: &[(&str, &str)]) -> Response {
        let handler = tower::service_fn(async |request: ContextRequest| {
            let allowed = *request.http.method() == Method::GET;
            Ok::<_, Infallible>(if allowed { StatusCode::OK } else { StatusCode::METHOD_NOT_ALLOWED }.into_response())
        });
        let mut request = http::Request::builder().method(method).uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = ContextRequest::from(request.body(Body::empty()).unwrap());
        Cors::new(origins).layer(handler).oneshot(request).await.unwrap()
    }

    fn these(origin: &str) -> AllowOrigins {
        AllowOrigins::These(vec![origin.to_owned()])
    }

    const SHOP: (&str, &str) = ("origin", "https://shop.example");
    const ASKS: (&str, &str) = ("access-control-request-method", "GET");

    #[tokio::test]
    async fn a_preflight_of_an_allowed_origin_is_answered() {
        let response = ask(these(SHOP.1), "OPTIONS", "/api/pets", &[SHOP, ASKS]).await;
        assert_eq!(response.status(), StatusCode::NO_CONTENT);
        let headers = response.headers();
        assert_eq!(headers[ACCESS_CONTROL_ALLOW_ORIGIN], SHOP.1);
        assert_eq!(headers[ACCESS_CONTROL_ALLOW_CREDENTIALS], "true");
        assert_eq!(headers[ACCESS_CONTROL_ALLOW_HEADERS], DEFAULT_ALLOWED);
        let vary: Vec<_> = headers.get_all(VARY).iter().collect();
        assert_eq!(vary, ["access-control-request-headers", "origin"]);
        assert!(!headers.contains_key(ALLOW_PRIVATE_NETWORK));
    }

    #[tokio::test]
    async fn a_preflight_allows_the_requested_headers_within_bounds() {
        let many = (0..100).map(|number| format!("x-{number}")).collect::<Vec<_>>().join(",");
        let first = (0..MAX_NAMES).map(|number| format!("x-{number}")).collect::<Vec<_>>().join(", ");
        let long = format!("x-a,{},x-b", "y".repeat(MAX_NAMES_LEN));
        for (asked, allowed) in [
            // Of openai-node 6 in Firefox, and of pages with Sentry or OpenTelemetry.
            (
                "authorization,content-type,user-agent,x-stainless-os",
                "authorization, content-type, user-agent, x-stainless-os",
            ),
            (
                "baggage,openai-organization,openai-project,sentry-trace",
                "baggage, openai-organization, openai-project, sentry-trace",
            ),
            ("traceparent, tracestate", "traceparent, tracestate"),
            ("x-a,b c,,(d),\"e\",x-f", "x-a, x-f"),
            ("", ""),
            (&many, &first),
            (&long, "x-a"),
        ] {
            for origins in [these(SHOP.1), AllowOrigins::Any] {
                let headers = [SHOP, ASKS, ("access-control-request-headers", asked)];
                let response = ask(origins, "OPTIONS", "/api/pets", &headers).await;
                assert_eq!(response.status(), StatusCode::NO_CONTENT);
                let named = response.headers()[ACCESS_CONTROL_ALLOW_HEADERS].to_str().unwrap();
                assert_eq!(named, allowed, "{asked}");
            }
        }
    }

    #[tokio::test]
    async fn an_allowed_page_of_the_internet_may_reach_a_private_network() {
        let asks = ("access-control-request-private-network", "true");
        let response = ask(these(SHOP.1), "OPTIONS", "/api/pets", &[SHOP, ASKS, asks]).await;
        assert_eq!(response.headers()[ALLOW_PRIVATE_NETWORK], "true");
        let response = ask(these("https://other.example"), "OPTIONS", "/api/pets", &[SHOP, ASKS, asks]).await;
        assert!(!response.headers().contains_key(ALLOW_PRIVATE_NETWORK));
    }

    #[tokio::test]
    async fn other_origins_and_paths_get_no_headers() {
        for origins in [AllowOrigins::default(), these("https://other.example")] {
            let preflight = ask(origins.clone(), "OPTIONS", "/api/pets", &[SHOP, ASKS]).await;
            assert_eq!(preflight.status(), StatusCode::METHOD_NOT_ALLOWED);
            let plain = ask(origins, "GET", "/api/pets", &[SHOP]).await;
            assert_eq!(plain.status(), StatusCode::OK);
            for response in [preflight, plain] {
                assert!(!response.headers().contains_key(ACCESS_CONTROL_ALLOW_ORIGIN));
            }
        }
        let probe = ask(AllowOrigins::Any, "GET", "/healthz", &[SHOP]).await;
        assert!(!probe.headers().contains_key(ACCESS_CONTROL_ALLOW_ORIGIN));
    }

    #[tokio::test]
    async fn any_origin_may_be_allowed_but_not_with_credentials() {
        let response = ask(AllowOrigins::Any, "GET", "/api/pets", &[SHOP]).await;
        let headers = response.headers();
        assert_eq!(headers[ACCESS_CONTROL_ALLOW_ORIGIN], "*");
        let exposed = headers[ACCESS_CONTROL_EXPOSE_HEADERS].to_str().unwrap();
        for name in ["x-should-retry", "retry-after-ms", "openai-processing-ms", "location", "petstream-cursor"] {
            assert!(exposed.split(", ").any(|exposed| exposed == name), "{name}");
        }
        assert!(!headers.contains_key(ACCESS_CONTROL_ALLOW_CREDENTIALS) && !headers.contains_key(VARY));
    }
}
