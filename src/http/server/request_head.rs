//! The head of a request: RFC 9112, sections 2, 3 and 6.

use std::mem::MaybeUninit;
use std::net::Ipv6Addr;

use bytes::{Buf, Bytes, BytesMut};
use http::header::{CONNECTION, CONTENT_LENGTH, EXPECT, HOST, TRANSFER_ENCODING};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode, Uri, Version};
use httparse::{Header, ParserConfig, Status};

use crate::http::codec::{BodyDecoder, ChunkedDecoder};

/// Most fields of a head.
const MAX_FIELDS: usize = 100;
/// Longest target, bytes: what `http::Uri` can hold.
const MAX_TARGET: usize = u16::MAX as usize - 1;
/// Longest target that is remembered, bytes.
const MAX_KEPT: usize = 256;

/// A request without its body.
#[derive(Debug)]
pub(super) struct Head {
    pub(super) request: Request<()>,
    pub(super) framing: BodyDecoder,
    pub(super) asked: ResponseContext,
    /// The connection may go on behind it.
    pub(super) keeps: bool,
    /// The client waits for a word before it sends the body.
    pub(super) waits: bool,
}

/// What the answer has to know of the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ResponseContext {
    /// The answer has no body, whatever its head says.
    pub(super) head_only: bool,
    /// HTTP/1.1, and not 1.0.
    pub(super) knows_chunks: bool,
}

/// What the fields say that are the connection's business.
#[derive(Default)]
struct HeaderScan {
    length: Option<u64>,
    chunked: bool,
    close: bool,
    keep: bool,
    waits: bool,
    hosts: usize,
}

impl Head {
    /// Takes a head of at most `most` bytes out of `inbox`; none while it is not all there.
    ///
    /// # Errors
    /// The status that says what is wrong with it.
    pub(super) fn take(inbox: &mut BytesMut, most: usize, targets: &mut Targets) -> Result<Option<Self>, StatusCode> {
        let mut fields = [const { MaybeUninit::<Header<'_>>::uninit() }; MAX_FIELDS];
        let mut parsed = httparse::Request::new(&mut []);
        let config = ParserConfig::default();
        let length = match config.parse_request_with_uninit_headers(&mut parsed, inbox, &mut fields) {
            Ok(Status::Complete(length)) if length <= most => length,
            Ok(Status::Partial) if inbox.len() <= most => return Ok(None),
            Ok(_) | Err(httparse::Error::TooManyHeaders) => return Err(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE),
            Err(httparse::Error::Version) => return Err(StatusCode::HTTP_VERSION_NOT_SUPPORTED),
            Err(_) => return Err(StatusCode::BAD_REQUEST),
        };
        let method = Method::from_bytes(parsed.method.unwrap_or_default().as_bytes());
        let method = method.map_err(|_| StatusCode::BAD_REQUEST)?;
        let is_new = parsed.version == Some(1);
        // Names and values share one buffer of their own: the inbox's is larger, and will be used again.
        let head = Bytes::copy_from_slice(&inbox[..length]);
        let part = |part: &[u8]| {
            let at = part.as_ptr() as usize - inbox.as_ptr() as usize;
            head.slice(at..at + part.len())
        };
        let uri = targets.read(parsed.path.unwrap_or_default())?;
        let mut notes = HeaderScan::default();
        let mut headers = HeaderMap::with_capacity(parsed.headers.len());
        for field in &*parsed.headers {
            let name = HeaderName::from_bytes(field.name.as_bytes()).map_err(|_| StatusCode::BAD_REQUEST)?;
            let value = HeaderValue::from_maybe_shared(part(field.value)).map_err(|_| StatusCode::BAD_REQUEST)?;
            notes.take(&name, &value)?;
            headers.append(name, value);
        }
        let framing = notes.framing(is_new)?;
        inbox.advance(length);
        let asked = ResponseContext { head_only: method == Method::HEAD, knows_chunks: is_new };
        let mut request = Request::new(());
        *request.method_mut() = method;
        *request.uri_mut() = uri;
        *request.version_mut() = if is_new { Version::HTTP_11 } else { Version::HTTP_10 };
        *request.headers_mut() = headers;
        let keeps = !notes.close && (is_new || notes.keep);
        Ok(Some(Self { request, framing, asked, keeps, waits: notes.waits && is_new }))
    }
}

/// The targets of a connection's requests, of which each is nearly always that of the one before it.
#[derive(Debug, Default)]
pub(super) struct Targets {
    /// Path and query alone; `/` if there is none.
    last: Uri,
}

impl Targets {
    fn read(&mut self, target: &str) -> Result<Uri, StatusCode> {
        if self.last.path_and_query().is_some_and(|last| last.as_str() == target) {
            return Ok(self.last.clone());
        }
        if target.len() > MAX_TARGET {
            return Err(StatusCode::URI_TOO_LONG);
        }
        let uri = Uri::try_from(target).map_err(|_| StatusCode::BAD_REQUEST)?;
        if uri.authority().is_some_and(|authority| authority.as_str().contains('@')) {
            return Err(StatusCode::BAD_REQUEST);
        }
        if target.starts_with('/') && target.len() <= MAX_KEPT {
            self.last = uri.clone();
        }
        Ok(uri)
    }
}

impl HeaderScan {
    fn take(&mut self, name: &HeaderName, value: &HeaderValue) -> Result<(), StatusCode> {
        match *name {
            HOST => {
                self.hosts += 1;
                if !is_authority(value.as_bytes()) {
                    return Err(StatusCode::BAD_REQUEST);
                }
            }
            CONTENT_LENGTH => {
                let length = number(value.as_bytes()).ok_or(StatusCode::BAD_REQUEST)?;
                if self.length.replace(length).is_some_and(|other| other != length) {
                    return Err(StatusCode::BAD_REQUEST);
                }
            }
            TRANSFER_ENCODING => {
                let mut codings = tokens(value).rev();
                let last = codings.next().is_some_and(|coding| coding.eq_ignore_ascii_case(b"chunked"));
                if !last || std::mem::replace(&mut self.chunked, true) {
                    // Nobody could tell where the body ends.
                    return Err(StatusCode::BAD_REQUEST);
                }
                if codings.next().is_some() {
                    return Err(StatusCode::NOT_IMPLEMENTED);
                }
            }
            CONNECTION => {
                self.close |= tokens(value).any(|token| token.eq_ignore_ascii_case(b"close"));
                self.keep |= tokens(value).any(|token| token.eq_ignore_ascii_case(b"keep-alive"));
            }
            EXPECT => self.waits |= value.as_bytes().eq_ignore_ascii_case(b"100-continue"),
            _ => {}
        }
        Ok(())
    }

    fn framing(&self, is_new: bool) -> Result<BodyDecoder, StatusCode> {
        // Two lengths for one body, or chunks before there were any: a request within the request, for whoever reads it
        // otherwise. And without a host nobody knows who is asked; with two of them, either.
        let doubtful = self.chunked && (self.length.is_some() || !is_new);
        if doubtful || self.hosts > 1 || is_new && self.hosts == 0 {
            return Err(StatusCode::BAD_REQUEST);
        }
        Ok(if self.chunked {
            BodyDecoder::Chunked(ChunkedDecoder::Size)
        } else {
            BodyDecoder::Length(self.length.unwrap_or(0))
        })
    }
}

/// Whether a `Host` is a host and perhaps a port (RFC 9110, section 7.2; RFC 3986, section 3.2.2): no user, nothing that could
/// be a path. Empty where the target has no authority.
fn is_authority(value: &[u8]) -> bool {
    let text = value.trim_ascii();
    let bracket = if text.starts_with(b"[") { memchr::memchr(b']', text) } else { None };
    let end = bracket.map(|at| at + 1).or_else(|| memchr::memchr(b':', text)).unwrap_or(text.len());
    let (host, port) = text.split_at(end);
    let is_host = match bracket {
        Some(at) => std::str::from_utf8(&text[1..at]).is_ok_and(|address| address.parse::<Ipv6Addr>().is_ok()),
        None => is_name(host),
    };
    let is_port = match port.strip_prefix(b":") {
        None => port.is_empty(),
        Some([]) => true,
        Some(port) => number(port).is_some_and(|port| port <= u64::from(u16::MAX)),
    };
    is_host && is_port
}

/// Unreserved characters, sub-delimiters and encoded ones, but no comma: it would stand between two hosts.
fn is_name(name: &[u8]) -> bool {
    let mut rest = name;
    while let [first, behind @ ..] = rest {
        rest = match (first, behind) {
            (b'%', [high, low, behind @ ..]) if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => behind,
            (byte, behind) if byte.is_ascii_alphanumeric() || b"-._~!$&'()*+;=".contains(byte) => behind,
            _ => return false,
        };
    }
    true
}

fn tokens(value: &HeaderValue) -> impl DoubleEndedIterator<Item = &[u8]> {
    value.as_bytes().split(|byte| *byte == b',').map(<[u8]>::trim_ascii)
}

fn number(value: &[u8]) -> Option<u64> {
    let digits = !value.is_empty() && value.iter().all(u8::is_ascii_digit);
    std::str::from_utf8(value).ok().filter(|_| digits)?.parse().ok()
}
