//! The head of a request: RFC 9112, sections 2, 3 and 6, parsed by httparse.

use std::mem::MaybeUninit;
use std::net::Ipv6Addr;

use bytes::{Buf, Bytes, BytesMut};
use http::header::{EXPECT, HOST};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode, Uri, Version};
use httparse::{Header, ParserConfig};

use crate::http::codec::{
    BodyDecoder, ChunkedDecoder, FramingHeaders, HeadError, TransferCoding, decimal, head_length,
};

/// Most headers of a head.
const MAX_HEADERS: usize = 100;
/// Longest target, bytes: what `http::Uri` can hold.
const MAX_TARGET: usize = u16::MAX as usize - 1;
/// Longest target that is cached, bytes.
const MAX_CACHED_TARGET: usize = 256;

/// A request without its body.
#[derive(Debug)]
pub(super) struct RequestHead {
    pub(super) request: Request<()>,
    pub(super) decoder: BodyDecoder,
    pub(super) context: ResponseContext,
    /// Another request may follow on the connection.
    pub(super) keep_alive: bool,
    /// The client waits for `100 Continue` before it sends the body.
    pub(super) expects_continue: bool,
}

/// What the response depends on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ResponseContext {
    /// The response has no body, whatever its head says: the method is HEAD.
    pub(super) head_only: bool,
    /// HTTP/1.1, and not 1.0, which has no chunked bodies.
    pub(super) is_http_11: bool,
}

/// The headers that concern the connection.
#[derive(Default)]
struct HeaderScan {
    framing: FramingHeaders,
    expects_continue: bool,
    hosts: usize,
}

impl From<HeadError> for StatusCode {
    fn from(error: HeadError) -> Self {
        match error {
            HeadError::Malformed => Self::BAD_REQUEST,
            HeadError::TooLarge => Self::REQUEST_HEADER_FIELDS_TOO_LARGE,
            HeadError::UnsupportedVersion => Self::HTTP_VERSION_NOT_SUPPORTED,
        }
    }
}

impl RequestHead {
    /// Takes a head of at most `max` bytes out of `buffer`. None while it is incomplete.
    ///
    /// # Errors
    /// The status with which the request is refused.
    pub(super) fn take(
        buffer: &mut BytesMut,
        max: usize,
        targets: &mut TargetCache,
    ) -> Result<Option<Self>, StatusCode> {
        let mut headers = [const { MaybeUninit::<Header<'_>>::uninit() }; MAX_HEADERS];
        let mut parsed = httparse::Request::new(&mut []);
        let config = ParserConfig::default();
        let outcome = config.parse_request_with_uninit_headers(&mut parsed, buffer, &mut headers);
        let Some(length) = head_length(outcome, buffer.len(), max)? else { return Ok(None) };
        let method = Method::from_bytes(parsed.method.unwrap_or_default().as_bytes());
        let method = method.map_err(|_| StatusCode::BAD_REQUEST)?;
        let is_http_11 = parsed.version == Some(1);
        // The values share one buffer of their own: the read buffer is larger, and is used again.
        let head = Bytes::copy_from_slice(&buffer[..length]);
        let shared = |part: &[u8]| {
            let at = part.as_ptr() as usize - buffer.as_ptr() as usize;
            head.slice(at..at + part.len())
        };
        let uri = targets.parse(parsed.path.unwrap_or_default())?;
        let mut scan = HeaderScan::default();
        let mut headers = HeaderMap::with_capacity(parsed.headers.len());
        for header in &*parsed.headers {
            let name = HeaderName::from_bytes(header.name.as_bytes()).map_err(|_| StatusCode::BAD_REQUEST)?;
            let value = HeaderValue::from_maybe_shared(shared(header.value)).map_err(|_| StatusCode::BAD_REQUEST)?;
            scan.framing.read(header.name, header.value)?;
            scan.read(&name, &value)?;
            headers.append(name, value);
        }
        let decoder = scan.decoder(is_http_11)?;
        buffer.advance(length);
        let context = ResponseContext { head_only: method == Method::HEAD, is_http_11 };
        let mut request = Request::new(());
        *request.method_mut() = method;
        *request.uri_mut() = uri;
        *request.version_mut() = if is_http_11 { Version::HTTP_11 } else { Version::HTTP_10 };
        *request.headers_mut() = headers;
        Ok(Some(Self {
            request,
            decoder,
            context,
            keep_alive: scan.framing.is_persistent(is_http_11),
            expects_continue: scan.expects_continue && is_http_11,
        }))
    }
}

/// The last target of a connection: its requests nearly always have the same one, which is then not parsed again.
#[derive(Debug, Default)]
pub(super) struct TargetCache {
    /// Path and query alone; `/` if there is none.
    last: Uri,
}

impl TargetCache {
    fn parse(&mut self, target: &str) -> Result<Uri, StatusCode> {
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
        if target.starts_with('/') && target.len() <= MAX_CACHED_TARGET {
            self.last = uri.clone();
        }
        Ok(uri)
    }
}

impl HeaderScan {
    fn read(&mut self, name: &HeaderName, value: &HeaderValue) -> Result<(), StatusCode> {
        match *name {
            HOST => {
                self.hosts += 1;
                if !is_authority(value.as_bytes()) {
                    return Err(StatusCode::BAD_REQUEST);
                }
            }
            EXPECT => self.expects_continue |= value.as_bytes().eq_ignore_ascii_case(b"100-continue"),
            _ => {}
        }
        Ok(())
    }

    fn decoder(&self, is_http_11: bool) -> Result<BodyDecoder, StatusCode> {
        let FramingHeaders { content_length, transfer_coding, .. } = self.framing;
        // A length beside a transfer coding, or a transfer coding in HTTP/1.0: another recipient may find a second request in
        // the body (RFC 9112, sections 6.1 and 11.2).
        let is_ambiguous = transfer_coding.is_some() && (content_length.is_some() || !is_http_11);
        // Exactly one host (section 3.2).
        if is_ambiguous || self.hosts > 1 || is_http_11 && self.hosts == 0 {
            return Err(StatusCode::BAD_REQUEST);
        }
        match transfer_coding {
            None => Ok(BodyDecoder::Length(content_length.unwrap_or(0))),
            Some(TransferCoding::Chunked) => Ok(BodyDecoder::Chunked(ChunkedDecoder::Size)),
            Some(TransferCoding::EncodedChunked) => Err(StatusCode::NOT_IMPLEMENTED),
            // The end of the body can't be determined.
            Some(TransferCoding::RepeatedChunked | TransferCoding::NotChunked) => Err(StatusCode::BAD_REQUEST),
        }
    }
}

/// Whether a `Host` is a host and perhaps a port (RFC 9110, section 7.2; RFC 3986, section 3.2.2): no user information, nothing
/// that could be a path. It is empty where the target has no authority.
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
        Some(port) => decimal(port).is_some_and(|port| port <= u64::from(u16::MAX)),
    };
    is_host && is_port
}

/// Unreserved characters, sub-delimiters and percent-encoded ones. No comma: it may separate two hosts.
fn is_name(name: &[u8]) -> bool {
    let mut at = 0;
    while let Some(byte) = name.get(at) {
        at += match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => 1,
            b'!' | b'$' | b'&' | b'\'' | b'(' | b')' | b'*' | b'+' | b';' | b'=' => 1,
            b'%' if name.get(at + 1..at + 3).is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit)) => 3,
            _ => return false,
        };
    }
    true
}
