//! Pages of other origins.
//!
//! Answers preflights of allowed origins, which browsers send without a key, with 204; every other request goes on, and
//! its answer says whether the page may read it. Covers `/v1` and `/api`. Ends at the headers.
//!
//! tower-http has such a layer too. It answers every OPTIONS itself, those of origins that are not allowed and those that are
//! no preflight included, puts `Vary` on all answers although no origin is allowed, and repeats the names that a browser
//! asks for unread and without a bound.

use std::convert::Infallible;
use std::future::{Future, Ready, ready};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use axum::extract::Request;
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

use crate::config::AllowOrigins;

/// Headers that pages may send, where their browser does not say which they want to.
const ALLOWED: HeaderValue =
    HeaderValue::from_static("authorization, content-type, last-event-id, if-match, idempotency-key");
/// Most names that are allowed at once, and most bytes of all of them. Real clients send some thirty, in 600 bytes.
const MAX_NAMES: usize = 64;
const MAX_BYTES: usize = 4_096;
/// What Chrome asks when a page of the Internet sends a request to a private network.
const REQUEST_PRIVATE_NETWORK: HeaderName = HeaderName::from_static("access-control-request-private-network");
const ALLOW_PRIVATE_NETWORK: HeaderName = HeaderName::from_static("access-control-allow-private-network");
const METHODS: HeaderValue = HeaderValue::from_static("GET, HEAD, POST, PUT, PATCH, DELETE");
/// Headers that pages may read: all that SDKs look at, OpenAI's own and ours. Browsers know no wildcard within a name, and
/// none at all where cookies are allowed.
const EXPOSED: HeaderValue = HeaderValue::from_static(
    "x-request-id, x-ratelimit-limit-requests, x-ratelimit-remaining-requests, x-ratelimit-reset-requests, \
     x-ratelimit-limit-tokens, x-ratelimit-remaining-tokens, x-ratelimit-reset-tokens, x-should-retry, retry-after, \
     retry-after-ms, openai-organization, openai-processing-ms, openai-project, openai-version, www-authenticate, date, \
     etag, location, idempotency-replayed, petstream-cursor",
);
/// How long a browser remembers a preflight, seconds; none remembers longer.
const MAX_AGE: HeaderValue = HeaderValue::from_static("7200");

/// Who may; the layer. Cheap to clone.
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

    /// Whether answers depend on who asks.
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

impl<S> Service<Request> for CorsService<S>
where
    S: Service<Request, Response = Response, Error = Infallible>,
{
    type Response = Response;
    type Error = Infallible;
    type Future = Either<CorsFuture<S::Future>, Ready<Result<Response, Infallible>>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let path = request.uri().path();
        let covered = ["/v1", "/api"].iter().any(|root| path.strip_prefix(root).is_some_and(at_a_slash));
        let marks = covered.then(|| self.cors.marks(&request)).flatten();
        if let Some(CorsHeaders { allowed: Some(_), preflight: true, .. }) = &marks {
            let mut response = answer(request.headers());
            marks.iter().for_each(|marks| marks.set(response.headers_mut()));
            return Either::Right(ready(Ok(response)));
        }
        Either::Left(CorsFuture { answer: self.inner.call(request), marks })
    }
}

/// What an answer says about who may read it.
struct CorsHeaders {
    allowed: Option<HeaderValue>,
    varies: bool,
    preflight: bool,
}

impl Cors {
    /// None: nothing at all.
    fn marks(&self, request: &Request) -> Option<CorsHeaders> {
        let headers = request.headers();
        let (allowed, varies) = (self.allowed(headers), self.varies());
        let preflight = || *request.method() == Method::OPTIONS && headers.contains_key(ACCESS_CONTROL_REQUEST_METHOD);
        (allowed.is_some() || varies).then(|| CorsHeaders { allowed, varies, preflight: preflight() })
    }
}

impl CorsHeaders {
    fn set(&self, headers: &mut HeaderMap) {
        if self.varies {
            headers.append(VARY, HeaderValue::from_static("origin"));
        }
        let Some(origin) = &self.allowed else { return };
        if !self.preflight {
            headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED);
        }
        if origin != "*" {
            // An EventSource comes back with its cookie only if this is said.
            headers.insert(ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
        }
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
    }
}

pin_project! {
    /// An answer on its way, which will say who may read it.
    pub struct CorsFuture<F> {
        #[pin]
        answer: F,
        marks: Option<CorsHeaders>,
    }
}

impl<F: Future<Output = Result<Response, Infallible>>> Future for CorsFuture<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let Ok(mut response) = ready!(this.answer.poll(cx));
        if let Some(marks) = this.marks {
            marks.set(response.headers_mut());
        }
        Poll::Ready(Ok(response))
    }
}

fn at_a_slash(rest: &str) -> bool {
    rest.is_empty() || rest.starts_with('/')
}

fn answer(request: &HeaderMap) -> Response {
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

/// What the browser asks for: the page's origin is allowed, and nothing here depends on which headers it sends. Chromium asks
/// for what the page adds; Firefox for `user-agent` too, where the page sets it. Names only, and not more than the bounds.
fn allowed_headers(request: &HeaderMap) -> HeaderValue {
    let Some(asked) = request.get(ACCESS_CONTROL_REQUEST_HEADERS).and_then(|value| value.to_str().ok()) else {
        return ALLOWED;
    };
    let names = asked.split(',').map(str::trim).filter(|name| HeaderName::from_bytes(name.as_bytes()).is_ok());
    let mut allowed = String::new();
    for name in names.take(MAX_NAMES) {
        if allowed.len() + name.len() > MAX_BYTES {
            break;
        }
        if !allowed.is_empty() {
            allowed.push_str(", ");
        }
        allowed.push_str(name);
    }
    HeaderValue::try_from(allowed).unwrap_or(ALLOWED)
}

#[cfg(test)]
mod tests {
    use axum::Router;
    use axum::body::Body;
    use axum::routing::get;
    use tower::ServiceExt;

    use super::*;

    async fn ask(origins: AllowOrigins, method: &str, path: &str, headers: &[(&str, &str)]) -> Response {
        let router: Router = Router::new()
            .route("/api/pets", get(|| async { "pets" }))
            .route("/healthz", get(|| async { "ok" }))
            .layer(Cors::new(origins));
        let mut request = http::Request::builder().method(method).uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        router.oneshot(request.body(Body::empty()).unwrap()).await.unwrap()
    }

    fn these(origin: &str) -> AllowOrigins {
        AllowOrigins::These(vec![origin.to_owned()])
    }

    const SHOP: (&str, &str) = ("origin", "https://shop.example");
    const ASKS: (&str, &str) = ("access-control-request-method", "GET");

    #[tokio::test]
    async fn a_preflight_of_an_allowed_origin_is_answered_here() {
        let response = ask(these(SHOP.1), "OPTIONS", "/api/pets", &[SHOP, ASKS]).await;
        assert_eq!(response.status(), StatusCode::NO_CONTENT);
        let headers = response.headers();
        assert_eq!(headers[ACCESS_CONTROL_ALLOW_ORIGIN], SHOP.1);
        assert_eq!(headers[ACCESS_CONTROL_ALLOW_CREDENTIALS], "true");
        assert_eq!(headers[ACCESS_CONTROL_ALLOW_HEADERS], ALLOWED);
        let vary: Vec<_> = headers.get_all(VARY).iter().collect();
        assert_eq!(vary, ["access-control-request-headers", "origin"]);
        assert!(!headers.contains_key(ALLOW_PRIVATE_NETWORK));
    }

    #[tokio::test]
    async fn a_preflight_allows_what_the_browser_asks_for_within_bounds() {
        let many = (0..100).map(|number| format!("x-{number}")).collect::<Vec<_>>().join(",");
        let first = (0..MAX_NAMES).map(|number| format!("x-{number}")).collect::<Vec<_>>().join(", ");
        let long = format!("x-a,{},x-b", "y".repeat(MAX_BYTES));
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
    async fn a_page_of_the_internet_may_come_to_a_private_network_if_it_is_allowed() {
        let asks = ("access-control-request-private-network", "true");
        let response = ask(these(SHOP.1), "OPTIONS", "/api/pets", &[SHOP, ASKS, asks]).await;
        assert_eq!(response.headers()[ALLOW_PRIVATE_NETWORK], "true");
        let response = ask(these("https://other.example"), "OPTIONS", "/api/pets", &[SHOP, ASKS, asks]).await;
        assert!(!response.headers().contains_key(ALLOW_PRIVATE_NETWORK));
    }

    #[tokio::test]
    async fn others_hear_nothing_of_it() {
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
    async fn everybody_is_allowed_without_cookies() {
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
