//! A server connection, compared with hyper's on the same input: the same requests with the same bodies, and as many
//! responses.
//!
//! Intended differences, in which our server rejects what hyper accepts:
//! - HTTP/1.1 without `Host`, with several, or with an invalid one (RFC 9112, section 3.2);
//! - a target with user information;
//! - a transfer coding beside `Content-Length`, or in HTTP/1.0 (section 6.1: possible request smuggling);
//! - any other transfer coding than `chunked` alone;
//! - chunk lines and trailers that section 7.1 does not allow, such as those with a bare CR;
//! - heads longer than [`MAX_HEAD`].

use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Body;
use petstream::http::server::{Connection, ConnectionOptions, EngineRefusal};
use petstream::time::TaskTimer;
use tokio::runtime::{Builder, Runtime};

use crate::memory::{Memory, poll_to_end};
use crate::pieces::splits;
use crate::reference::request_head::is_host;

/// The longest head that is accepted, bytes.
const MAX_HEAD: usize = 8 * 1024;
const HOUR: Duration = Duration::from_secs(3_600);
const OPTIONS: ConnectionOptions = ConnectionOptions { head: MAX_HEAD, first_head: HOUR, idle: HOUR, age: None };

thread_local! {
    static RUNTIME: Runtime = Builder::new_current_thread().enable_time().build().expect("a runtime");
}

/// A request as the service received it.
#[derive(Clone, Debug)]
struct Seen {
    method: Method,
    target: String,
    headers: HeaderMap,
    /// None for a body that was truncated, malformed or not read.
    body: Option<Bytes>,
}

impl Seen {
    fn same(&self, other: &Self) -> bool {
        self.same_head(other) && self.body == other.body
    }

    fn same_head(&self, other: &Self) -> bool {
        (&self.method, &self.target) == (&other.method, &other.target)
    }

    /// Whether our server rejects this request, which hyper accepts, on purpose. `data` is the whole input, since hyper
    /// removes a `Content-Length` beside a transfer coding.
    fn is_refused_on_purpose(&self, version_11: bool, data: &[u8]) -> bool {
        let count = |name: &str| self.headers.get_all(name).iter().count();
        let codings: Vec<_> = self.headers.get_all("transfer-encoding").iter().collect();
        let plain = match codings[..] {
            [] => true,
            [one] => one.as_bytes().trim_ascii().eq_ignore_ascii_case(b"chunked") && version_11,
            _ => false,
        };
        let hosts = count("host");
        let has_length = String::from_utf8_lossy(data).to_ascii_lowercase().contains("content-length");
        let odd_host = !self.headers.get_all("host").iter().all(|host| is_host(host.as_bytes()));
        let has_user = self.target.contains('@');
        odd_host || has_user || hosts > 1 || version_11 && hosts == 0 || !plain || !codings.is_empty() && has_length
    }
}

type Log = Arc<Mutex<Vec<(Seen, bool)>>>;

/// Reads the body if `reads`, logs the request and responds.
async fn serve<B>(request: Request<B>, log: Log, reads: bool) -> Result<Response<Full<Bytes>>, Infallible>
where
    B: Body<Data = Bytes> + Unpin,
{
    let (parts, body) = request.into_parts();
    let is_new = parts.version == http::Version::HTTP_11;
    let body = if reads { body.collect().await.ok().map(|body| body.to_bytes()) } else { None };
    let seen = Seen { method: parts.method, target: parts.uri.to_string(), headers: parts.headers, body };
    log.lock().unwrap_or_else(PoisonError::into_inner).push((seen, is_new));
    Ok(Response::new(Full::new(Bytes::from_static(b"ok"))))
}

/// The response to a request that the server rejects itself.
fn render(refused: &EngineRefusal<'_>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::default());
    *response.status_mut() = refused.status;
    response
}

/// Runs our server; returns the requests and the bytes that were sent.
fn run_ours(pieces: &[&[u8]], reads: bool) -> (Vec<(Seen, bool)>, Vec<u8>) {
    let (socket, written) = Memory::new(pieces);
    let log = Log::default();
    let requests = Arc::clone(&log);
    let service = move |request| Box::pin(serve(request, Arc::clone(&requests), reads));
    RUNTIME.with(|runtime| {
        let _entered = runtime.enter();
        // A client that closes the connection is an expected error.
        let _ = poll_to_end(Connection::new(socket, OPTIONS, TaskTimer::default(), service, Arc::new(render)));
    });
    (take(&log), std::mem::take(&mut written.lock().unwrap_or_else(PoisonError::into_inner)))
}

fn run_hyper(pieces: &[&[u8]]) -> Vec<(Seen, bool)> {
    let (socket, _) = Memory::new(pieces);
    let log = Log::default();
    let requests = Arc::clone(&log);
    let service = hyper::service::service_fn(move |request| serve(request, Arc::clone(&requests), true));
    let mut builder = hyper::server::conn::http1::Builder::new();
    builder.half_close(true).max_buf_size(MAX_HEAD);
    let _ = poll_to_end(builder.serve_connection(socket, service));
    take(&log)
}

fn take(log: &Log) -> Vec<(Seen, bool)> {
    std::mem::take(&mut log.lock().unwrap_or_else(PoisonError::into_inner))
}

/// Checks one input.
///
/// # Panics
/// When a check fails.
pub fn run(data: &[u8]) {
    let expected = run_hyper(&[data]);
    let (whole, _) = run_ours(&[data], true);
    for pieces in splits(data) {
        let (seen, written) = run_ours(&pieces, true);
        assert_eq!(seen.len(), whole.len(), "requests in {} pieces", pieces.len());
        assert!(seen.iter().zip(&whole).all(|(one, other)| one.0.same(&other.0)), "{seen:?} instead of {whole:?}");
        assert_answers(&seen, &written);
        let (unread, written) = run_ours(&pieces, false);
        assert!(unread.len() <= whole.len(), "bytes of a body were read as requests: {unread:?} instead of {whole:?}");
        assert!(unread.iter().zip(&whole).all(|(one, other)| one.0.same_head(&other.0)), "{unread:?} {whole:?}");
        assert_answers(&unread, &written);
    }
    compare(&whole, &expected, data);
}

fn compare(ours: &[(Seen, bool)], hypers: &[(Seen, bool)], data: &[u8]) {
    for (number, (one, other)) in ours.iter().zip(hypers).enumerate() {
        if one.0.body.is_none() && other.0.same(&Seen { body: other.0.body.clone(), ..one.0.clone() }) {
            // A body whose framing our server rejects and hyper accepts. No request may follow it.
            assert_eq!(ours.len(), number + 1, "a request behind a rejected body");
            return;
        }
        assert!(one.0.same(&other.0), "request {number} is {one:?}, with hyper {other:?}");
    }
    assert!(ours.len() <= hypers.len(), "hyper rejects {:?}", ours.get(hypers.len()));
    if let Some((refused, is_new)) = hypers.get(ours.len()) {
        assert!(refused.is_refused_on_purpose(*is_new, data), "hyper accepts {refused:?}");
    }
}

/// Checks what was sent: a response to each request in order, possibly an error response behind them, and nothing else.
fn assert_answers(seen: &[(Seen, bool)], mut written: &[u8]) {
    let text = String::from_utf8_lossy(written).into_owned();
    for (request, _) in seen {
        while let Some(rest) = written.strip_prefix(b"HTTP/1.1 100 Continue\r\n\r\n") {
            written = rest;
        }
        if written.is_empty() && request.body.is_none() {
            // The client closed the connection within the body.
            return;
        }
        let (head, rest) = head(written).unwrap_or_else(|| panic!("no response to {request:?}: {text}"));
        assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{text}");
        assert!(head.contains("\r\ncontent-length: 2\r\n"), "{text}");
        let body: &[u8] = if request.method == Method::HEAD { b"" } else { b"ok" };
        written = rest.strip_prefix(body).unwrap_or_else(|| panic!("no body: {text}"));
    }
    if let Some((refusal, rest)) = head(written) {
        assert!(refusal.starts_with("HTTP/1.1 4") || refusal.starts_with("HTTP/1.1 5"), "{text}");
        assert!(refusal.contains("\r\nconnection: close\r\n"), "{text}");
        assert!(rest.is_empty(), "{text}");
    } else {
        assert!(written.is_empty(), "{text}");
    }
}

fn head(written: &[u8]) -> Option<(String, &[u8])> {
    let end = written.windows(4).position(|four| four == b"\r\n\r\n")? + 4;
    Some((String::from_utf8_lossy(&written[..end]).into_owned(), &written[end..]))
}
