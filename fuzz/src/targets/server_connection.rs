//! A client's connection against hyper's, fed the same bytes: the same requests with the same bodies, and as many answers.
//!
//! Differences that are meant, in which this server refuses what hyper accepts:
//! - HTTP/1.1 without a `Host`, or more than one of them, or one that is no host (RFC 9112, section 3.2);
//! - a target with a user in it;
//! - a transfer coding beside `Content-Length`, or in HTTP/1.0 (section 6.1: such a message may be an attack);
//! - any other transfer coding than `chunked` alone;
//! - chunk lines and trailers with a bare CR, and what else section 7.1 does not allow;
//! - heads longer than [`MAX_HEAD`].

use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Body;
use petstream::http::server::{Connection, EngineRefusal, ConnectionOptions};
use petstream::time::TaskTimer;
use tokio::runtime::{Builder, Runtime};

use crate::memory::{Memory, poll_to_end};
use crate::pieces::cuts;
use crate::reference::request_head::is_host;

/// Longest head, bytes.
const MAX_HEAD: usize = 8 * 1024;
const HOUR: Duration = Duration::from_secs(3_600);
const TERMS: ConnectionOptions = ConnectionOptions { head: MAX_HEAD, first_head: HOUR, idle: HOUR };

thread_local! {
    static RUNTIME: Runtime = Builder::new_current_thread().enable_time().build().expect("a runtime");
}

/// A request as a service saw it.
#[derive(Clone, Debug)]
struct Seen {
    method: Method,
    target: String,
    headers: HeaderMap,
    /// None: it broke off.
    body: Option<Bytes>,
}

impl Seen {
    fn is(&self, other: &Self) -> bool {
        self.is_alike(other) && self.body == other.body
    }

    fn is_alike(&self, other: &Self) -> bool {
        (&self.method, &self.target) == (&other.method, &other.target)
    }

    /// Whether this server refuses such a request, which hyper accepts. `data`: all that was sent; hyper leaves out a
    /// `Content-Length` beside a transfer coding.
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

/// Reads the body if it is wanted, notes the request and answers it.
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

/// The answer to what is refused.
fn bare(refused: &EngineRefusal<'_>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::default());
    *response.status_mut() = refused.status;
    response
}

/// What a connection's service saw, and what went out.
fn ours(pieces: &[&[u8]], reads: bool) -> (Vec<(Seen, bool)>, Vec<u8>) {
    let (socket, written) = Memory::new(pieces);
    let log = Log::default();
    let requests = Arc::clone(&log);
    let service = move |request| Box::pin(serve(request, Arc::clone(&requests), reads));
    RUNTIME.with(|runtime| {
        let _entered = runtime.enter();
        // A client that is gone is an error, which is as it should be.
        let _ = poll_to_end(Connection::new(socket, TERMS, TaskTimer::default(), service, Arc::new(bare)));
    });
    (take(&log), std::mem::take(&mut written.lock().unwrap_or_else(PoisonError::into_inner)))
}

fn hypers(pieces: &[&[u8]]) -> Vec<(Seen, bool)> {
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

/// Tries one input.
///
/// # Panics
/// Where something is wrong.
pub fn run(data: &[u8]) {
    let expected = hypers(&[data]);
    let (whole, _) = ours(&[data], true);
    for pieces in cuts(data) {
        let (seen, written) = ours(&pieces, true);
        assert_eq!(seen.len(), whole.len(), "requests in {} pieces", pieces.len());
        assert!(seen.iter().zip(&whole).all(|(one, other)| one.0.is(&other.0)), "{seen:?} instead of {whole:?}");
        assert_answers(&seen, &written);
        let (hasty, written) = ours(&pieces, false);
        assert!(hasty.len() <= whole.len(), "bodies were taken for requests: {hasty:?} instead of {whole:?}");
        assert!(hasty.iter().zip(&whole).all(|(one, other)| one.0.is_alike(&other.0)), "{hasty:?} {whole:?}");
        assert_answers(&hasty, &written);
    }
    compare(&whole, &expected, data);
}

fn compare(ours: &[(Seen, bool)], hypers: &[(Seen, bool)], data: &[u8]) {
    for (number, (one, other)) in ours.iter().zip(hypers).enumerate() {
        if one.0.body.is_none() && other.0.is(&Seen { body: other.0.body.clone(), ..one.0.clone() }) {
            // A body whose framing hyper takes and this server does not; nothing may come behind it.
            assert_eq!(ours.len(), number + 1, "a request behind a body that broke off");
            return;
        }
        assert!(one.0.is(&other.0), "request {number} is {one:?}, with hyper {other:?}");
    }
    assert!(ours.len() <= hypers.len(), "hyper refuses {:?}", ours.get(hypers.len()));
    if let Some((refused, is_new)) = hypers.get(ours.len()) {
        assert!(refused.is_refused_on_purpose(*is_new, data), "hyper accepts {refused:?}");
    }
}

/// Reads what was sent: an answer to each request in its order, perhaps a refusal behind them, and nothing else.
fn assert_answers(seen: &[(Seen, bool)], mut written: &[u8]) {
    let text = String::from_utf8_lossy(written).into_owned();
    for (request, _) in seen {
        while let Some(rest) = written.strip_prefix(b"HTTP/1.1 100 Continue\r\n\r\n") {
            written = rest;
        }
        if written.is_empty() && request.body.is_none() {
            // It had left before its body was there.
            return;
        }
        let (head, rest) = head(written).unwrap_or_else(|| panic!("no answer to {request:?}: {text}"));
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
