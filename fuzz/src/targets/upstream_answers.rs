//! Two requests to one upstream whose first response is the input. The second request gets its own response, whatever
//! bytes follow the first one, and each request is sent once.

use std::borrow::Cow;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;
use petstream::config::UpstreamConfig;
use petstream::upstream::{Target, UpstreamRequest};
use petstream::wire::operation::{Operation, Resource};
use petstream::wire::request::ForwardedBody;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinSet;

use crate::reference::chunked::{self, End};

const BODY: &[u8] = b"{\"question\":0}";
const SECOND: &[u8] = b"the second answer";
/// The longest body of a response, bytes.
const MAX_BODY: usize = 64 * 1024;
/// A limit that only a hang reaches.
const TEST_TIMEOUT: Duration = Duration::from_secs(20);

thread_local! {
    static RUNTIME: Runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
    /// One for all inputs: one for each would exhaust the ports.
    static LISTENER: Arc<TcpListener> = RUNTIME.with(|runtime| {
        Arc::new(runtime.block_on(TcpListener::bind("127.0.0.1:0")).expect("a port"))
    });
}

/// Checks one input.
///
/// # Panics
/// When a check fails.
pub fn run(data: &[u8]) {
    let listener = LISTENER.with(Arc::clone);
    RUNTIME.with(|runtime| {
        for closes in [false, true] {
            runtime.block_on(ask_twice(data, closes, Arc::clone(&listener)));
        }
    });
}

/// The upstream sends `data` for the first request. It then closes the connection if `closes`, or if `data` is no whole
/// response, since the client would wait for its end.
async fn ask_twice(data: &[u8], closes: bool, listener: Arc<TcpListener>) {
    let first = Expected::of(data);
    let url = format!("http://{}/v1", listener.local_addr().expect("an address"));
    let target = Target::new(&UpstreamConfig::new(url.parse().expect("a URL")), "target".into()).expect("a target");
    let requests = Arc::new(AtomicUsize::new(0));
    let ends = closes || !matches!(first, Expected::Whole { .. });
    let upstream = tokio::spawn(serve(listener, data.to_vec(), ends, Arc::clone(&requests)));
    let whole = async {
        let answer = ask(&target).await;
        first.assert_is(answer.as_ref());
        let second = ask(&target).await.expect("the second answer");
        assert_eq!(second, (200, Bytes::from_static(SECOND)));
    };
    tokio::time::timeout(TEST_TIMEOUT, whole).await.expect("responses in time");
    assert_eq!(requests.load(Ordering::Relaxed), 2, "requests that the upstream received");
    // The upstream resets its sockets before the client closes its own, so that no port stays in TIME_WAIT.
    upstream.abort();
    let _ = upstream.await;
    for _ in 0..8 {
        tokio::task::yield_now().await;
    }
    drop(target);
}

/// The response to one request, if it is complete.
async fn ask(target: &Arc<Target>) -> Option<(u16, Bytes)> {
    let client = HeaderMap::new();
    let body = ForwardedBody::Whole(Cow::Owned(Bytes::from_static(BODY)));
    let ask = UpstreamRequest { resource: Resource::Answer(Operation::Chat), body, stream: false, client: &client };
    let mut answer = target.send(&ask).await.ok()?;
    let body = answer.body.read_to_end(MAX_BODY).await.ok()??;
    Some((answer.status.as_u16(), body))
}

/// Runs the upstream.
async fn serve(listener: Arc<TcpListener>, first: Vec<u8>, ends: bool, requests: Arc<AtomicUsize>) {
    let mut connections = JoinSet::new();
    while let Ok((socket, _)) = listener.accept().await {
        connections.spawn(serve_one(socket, first.clone(), ends, Arc::clone(&requests)));
    }
}

async fn serve_one(mut socket: TcpStream, first: Vec<u8>, ends: bool, requests: Arc<AtomicUsize>) -> io::Result<()> {
    socket.set_zero_linger()?;
    let mut received = Vec::new();
    while socket.read_buf(&mut received).await? > 0 {
        while let Some(end) = received.windows(BODY.len()).position(|part| part == BODY) {
            received.drain(..end + BODY.len());
            if requests.fetch_add(1, Ordering::Relaxed) == 0 {
                socket.write_all(&first).await?;
                if ends {
                    socket.shutdown().await?;
                }
            } else {
                let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", SECOND.len());
                socket.write_all(&[head.as_bytes(), SECOND].concat()).await?;
            }
        }
    }
    Ok(())
}

/// The expected outcome of the first request.
#[derive(Debug, PartialEq, Eq)]
enum Expected {
    /// A response whose end is in the input.
    Whole { status: u16, body: Vec<u8> },
    /// A response that ends with the connection.
    ToTheEnd { status: u16, body: Vec<u8> },
    /// A failure.
    Failure,
    /// Not defined by the reference: the head is written in an unusual form.
    Unknown,
}

impl Expected {
    /// Reads heads in the usual form of RFC 9112; others are [`Self::Unknown`].
    fn of(data: &[u8]) -> Self {
        let Some((status, fields, rest)) = head(data) else { return Self::Unknown };
        let values = |name: &str| -> Vec<&str> {
            fields.iter().filter(|(other, _)| other == name).map(|(_, value)| value.as_str()).collect()
        };
        let (lengths, codings) = (values("content-length"), values("transfer-encoding"));
        let whole = |body: &[u8]| Self::Whole { status, body: body.to_vec() };
        if lengths.len() > 1 || lengths.iter().any(|length| length.bytes().any(|byte| !byte.is_ascii_digit())) {
            return Self::Unknown;
        }
        match (&lengths[..], &codings[..]) {
            _ if lengths.iter().any(|length| length.parse::<u64>().is_err()) => Self::Unknown,
            _ if matches!(status, 204 | 304) => whole(b""),
            ([], ["chunked"]) => match chunked::read(rest) {
                (body, End::Ended(_)) => whole(&body),
                _ => Self::Failure,
            },
            ([length], []) => match length.parse::<usize>() {
                Ok(length) if length <= rest.len() => whole(&rest[..length]),
                Ok(_) => Self::Failure,
                Err(_) => Self::Unknown,
            },
            ([], []) => Self::ToTheEnd { status, body: rest.to_vec() },
            _ => Self::Unknown,
        }
    }

    fn assert_is(&self, answer: Option<&(u16, Bytes)>) {
        match self {
            Self::Whole { status, body } | Self::ToTheEnd { status, body } => {
                let answer = answer.expect("an answer");
                assert_eq!((answer.0, &answer.1[..]), (*status, &body[..]));
            }
            Self::Failure => assert_eq!(answer, None),
            Self::Unknown => {}
        }
    }
}

type Fields = Vec<(String, String)>;

/// Status, fields and the bytes behind the head of a final HTTP/1.1 response in the usual form.
fn head(data: &[u8]) -> Option<(u16, Fields, &[u8])> {
    let end = data.windows(4).position(|four| four == b"\r\n\r\n")?;
    let text = std::str::from_utf8(&data[..end]).ok()?;
    let mut lines = text.split("\r\n");
    let first = lines.next()?.strip_prefix("HTTP/1.1 ")?;
    let (status, reason) = first.split_once(' ')?;
    let is_plain = |text: &str| text.bytes().all(|byte| matches!(byte, b' '..=b'~'));
    let status = status.parse::<u16>().ok().filter(|_| status.len() == 3 && is_plain(reason))?;
    let mut fields = Vec::new();
    for line in lines {
        let (name, value) = line.split_once(": ")?;
        let is_name = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-');
        if !is_name || !is_plain(value) || value.trim() != value || fields.len() == 20 {
            return None;
        }
        fields.push((name.to_owned(), value.to_owned()));
    }
    (200..600).contains(&status).then_some((status, fields, &data[end + 4..]))
}
