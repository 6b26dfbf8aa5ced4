//! The outermost layer: the request's id, its line in the log, its metrics, and 500 when a handler panics.
//!
//! The line is written when the last byte of the body has been sent or the client has left: only then the outcome is
//! known. Every answer gets `x-request-id` and `openai-processing-ms` (the time to its head). Makes the
//! [`RequestContext`] that the layers behind it add to.

use std::convert::Infallible;
use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use http_body::{Body as HttpBody, Frame, SizeHint};
use pin_project_lite::pin_project;
use tokio::time::Instant;
use tower::{Layer, Service};
use uuid::Uuid;

use super::context::{ConnectionRequest, ContextRequest, RequestContext};
use crate::config::TrustedProxies;
use crate::error::{ApiError, FailureLabel, Surface, refused_by_engine};
use crate::http::server::EngineRefusal;
use crate::telemetry::RequestLine;
use crate::telemetry::metrics::{GaugeGuard, Metrics, RouteMetrics};
use crate::telemetry::record::Record;
use crate::time::TaskTimer;
use crate::wire::forwarded::client_address;

/// Longest part of a path that is logged, bytes. Clients without a key can send paths of 64 KB.
const MAX_PATH_LEN: usize = 1024;
/// Longest part of a method that is logged, bytes.
const MAX_METHOD_LEN: usize = 32;
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// The header for the request's id that Anthropic's SDKs read.
const ANTHROPIC_REQUEST_ID: HeaderName = HeaderName::from_static("request-id");
const PROCESSING_MS: HeaderName = HeaderName::from_static("openai-processing-ms");
/// The status in the log of a request whose client left before the answer was complete, as in nginx. Never sent.
const CLIENT_CLOSED_REQUEST: u16 = 499;

/// The layer; cheap to clone.
#[derive(Clone)]
pub struct RequestLogLayer {
    shared: Arc<Shared>,
}

/// What the requests of a route share. One allocation, since the service is cloned for each of them.
struct Shared {
    metrics: Metrics,
    route: Arc<RouteMetrics>,
    trusted: Arc<TrustedProxies>,
}

impl RequestLogLayer {
    /// Counts requests in `metrics`, under the path template `route`; none is for paths without a route. `trusted` are
    /// the proxies whose word about the address of a client is believed.
    #[must_use]
    pub fn new(metrics: Metrics, route: Option<&str>, trusted: Arc<TrustedProxies>) -> Self {
        let route = metrics.route(route);
        Self { shared: Arc::new(Shared { metrics, route, trusted }) }
    }
}

impl<S> Layer<S> for RequestLogLayer {
    type Service = RequestLog<S>;

    fn layer(&self, inner: S) -> RequestLog<S> {
        RequestLog { shared: Arc::clone(&self.shared), inner }
    }
}

/// The service; see the module.
#[derive(Clone)]
pub struct RequestLog<S> {
    shared: Arc<Shared>,
    inner: S,
}

impl<S> Service<ConnectionRequest> for RequestLog<S>
where
    S: Service<ContextRequest, Response = Response, Error = Infallible>,
{
    type Response = Response;
    type Error = Infallible;
    type Future = RequestLogFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: ConnectionRequest) -> Self::Future {
        let ConnectionRequest { http: request, connection } = request;
        let Shared { metrics, route, trusted } = &*self.shared;
        let record = Record::begin(request_id(), connection.timer.clone());
        let client = client(trusted, connection.peer, request.headers());
        record.facts().client = client;
        let line = LogLine {
            method: request.method().clone(),
            path: truncated(request.uri().path(), MAX_PATH_LEN).to_owned(),
            status: None,
            failure: None,
            record: record.clone(),
            complete: false,
            route: Arc::clone(route),
            surface: Surface::of_path(request.uri().path()),
            _in_flight: metrics.request_begins(),
        };
        let request =
            ContextRequest { http: request, context: RequestContext { connection, client, record, caller: () } };
        let response = catch_unwind(AssertUnwindSafe(|| self.inner.call(request))).ok();
        RequestLogFuture { response, line: Some(line) }
    }
}

/// The address of the client: the peer, or the one that a trusted peer names.
fn client(trusted: &TrustedProxies, peer: Option<SocketAddr>, headers: &HeaderMap) -> Option<IpAddr> {
    let peer = peer.map(|peer| peer.ip());
    if trusted.is_empty() || !trusted.contains(peer) {
        return peer;
    }
    client_address(headers, |address| trusted.contains(Some(address))).or(peer)
}

/// The answer to a request that the HTTP server has refused, which passes no layer. Like any other it gets an id, a
/// line in the log and a count. Only the method and the path of the request are logged.
#[must_use]
pub fn refused(metrics: &Metrics, refused: &EngineRefusal<'_>) -> Response {
    metrics.refused_by_engine(refused.reason());
    let path = refused.target.split('?').next().unwrap_or_default();
    let line = LogLine {
        // `-` if no method could be read.
        method: Method::from_bytes(refused.method.as_bytes()).or_else(|_| Method::from_bytes(b"-")).unwrap_or_default(),
        path: path.to_owned(),
        status: None,
        failure: None,
        record: Record::begin(request_id(), TaskTimer::default()),
        complete: false,
        route: metrics.route(None),
        surface: Surface::of_path(path),
        _in_flight: metrics.request_begins(),
    };
    line.record.facts().failure = Some(refused.reason().into());
    line.attach(Some(refused_by_engine(refused)))
}

/// The first `max` bytes of a text, whole characters.
fn truncated(text: &str, max: usize) -> &str {
    &text[..text.floor_char_boundary(max)]
}

/// `req_` and 32 hexadecimal digits.
fn request_id() -> Arc<str> {
    let mut id = *b"req_00000000000000000000000000000000";
    Uuid::new_v4().simple().encode_lower(&mut id[4..]);
    // It is all ASCII.
    std::str::from_utf8(&id).unwrap_or_default().into()
}

pin_project! {
    /// Adds the line to the response. If it is dropped before the head, since the client has left, that is logged too.
    pub struct RequestLogFuture<F> {
        // None: the service panicked when it was called.
        #[pin]
        response: Option<F>,
        line: Option<LogLine>,
    }
}

impl<F: Future<Output = Result<Response, Infallible>>> Future for RequestLogFuture<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let response = this.response.as_pin_mut();
        let polled = response.map(|response| catch_unwind(AssertUnwindSafe(|| response.poll(cx))));
        let response = match polled {
            Some(Ok(polled)) => ready!(polled).ok(),
            Some(Err(_)) | None => None,
        };
        let Some(line) = this.line.take() else { return Poll::Pending };
        Poll::Ready(Ok(line.attach(response)))
    }
}

impl LogLine {
    /// Adds the line to the body of the response, with which it ends; none: the handler panicked.
    fn attach(mut self, response: Option<Response>) -> Response {
        let mut response = response.unwrap_or_else(|| {
            tracing::error!(request_id = &**self.record.id(), path = self.path, "a handler panicked");
            let error = ApiError::internal();
            if self.surface == Surface::Anthropic { error.into_anthropic() } else { error.into_response() }
        });
        self.status = Some(response.status());
        self.failure = response.extensions_mut().remove::<FailureLabel>().map(|label| label.0);
        let ms = u64::try_from(self.record.elapsed().as_millis()).unwrap_or(u64::MAX);
        let headers = response.headers_mut();
        // It is made of visible ASCII.
        if let Ok(id) = HeaderValue::from_str(self.record.id()) {
            if self.surface == Surface::Anthropic {
                headers.insert(ANTHROPIC_REQUEST_ID, id.clone());
            }
            headers.insert(REQUEST_ID, id);
        }
        headers.insert(PROCESSING_MS, HeaderValue::from(ms));
        response.map(|body| {
            // The router takes the body off the answer to HEAD.
            self.complete = body.is_end_stream() || self.method == Method::HEAD;
            Body::new(LoggedBody { body, line: self })
        })
    }
}

/// A request's line in the log, written when it is dropped.
struct LogLine {
    method: Method,
    /// A copy: a slice of the request would keep its whole buffer in memory.
    path: String,
    /// None while there is no head.
    status: Option<StatusCode>,
    failure: Option<String>,
    record: Record,
    /// Whether the body has been sent to its end.
    complete: bool,
    route: Arc<RouteMetrics>,
    surface: Surface,
    _in_flight: GaugeGuard,
}

impl Drop for LogLine {
    fn drop(&mut self) {
        let status = match self.status {
            Some(status) if self.complete => status.as_u16(),
            _ => CLIENT_CLOSED_REQUEST,
        };
        let facts = self.record.facts();
        let line = RequestLine {
            request_id: self.record.id(),
            method: truncated(self.method.as_str(), MAX_METHOD_LEN),
            path: &self.path,
            status,
            // Not the time of the poll: a short answer is made and sent within one.
            took: Instant::now() - self.record.started(),
            facts: &facts,
            failure: facts.failure.as_deref().or(self.failure.as_deref()),
        };
        line.log();
        self.route.count(&self.method, status);
    }
}

/// A body with the line of its request.
struct LoggedBody {
    // Dropped before the line, so that usage is settled when the line is written.
    body: Body,
    line: LogLine,
}

impl HttpBody for LoggedBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        // A client that closes as soon as it has read the last frame has got a complete answer.
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
    use axum::extract::Request;
    use futures_util::{FutureExt, stream};
    use http_body_util::BodyExt;
    use tower::ServiceExt;

    use super::*;

    async fn ask(metrics: &Metrics, route: Option<&str>, path: &str) -> Response {
        let handler = tower::service_fn(async |request: ContextRequest| {
            if request.http.uri().path() == "/never" {
                std::future::pending::<()>().await;
            }
            let body = Body::from_stream(stream::iter(["a", "b"].map(Ok::<_, Infallible>)));
            Ok::<_, Infallible>(body.into_response())
        });
        let request = ConnectionRequest::from_router_request(Request::get(path).body(Body::empty()).unwrap());
        RequestLogLayer::new(metrics.clone(), route, Arc::default()).layer(handler).oneshot(request).await.unwrap()
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
        let mut body = ask(&metrics, Some("/things/{id}"), "/things/7").await.into_body();
        assert!(body.frame().await.is_some() && in_flight(&metrics, 1));
        assert!(!metrics.encode().contains("petstream_requests_total"));
        while body.frame().await.is_some() {}
        drop(body);
        assert!(in_flight(&metrics, 0));
        assert!(has(&metrics, r#"petstream_requests_total{route="/things/{id}",method="GET",status="200"} 1"#));
    }

    #[tokio::test]
    async fn a_client_that_leaves_is_counted_as_499_and_no_longer_in_flight() {
        let metrics = Metrics::new();
        let mut body = ask(&metrics, Some("/things/{id}"), "/things/7").await.into_body();
        assert!(body.frame().await.is_some());
        drop(body);
        let route = r#"petstream_requests_total{route="/things/{id}",method="GET",status="499"} 1"#;
        assert!(in_flight(&metrics, 0) && has(&metrics, route));
        assert!(ask(&metrics, Some("/never"), "/never").now_or_never().is_none());
        let route = r#"petstream_requests_total{route="/never",method="GET",status="499"} 1"#;
        assert!(in_flight(&metrics, 0) && has(&metrics, route));
    }

    #[tokio::test]
    async fn paths_without_a_route_share_one_label() {
        let metrics = Metrics::new();
        for path in ["/no", "/nowhere"] {
            ask(&metrics, None, path).await.into_body().collect().await.unwrap();
        }
        assert!(has(&metrics, r#"petstream_requests_total{route="other",method="GET",status="200"} 2"#));
    }
}
