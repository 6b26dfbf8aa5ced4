//! What the engine refuses by itself: bytes that are not a valid request, or a request that it can't serve.
//!
//! The response is rendered outside of this module: the engine gets a [`Refuser`], calls it with what could be read of the
//! request line, sends the response that it returns, and closes the connection.

use std::sync::Arc;

use http::{Response, StatusCode};

/// Longest part of the method and of the target that the refuser sees, bytes.
const MAX_LEN: usize = 1_024;

/// Renders the response to what the engine refuses.
pub type Refuser<B> = Arc<dyn Fn(&EngineRefusal<'_>) -> Response<B> + Send + Sync>;

/// A refusal of the engine: 400 (invalid), 408 (the head was not complete in time), 414 (the target is too long), 431 (the head is too large), 501 (an unknown transfer
/// coding) or 505 (another version of HTTP).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EngineRefusal<'a> {
    /// The status.
    pub status: StatusCode,
    /// The first word of the request line, which is the method of a valid request. At most 1 KiB; empty if it is not visible
    /// ASCII.
    pub method: &'a str,
    /// The second word, which is the target of a valid request. Likewise.
    pub target: &'a str,
}

impl<'a> EngineRefusal<'a> {
    /// The refusal of a request that begins with these bytes.
    pub(super) fn new(status: StatusCode, received: &'a [u8]) -> Self {
        let line = received.split(|byte| matches!(byte, b'\r' | b'\n')).next().unwrap_or_default();
        let mut words = line.splitn(3, |byte| *byte == b' ').map(word);
        let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        Self { status, method, target }
    }

    /// The label for logs and metrics.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self.status {
            StatusCode::REQUEST_TIMEOUT => "head_timeout",
            StatusCode::URI_TOO_LONG => "target_too_long",
            StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE => "head_too_large",
            StatusCode::NOT_IMPLEMENTED => "unknown_transfer_coding",
            StatusCode::HTTP_VERSION_NOT_SUPPORTED => "unsupported_version",
            _ => "malformed",
        }
    }
}

/// The beginning of a word, if it is visible ASCII; else an empty one.
fn word(bytes: &[u8]) -> &str {
    let bytes = &bytes[..bytes.len().min(MAX_LEN)];
    let is_visible = bytes.iter().all(u8::is_ascii_graphic);
    std::str::from_utf8(bytes).ok().filter(|_| is_visible).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_request_line_is_read_as_far_as_it_is_valid() {
        let long = format!("GET /{} HTTP/1.1\r\n", "x".repeat(2 * MAX_LEN));
        for (received, method, target) in [
            (&b"GET /v1/models HTTP/1.1\r\nx y: z\r\n"[..], "GET", "/v1/models"),
            (b"POST /api/pets HTTP/3.0\r\n", "POST", "/api/pets"),
            (b"GET /api", "GET", "/api"),
            (b"hello\r\nGET /api", "hello", ""),
            (b"\x16\x03\x01\x02\x00\x01 \x00", "", ""),
            (b"", "", ""),
            (long.as_bytes(), "GET", &long[4..4 + MAX_LEN]),
        ] {
            let refused = EngineRefusal::new(StatusCode::BAD_REQUEST, received);
            assert_eq!((refused.method, refused.target), (method, target), "{received:?}");
        }
    }
}
