//! Request id, log line, count, panics.
//!
//! Answers 500 when a handler panics. Ends at the last body byte, or when the client leaves: only then is it known what
//! a request came to. Every response gets `x-request-id` and `openai-processing-ms` (time to the head).

use std::convert::Infallible;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use axum::body::Body;
use axum::extract::{MatchedPath, Request};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method, StatusCode};
use http_body::{Body as HttpBody, Frame, SizeHint};
use pin_project_lite::pin_project;
use tower::{Layer, Service};
use uuid::Uuid;

use crate::error::{ApiError, Reason, refused_by_engine};
use crate::http::server::EngineRefusal;
use crate::telemetry::RequestLine;
use crate::telemetry::metrics::{GaugeGuard, Metrics, RouteMetrics};
use crate::telemetry::record::Record;

/// Most of a path that is logged, bytes: anybody can send one of 64 KB, with a key or without.
const MAX_PATH: usize = 1024;
/// Most of a method, bytes.
const MAX_METHOD: usize = 32;
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const PROCESSING_MS: HeaderName = HeaderName::from_static("openai-processing-ms");

/// What nginx logs when a client closes before it was answered; no client ever sees it.
const CLIENT_CLOSED_REQUEST: u16 = 499;

/// Observes what a service does. A [`Record`] is among the request's extensions from here on.
#[derive(Clone)]
pub struct RequestLogLayer {
    metrics: Metrics,
    route: Option<Arc<RouteMetrics>>,
}

impl RequestLogLayer {
    /// Counts in `metrics`.
    #[must_use]
    pub const fn new(metrics: Metrics) -> Self {
        Self { metrics, route: None }
    }

    /// In front of this route alone; otherwise axum tells which route each request came to.
    #[must_use]
    pub fn of_route(self, route: &str) -> Self {
        Self { route: Some(self.metrics.route(route)), ..self }
    }
}

impl<S> Layer<S> for RequestLogLayer {
    type Service = RequestLog<S>;

    fn layer(&self, inner: S) -> RequestLog<S> {
        RequestLog { metrics: self.metrics.clone(), route: self.route.clone(), inner }
    }
}

/// The service; see the module.
#[derive(Clone)]
pub struct RequestLog<S> {
    metrics: Metrics,
    route: Option<Arc<RouteMetrics>>,
    inner: S,
}

impl<S> Service<Request> for RequestLog<S>
where
    S: Service<Request, Response = Response, Error = Infallible>,
{
    type Response = Response;
    type Error = Infallible;
    type Future = RequestLogFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request) -> Self::Future {
        let record = Record::begin(request_id());
        let line = Line {
            method: request.method().clone(),
            path: beginning(request.uri().path(), MAX_PATH).to_owned(),
            status: None,
            failure: None,
            record: record.clone(),
            complete: false,
            route: match &self.route {
                Some(route) => Route::Known(Arc::clone(route)),
                None => Route::Matched(self.metrics.clone(), request.extensions().get().cloned()),
            },
            _in_flight: self.metrics.request_begins(),
        };
        request.extensions_mut().insert(record);
        let answer = catch_unwind(AssertUnwindSafe(|| self.inner.call(request))).ok();
        RequestLogFuture { answer, line: Some(line) }
    }
}

/// The answer to what the HTTP engine refused by itself, which passes no layer: with an id, a line in the log and a count, as
/// any other. Nothing of the request but its method and path is logged.
#[must_use]
pub fn refused(metrics: &Metrics, refused: &EngineRefusal<'_>) -> Response {
    metrics.refused_by_engine(refused.reason());
    let path = refused.target.split('?').next().unwrap_or_default();
    let line = Line {
        // `-` where none could be read.
        method: Method::from_bytes(refused.method.as_bytes()).or_else(|_| Method::from_bytes(b"-")).unwrap_or_default(),
        path: path.to_owned(),
        status: None,
        failure: None,
        record: Record::begin(request_id()),
        complete: false,
        route: Route::Matched(metrics.clone(), None),
        _in_flight: metrics.request_begins(),
    };
    line.record.facts().failure = Some(refused.reason().into());
    line.go_on(Some(refused_by_engine(refused)))
}

/// At most so many bytes of a text, whole characters.
fn beginning(text: &str, most: usize) -> &str {
    &text[..text.floor_char_boundary(most)]
}

/// `req_` and 32 hexadecimal digits.
fn request_id() -> Arc<str> {
    let mut id = *b"req_00000000000000000000000000000000";
    Uuid::new_v4().simple().encode_lower(&mut id[4..]);
    // It is all ASCII.
    std::str::from_utf8(&id).unwrap_or_default().into()
}

pin_project! {
    /// An answer on its way. Dropped with its line when the client leaves before the head: that is logged too.
    pub struct RequestLogFuture<F> {
        // None: the service panicked when it was called.
        #[pin]
        answer: Option<F>,
        line: Option<Line>,
    }
}

impl<F: Future<Output = Result<Response, Infallible>>> Future for RequestLogFuture<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let answer = this.answer.as_pin_mut();
        let polled = answer.map(|answer| catch_unwind(AssertUnwindSafe(|| answer.poll(cx))));
        let answered = match polled {
            Some(Ok(polled)) => ready!(polled).ok(),
            Some(Err(_)) | None => None,
        };
        let Some(line) = this.line.take() else { return Poll::Pending };
        Poll::Ready(Ok(line.go_on(answered)))
    }
}

impl Line {
    /// The head is there; none: there was a panic. The line goes on with the body.
    fn go_on(mut self, answered: Option<Response>) -> Response {
        let mut response = answered.unwrap_or_else(|| {
            tracing::error!(request_id = &**self.record.id(), path = self.path, "a handler panicked");
            ApiError::internal().into_response()
        });
        self.status = Some(response.status());
        self.failure = response.extensions_mut().remove::<Reason>().map(|reason| reason.0);
        let ms = u64::try_from(self.record.elapsed().as_millis()).unwrap_or(u64::MAX);
        let headers = response.headers_mut();
        // It is made of visible ASCII.
        if let Ok(id) = HeaderValue::from_str(self.record.id()) {
            headers.insert(REQUEST_ID, id);
        }
        headers.insert(PROCESSING_MS, HeaderValue::from(ms));
        response.map(|body| {
            // The answer to HEAD loses its body further out.
            self.complete = body.is_end_stream() || self.method == Method::HEAD;
            Body::new(LoggedBody { body, line: self })
        })
    }
}

/// The line in the log, written when it is dropped.
struct Line {
    method: Method,
    /// A copy: a piece of the request would keep the whole of its buffer.
    path: String,
    /// None while there is no head.
    status: Option<StatusCode>,
    failure: Option<String>,
    record: Record,
    complete: bool,
    route: Route,
    _in_flight: GaugeGuard,
}

/// Where a request is counted.
enum Route {
    Known(Arc<RouteMetrics>),
    /// At the route that axum has matched; none for paths that lead nowhere.
    Matched(Metrics, Option<MatchedPath>),
}

impl Route {
    fn count(&self, method: &Method, status: u16) {
        match self {
            Self::Known(route) => route.count(method, status),
            Self::Matched(metrics, path) => {
                metrics.request_ended(path.as_ref().map(MatchedPath::as_str), method, status);
            }
        }
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        let status = match self.status {
            Some(status) if self.complete => status.as_u16(),
            _ => CLIENT_CLOSED_REQUEST,
        };
        let facts = self.record.facts();
        let line = RequestLine {
            request_id: self.record.id(),
            method: beginning(self.method.as_str(), MAX_METHOD),
            path: &self.path,
            status,
            took: self.record.elapsed(),
            facts: &facts,
            failure: facts.failure.as_deref().or(self.failure.as_deref()),
        };
        line.log();
        self.route.count(&self.method, status);
    }
}

/// A body that knows whether it was sent to its end.
struct LoggedBody {
    // Dropped before the line, so that what it holds is settled when the line is written.
    body: Body,
    line: Line,
}

impl HttpBody for LoggedBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        // Some clients close as soon as they have read the last frame: that is success.
        self.line.complete = frame.is_none() || self.body.is_end_stream();
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use axum::Router;
    use axum::routing::get;
    use futures_util::{FutureExt, stream};
    use http_body_util::BodyExt;
    use tower::ServiceExt;

    use super::*;

    async fn ask(metrics: &Metrics, path: &str) -> Response {
        async fn two() -> Body {
            Body::from_stream(stream::iter(["a", "b"].map(Ok::<_, Infallible>)))
        }
        async fn never() -> Body {
            std::future::pending().await
        }
        let routes = Router::new().route("/things/{id}", get(two)).route("/never", get(never));
        let app = routes.layer(RequestLogLayer::new(metrics.clone()));
        app.oneshot(Request::get(path).body(Body::empty()).unwrap()).await.unwrap()
    }

    fn has(metrics: &Metrics, series: &str) -> bool {
        metrics.encode().lines().any(|line| line == series)
    }

    fn in_flight(metrics: &Metrics, count: u32) -> bool {
        has(metrics, &format!("petstream_requests_in_flight {count}"))
    }

    #[tokio::test]
    async fn a_request_is_in_flight_until_its_last_byte_and_counted_by_its_route() {
        let metrics = Metrics::new();
        let mut body = ask(&metrics, "/things/7").await.into_body();
        assert!(body.frame().await.is_some() && in_flight(&metrics, 1));
        assert!(!metrics.encode().contains("petstream_requests_total"));
        while body.frame().await.is_some() {}
        drop(body);
        assert!(in_flight(&metrics, 0));
        assert!(has(&metrics, r#"petstream_requests_total{route="/things/{id}",method="GET",status="200"} 1"#));
    }

    #[tokio::test]
    async fn a_client_that_leaves_is_counted_as_such_and_in_flight_no_more() {
        let metrics = Metrics::new();
        let mut body = ask(&metrics, "/things/7").await.into_body();
        assert!(body.frame().await.is_some());
        drop(body);
        let route = r#"petstream_requests_total{route="/things/{id}",method="GET",status="499"} 1"#;
        assert!(in_flight(&metrics, 0) && has(&metrics, route));
        assert!(ask(&metrics, "/never").now_or_never().is_none());
        let route = r#"petstream_requests_total{route="/never",method="GET",status="499"} 1"#;
        assert!(in_flight(&metrics, 0) && has(&metrics, route));
    }

    #[tokio::test]
    async fn a_path_that_leads_nowhere_has_no_label_of_its_own() {
        let metrics = Metrics::new();
        for path in ["/no", "/nowhere"] {
            ask(&metrics, path).await.into_body().collect().await.unwrap();
        }
        assert!(has(&metrics, r#"petstream_requests_total{route="other",method="GET",status="404"} 2"#));
    }
}
